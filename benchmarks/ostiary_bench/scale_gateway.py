"""Measures how long a gateway takes to load a config, and the latency of calls meanwhile."""

import re
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ostiary_bench import scale_probes as probes
from ostiary_bench import scale_resources
from ostiary_bench.probes import answers
from ostiary_bench.scale_resources import ScaleWorkload
from ostiary_core.contract.bundle import GatewayConfig
from ostiary_operator.compile.cache import Cache
from ostiary_operator.delivery.directory import ConfigDirectory
from ostiary_tools import local_gateway
from ostiary_tools.common.ports import reserve_port
from ostiary_tools.common.processes import Process, wait_until

_EDITS: Final = 10
_IDLE_SECONDS: Final = 3.0
_LOADED: Final = re.compile(r"revision (\d+) in force: .*; built in (\d+) ms")


@dataclass(frozen=True, slots=True)
class ConfigLoad:
    """Milliseconds to build a config in the background; the longest call meanwhile, in ms.

    ``memory`` is in MiB.

    ``calm_longest_call`` is the longest call of three seconds without a load: the share of the machine itself.
    """

    proxies: int
    whole: float
    whole_longest_call: float
    edit: float
    edit_longest_call: float
    calm_longest_call: float
    memory: float


def measure(proxies: int) -> ConfigLoad:
    """Load a whole config into a gateway that already serves calls, then edits of the config."""
    print(f"  {proxies:,} proxies: a gateway loads them", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        small, *versions = _configs(proxies)
        config = ConfigDirectory(directory / "config", gateway=local_gateway.GATEWAY)
        config.write(small)
        gateway = _Gateway(directory)
        try:
            return _measured(gateway, config, versions, proxies)
        finally:
            gateway.process.stop(grace=5)


def _measured(gateway: "_Gateway", config: ConfigDirectory, versions: list[GatewayConfig], proxies: int) -> ConfigLoad:
    with gateway.calls() as calls:
        time.sleep(_IDLE_SECONDS)
        idle = calls.longest_since(0.0)
        built, longest = [], []
        for version in versions:
            revision = config.write(version).revision
            written = time.time()
            built.append(gateway.build_time_of(revision))
            time.sleep(0.2)
            longest.append(calls.longest_since(written))
    return ConfigLoad(
        proxies=proxies,
        whole=built[0],
        whole_longest_call=longest[0],
        edit=statistics.median(built[1:]),
        edit_longest_call=max(longest[1:]),
        calm_longest_call=idle,
        memory=probes.memory(gateway.process.pid)[0],
    )


def _configs(proxies: int) -> list[GatewayConfig]:
    """Return the config of a few proxies, of all, and of all after each further edit."""
    scale = ScaleWorkload(proxies, "http://127.0.0.1:9/mcp")
    found = [_named(each) for each in scale.resources()]
    first = scale_resources.team_of(0)
    few = [
        each for each in found if each["metadata"]["name"].endswith("00000") and each["metadata"]["namespace"] == first
    ]
    steps = [few, found]
    for number in range(_EDITS):
        edited = _named(scale_resources.policy(number, effect="Deny"), generation=2)
        steps.append([edited if _is_same(each, edited) else each for each in steps[-1]])
    cache, configs = Cache(), [local_gateway.compiled(few)]
    return configs + [local_gateway.compiled(step, cache=cache) for step in steps[1:]]


def _named(resource: dict[str, Any], *, generation: int = 1) -> dict[str, Any]:
    metadata = resource["metadata"]
    uid = f"{resource['kind']}-{metadata['namespace']}-{metadata['name']}"
    return {**resource, "metadata": {**metadata, "uid": uid, "generation": generation}}


def _is_same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return bool(one["metadata"]["uid"] == other["metadata"]["uid"])


class _Gateway:
    def __init__(self, directory: Path) -> None:
        self.port = reserve_port()
        self._log = directory / "gateway.log"
        arguments = local_gateway.arguments(directory / "config", port=self.port, admin_port=reserve_port())
        self.process = Process("gateway", [Path(sys.executable).with_name("ostiary"), *arguments], log=self._log)
        wait_until(lambda: answers(self.port), what="the gateway", processes=[self.process])

    def calls(self) -> "_BackgroundCalls":
        return _BackgroundCalls(self.port)

    def build_time_of(self, revision: int) -> float:
        """Wait until a revision is in force; return its build time from the gateway's log, in ms."""
        found: dict[int, float] = {}

        def loaded() -> bool:
            found.update({int(number): float(took) for number, took in _LOADED.findall(self._log.read_text())})
            return revision in found

        probes.until(loaded, what="the gateway to load a config", seconds=60)
        return found[revision]


class _BackgroundCalls:
    """Calls at a fixed rate from a separate process, so that only the gateway delays them."""

    def __init__(self, port: int) -> None:
        script = Path(__file__).with_name("scale_client.py")
        command = [sys.executable, str(script), str(port), f"{scale_resources.path_of(0)}/mcp"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
        self._taken: list[tuple[float, float]] = []

    def __enter__(self) -> "_BackgroundCalls":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.communicate()

    def longest_since(self, moment: float) -> float:
        """Return the longest call in milliseconds that ended since a moment of `time.time`."""
        self._read_until(time.time())
        return max((1000 * took for ended, took in self._taken if ended >= moment), default=0.0)

    def _read_until(self, moment: float) -> None:
        stream = self._process.stdout
        while stream is not None and (line := stream.readline()):
            ended, took = map(float, line.split())
            self._taken.append((ended, took))
            if ended >= moment:
                return
