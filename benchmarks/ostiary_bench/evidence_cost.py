"""What it costs a gateway to record evidence: CPU of a call, and memory of a thousand busy proxies."""

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from ostiary_bench import evidence_memory, live_calls, servers
from ostiary_bench.calls import CALL, ending
from ostiary_bench.compared_ways import ComparedWay, Target, measured_costs
from ostiary_bench.gateways_under_test import compile_into, proxy, start_gateway
from ostiary_bench.load import Load, require_result
from ostiary_bench.servers import Upstream

#: The most that recording may add, as a share of nginx's hop, and in MiB.
AT_MOST: Final = 0.2
MOST_MEMORY: Final = 24
_SECONDS: Final = 1.0
_TEXT: Final = """
Evidence, which each gateway keeps in memory for the console: recording adds {added:.2f} of nginx's hop to a call (at
most {at_most}): {on:.1f} µs of CPU against {off:.1f} µs with `evidence: {{recording: Off}}`, and {nginx:.1f} µs of
nginx. These are the smallest of {rounds} rounds of a second in turns on one core, since other work on the machine only
adds to them. It takes {memory:.0f} MiB (at most {most_memory}) for {proxies:,} proxies with {names} names each, all of
whose windows of a day are filled. From when a call is sent until an open `/calls` of `ostiary run` has it, over {calls}
calls: p50 {live_median:.0f} ms, longest {live_longest:.0f} ms (at most 1 s)."""


@dataclass(frozen=True, slots=True)
class EvidenceCost:
    """Microseconds of CPU of a call, what recording adds as a share of nginx's hop, and memory in MiB.

    ``memory`` is what ``proxies`` proxies add to a process, each with ``names`` names and with all its windows filled.
    ``live`` are seconds until a call is shown.
    """

    rounds: int
    nginx: float
    unrecorded: float
    recorded: float
    added: float
    proxies: int
    names: int
    memory: float
    live: live_calls.LiveDelay

    def document(self) -> dict[str, Any]:
        """Return the figures as JSON."""
        return asdict(self)


def measure(*, rounds: int) -> EvidenceCost:
    """Measure all of it."""
    costs = _costs(rounds)
    nginx, off, on = (min(each[index] for each in costs) for index in range(3))
    text = subprocess.run([sys.executable, "-m", evidence_memory.__name__], check=True, capture_output=True, text=True)
    size = evidence_memory.PROXIES, evidence_memory.NAMES, float(text.stdout)
    return EvidenceCost(rounds, nginx, off, on, (on - off) / nginx, *size, live_calls.measure())


def paragraph(found: Mapping[str, Any]) -> str:
    """Return what the page says of it, from :meth:`EvidenceCost.document`."""
    return _TEXT.format(
        added=found["added"],
        at_most=AT_MOST,
        on=found["recorded"],
        off=found["unrecorded"],
        nginx=found["nginx"],
        rounds=found["rounds"],
        memory=found["memory"],
        most_memory=MOST_MEMORY,
        proxies=found["proxies"],
        names=found["names"],
        calls=found["live"]["calls"],
        live_median=1000 * found["live"]["median"],
        live_longest=1000 * found["live"]["longest"],
    )


def _costs(rounds: int) -> list[list[float]]:
    """Return the CPU of a call through nginx, through a gateway that records nothing, and one that does."""
    with tempfile.TemporaryDirectory() as text, ExitStack() as stack:
        directory = Path(text)
        upstream = Upstream(directory)
        stack.enter_context(ending(upstream.process))
        floor, port = servers.nginx_proxy(directory, upstream)
        stack.enter_context(ending(floor))
        targets = [Target(_way("nginx"), floor, f"http://127.0.0.1:{port}/call-json")]
        for recording in ("Off", "On"):
            config = directory / f"config-{recording}"
            resources = [proxy("call-json", upstream.url("call-json"))]
            compile_into(config, resources, {"evidence": {"recording": recording}})
            gateway, port = start_gateway(directory, f"recording-{recording}", config)
            stack.enter_context(ending(gateway))
            targets.append(Target(_way(recording), gateway, f"http://127.0.0.1:{port}/call-json/mcp"))
        for each in targets:
            require_result(each.url, each.way.load)
        return measured_costs(directory, targets, rounds=rounds, seconds=_SECONDS)


def _way(name: str) -> ComparedWay:
    return ComparedWay(name, "call-json", Load(CALL))
