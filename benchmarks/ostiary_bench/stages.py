"""The CPU time of each stage of an ungoverned and of a fully governed call, by sampling."""

import json
import os
import signal
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ostiary_bench import meters
from ostiary_bench.access_resources import SigningIssuer
from ostiary_bench.calls import CALL, collector, ending
from ostiary_bench.gateways_under_test import compile_into, start_gateway
from ostiary_bench.governed_resources import PLAIN, WHOLE, resources, settings, tracing
from ostiary_bench.load import Load, measured_loop, send
from ostiary_bench.profile import STAGES, stage
from ostiary_bench.servers import Upstream

_SECONDS: Final = 5.0
#: The writer of audit records and the exporter of spans: what the event loop does not wait for.
_OTHER_THREADS: Final = "other threads: audit, spans"


@dataclass(frozen=True, slots=True)
class StageCost:
    """Microseconds of CPU of a stage in a call."""

    stage: str
    plain: float
    governed: float


def measure(directory: Path, upstream: Upstream, issuer: SigningIssuer) -> list[StageCost]:
    """Profile both calls, each in a gateway of its own with spans at 1 %."""
    config = directory / "profiled-config"
    compile_into(config, list(resources(upstream, issuer)), settings(directory / "profiled-audit.jsonl"))
    token = {"Authorization": f"Bearer {issuer.token()}"}
    with collector(directory) as endpoint:
        plain = _profile(directory, config, PLAIN, Load(CALL), endpoint)
        governed = _profile(directory, config, WHOLE, Load(CALL, headers=token), endpoint)
    return [
        StageCost(name, plain[name], governed[name])
        for name in [*STAGES, "other", _OTHER_THREADS]
        if plain[name] or governed[name]
    ]


def _profile(directory: Path, config: Path, path: str, load: Load, endpoint: str) -> dict[str, float]:
    out = directory / f"{path}-samples.json"
    command: list[str | Path] = [sys.executable, Path(__file__).with_name("sampling_profiler.py"), out]
    env = tracing(endpoint, "1 %")
    gateway, port = start_gateway(directory, f"profiled-{path}", config, env=env, command=command)
    with ending(gateway):
        url = f"http://127.0.0.1:{port}/{path}/mcp"
        send(directory, load, url, seconds=1)
        os.kill(gateway.pid, signal.SIGUSR1)
        before = meters.main_thread_microseconds(gateway.pid), meters.cpu_microseconds(gateway.pid)
        found = measured_loop(directory, load, pid=gateway.pid, url=url, seconds=_SECONDS)
        loop, whole = (
            meters.main_thread_microseconds(gateway.pid) - before[0],
            meters.cpu_microseconds(gateway.pid) - before[1],
        )
    samples = [tuple(sample) for sample in json.loads(out.read_text())]
    total = sum(count for *_, count in samples) or 1
    by_stage: dict[str, float] = defaultdict(float)
    for module, _, count in samples:
        by_stage[stage(module)] += count * found.cpu_microseconds * loop / whole / total
    by_stage[_OTHER_THREADS] = found.cpu_microseconds * (whole - loop) / whole
    return by_stage
