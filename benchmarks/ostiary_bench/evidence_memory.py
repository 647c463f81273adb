"""Prints how many MiB the evidence of many busy proxies adds to a process.

Each proxy is called in every quarter of an hour of a day and then in every ten seconds of the last fifteen minutes, and
all its tools are used. It runs in a process of its own, so that nothing was freed before that could be used again.
"""

import gc
import os
import sys
from types import SimpleNamespace
from typing import Final, cast

from ostiary_bench import meters
from ostiary_core.evidence.name_use import MOST_NAMES
from ostiary_core.evidence.recorded_call import CallOutcome
from ostiary_core.evidence.traffic_window import QUARTER_SECONDS, QUARTERS, SLOT_SECONDS, SLOTS
from ostiary_gateway.config.snapshot import Snapshot
from ostiary_gateway.evidence.gateway_evidence import GatewayEvidence

PROXIES: Final = 1000
#: Tools of each proxy: as many as are kept.
NAMES: Final = MOST_NAMES
#: Calls of each proxy in each window after the first, in which each tool is called once.
_CALLS: Final = 3
_BEGIN: Final = 1_790_000_000_000


def main() -> None:
    """Print the figure."""
    tools = {f"team-{number // 20}/server-{number}": _tools(number) for number in range(PROXIES)}
    clock = SimpleNamespace(now=_BEGIN)
    before = _resident()
    evidence = GatewayEvidence(now=lambda: clock.now)
    evidence.on_swap(_serving(tools), frozenset())
    for number, seconds in enumerate([QUARTER_SECONDS] * QUARTERS + [SLOT_SECONDS] * SLOTS):
        clock.now += seconds * 1000
        for proxy, names in tools.items():
            for call in range(_CALLS if number else len(names)):
                _record(evidence, proxy, names[(number * _CALLS + call) % len(names)], clock.now, call)
    print(f"{_resident() - before:.1f}")


def _tools(number: int) -> list[str]:
    return [sys.intern(f"tool_{number}_{each}") for each in range(NAMES)]


def _serving(proxies: dict[str, list[str]]) -> Snapshot:
    """Return what evidence reads of a config: which proxies there are."""
    served = {each: SimpleNamespace(uid=each, identity=each) for each in proxies}
    return cast("Snapshot", SimpleNamespace(proxies=served, settings=SimpleNamespace(evidence_recording=None)))


def _record(evidence: GatewayEvidence, proxy: str, name: str, at: int, number: int) -> None:
    labels = ("tools/call", proxy, name, "", "", "", "", 200, "main", "", "", "", "", "allow", "")
    seconds = 0.004 * (1 + number)
    call = (at, seconds, seconds / 2, labels, name, f"agent-{at % 97}", CallOutcome.OK, f"{at:032x}", None)
    evidence.record(proxy, call)


def _resident() -> float:
    gc.collect()
    return meters.resident_mebibytes(os.getpid())


if __name__ == "__main__":
    main()
