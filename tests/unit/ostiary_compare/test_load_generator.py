"""The load finds wrong answers, counts only right ones, and says when a gateway cannot keep up."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ostiary_bench.probes import answers
from ostiary_compare.kinds import KINDS
from ostiary_compare.load_generator import requests_of
from ostiary_compare.mcp_server import TOOLS
from ostiary_tools.common.ports import reserve_port
from ostiary_tools.common.processes import Process, wait_until

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(BENCHMARKS), str(BENCHMARKS.parent / "tools")])}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    port = reserve_port()
    command = [sys.executable, "-m", "ostiary_compare.mcp_server", str(port)]
    process = Process(f"{port}", command, log=tmp_path_factory.mktemp("server") / "log", env=ENVIRONMENT)
    wait_until(lambda: answers(port), what="the MCP server", processes=[process])
    yield process
    process.stop()


def loaded(server: Process, *, port: int | None = None, **asked: Any) -> dict[str, Any]:
    url = f"http://127.0.0.1:{port or server.name}/mcp"
    endpoint = {"url": url, "headers": {}, "prefix": asked.pop("prefix", "")}
    given: dict[str, Any] = {"endpoint": endpoint, "kind": "session", "callers": 3, "seconds": 0.3}
    given |= {"pid": server.pid, "upstream_port": int(server.name), **asked}
    command = [sys.executable, "-m", "ostiary_compare.load_generator", json.dumps(given)]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert not done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_a_closed_loop_counts_as_many_requests_as_the_server_got(server: Process, kind: str) -> None:
    found = loaded(server, kind=kind, warm=0.1)
    assert found["calls"] == found["upstream_requests"] >= 3
    assert found["sent"] > found["calls"]
    assert found["listed"] == (TOOLS if "list" in kind else 0)
    assert found["cpu_microseconds"] >= 0
    assert 0 < found["p50"] <= found["p99"]


def test_an_open_loop_sends_as_many_calls_as_its_rate_says(server: Process) -> None:
    found = loaded(server, rate=100, seconds=0.5)
    assert found["kept_up"]
    assert found["calls"] == found["upstream_requests"] == 50


def test_a_tool_that_the_server_does_not_have_is_an_error_and_no_figure(server: Process) -> None:
    assert "was not the result" in loaded(server, prefix="other-")["error"]


def test_a_port_where_nothing_listens_is_an_error(server: Process) -> None:
    assert "did not answer" in loaded(server, port=reserve_port())["error"]


def test_requests_are_counted_since_they_were_asked_for_before(server: Process) -> None:
    requests_of(int(server.name))
    assert requests_of(int(server.name)) == 0
