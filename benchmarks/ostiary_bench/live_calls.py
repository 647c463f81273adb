"""How soon a call is on an open /calls: the console of `ostiary run`, and calls one after the other."""

import http.client
import json
import os
import statistics
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from ostiary_bench.calls import CALL, ending
from ostiary_bench.gateways_under_test import proxy
from ostiary_bench.load import Load, require_result
from ostiary_bench.probes import answers
from ostiary_bench.servers import Upstream
from ostiary_tools.common.errors import ToolError
from ostiary_tools.common.ports import LOOPBACK, reserve_port
from ostiary_tools.common.processes import Process, wait_until

_TOKEN: Final = "token-of-the-benchmark"  # noqa: S105  of a process that lives for a minute
_CALLS: Final = 100


@dataclass(frozen=True, slots=True)
class LiveDelay:
    """Seconds from when a call is sent until an open /calls has it."""

    calls: int
    median: float
    longest: float


def measure() -> LiveDelay:
    """Measure calls one after the other, each after the one before was shown."""
    with tempfile.TemporaryDirectory() as text, ExitStack() as stack:
        directory = Path(text)
        upstream = Upstream(directory)
        stack.enter_context(ending(upstream.process))
        folder = directory / "resources"
        folder.mkdir()
        (folder / "proxy.yaml").write_text(yaml.safe_dump(proxy("call-json", upstream.url("call-json"))))
        port, console = reserve_port(), reserve_port()
        stack.enter_context(ending(_run(directory, folder, port=port, console=console)))
        url = f"http://{LOOPBACK}:{port}/call-json/mcp"
        require_result(url, Load(CALL))
        delays = _delays(console, url)
        return LiveDelay(len(delays), statistics.median(delays), max(delays))


def _run(directory: Path, folder: Path, *, port: int, console: int) -> Process:
    ports = {"PORT": port, "ADMIN_PORT": reserve_port(), "CONSOLE_PORT": console}
    environment = {**os.environ, **{name: str(number) for name, number in ports.items()}}
    environment |= {"XDG_STATE_HOME": str(directory / "state"), "OSTIARY_CONSOLE_TOKEN": _TOKEN}
    command: list[str | Path] = [sys.executable, "-m", "ostiary_operator.cli", "run", "--no-mock-server", folder]
    process = Process("run", command, log=directory / "run.log", env=environment)
    wait_until(lambda: answers(port) and answers(console), what="ostiary run", processes=[process])
    return process


def _delays(console: int, url: str) -> list[float]:
    connection = http.client.HTTPConnection(LOOPBACK, console, timeout=60)
    connection.request("GET", "/calls/live", headers={"Authorization": f"Bearer {_TOKEN}"})
    live = connection.getresponse()
    if live.status != 200:
        raise ToolError(f"/calls/live: {live.status}: {live.read(500)!r}")
    live.readline()
    return [_delay(live, url) for _ in range(_CALLS)]


def _delay(live: http.client.HTTPResponse, url: str) -> float:
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    request = urllib.request.Request(url, data=CALL, headers=headers)  # noqa: S310  our own URL
    began = time.perf_counter()
    with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310  our own URL
        response.read()
    while not (line := live.readline()).strip():
        if not line:
            raise ToolError("the stream of /calls ended")
    took = time.perf_counter() - began
    if "call" not in json.loads(line):
        raise ToolError(f"/calls does not show the call but {line!r}")
    return took
