"""`make cluster` as a user runs it: started, tried, interrupted."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from mcp_clients import connect, eventually
from timeouts import TIMEOUT_SECONDS

from ostiary_tools.cluster import main
from ostiary_tools.cluster.port_assignment import is_free
from ostiary_tools.common.ports import LOOPBACK, reserve_port
from ostiary_tools.common.processes import wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")

TOOLS = Path(main.__file__).parents[2]
HIDE_IT = [{"op": "add", "path": "/spec/access/rules/0/tools/verbs/-", "value": "List"}]


@dataclass(frozen=True)
class Terminal:
    """The command, running, and what it has written so far."""

    process: subprocess.Popen[bytes]
    directory: Path
    output: Path
    ports: dict[str, int]

    def text(self) -> str:
        return self.output.read_text()

    def wait_for(self, words: str) -> None:
        def is_there() -> bool:
            assert self.process.poll() is None, self.text()
            return words in self.text()

        wait_until(is_there, what=f"{words!r} in {self.text()}", timeout=45)

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(TIMEOUT_SECONDS)

    def kubectl(self, *arguments: str) -> str:
        environment = {"KUBECONFIG": str(self.directory / "kubeconfig"), "HOME": str(self.directory)}
        command = [str(self.directory / "bin" / "kubectl"), *arguments]
        done = subprocess.run(
            command, env=environment, check=True, capture_output=True, text=True, timeout=TIMEOUT_SECONDS
        )
        return done.stdout

    def children(self) -> list[int]:
        """The processes that it has started and that run."""
        stats = [stat for stat in map(parent_and_state, processes()) if stat is not None]
        return [pid for pid, parent, state in stats if parent == self.process.pid and state != "Z"]

    def leaves_nothing(self, children: list[int]) -> bool:
        running = [stat for stat in map(parent_and_state, children) if stat is not None and stat[2] != "Z"]
        return not running and all(is_free(port) for port in self.ports.values())


def processes() -> list[int]:
    return [int(path.name) for path in Path("/proc").glob("[0-9]*")]


def parent_and_state(pid: int) -> tuple[int, int, str] | None:
    """(pid, its parent's, its state); None if there is no such process."""
    try:
        state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return None
    return pid, int(parent), state


@contextmanager
def make_cluster(directory: Path, *, terminal: str = "terminal", **ports: int) -> Iterator[Terminal]:
    """Run the command in a directory of its own, on free ports; it is ended in any case."""
    ports = {name: reserve_port() for name in ("PORT", "ADMIN_PORT", "MOCK_PORT")} | ports
    output = directory / terminal
    environment = {**os.environ, "PYTHONPATH": str(TOOLS), **{name: str(port) for name, port in ports.items()}}
    command = [sys.executable, "-m", "ostiary_tools.cluster.main", "--directory", str(directory / "cluster")]
    with output.open("wb") as file:
        process = subprocess.Popen(command, env=environment, stdout=file, stderr=subprocess.STDOUT, cwd=directory)
    try:
        yield Terminal(process, directory / "cluster", output, ports)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


async def test_it_starts_serves_can_be_tried_lets_no_second_one_in_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    with make_cluster(tmp_path) as terminal:
        a_second_one_leaves_the_first_alone(tmp_path, terminal)
        terminal.wait_for("Ctrl-C ends everything")
        endpoints = re.findall(r"http://localhost:\S+/mcp$", terminal.text(), re.MULTILINE)
        assert len(endpoints) == 2
        for endpoint in endpoints:
            assert len(await tools(endpoint)) == 15
        await edit_the_policy_and_see_it_enforced(terminal, endpoints)
        kill_a_replica_and_see_the_report(terminal)
        assert len(await tools(endpoints[0])) == 14
        children = terminal.children()
        assert len(children) == len({"etcd", "API server", "controllers", "operator", "gateway-0", "mock server"})
        assert terminal.end(signal.SIGINT) == 0
        assert terminal.text().endswith("Ending …\nEnded.\n")
        assert terminal.leaves_nothing(children)


def a_second_one_leaves_the_first_alone(directory: Path, first: Terminal) -> None:
    wait_until((first.directory / "lock").exists, what="the first to begin")
    first.wait_for("Starting etcd")
    with make_cluster(directory, terminal="second") as second:
        assert second.process.wait(TIMEOUT_SECONDS) == 1
        assert "another cluster runs in" in second.text()


async def tools(endpoint: str) -> set[str]:
    async with connect(endpoint, era="modern") as client:
        return {tool.name for tool in (await client.list_tools()).tools}


async def edit_the_policy_and_see_it_enforced(terminal: Terminal, endpoints: list[str]) -> None:
    assert "mock-mcp-server" in terminal.kubectl("get", "mpx")
    terminal.kubectl("patch", "mcppolicy", "quickstart", "--type=json", "-p", json.dumps(HIDE_IT))
    for endpoint in endpoints:

        async def is_hidden(endpoint: str = endpoint) -> bool:
            return "delete_user" not in await tools(endpoint)

        await eventually(is_hidden)
    terminal.wait_for("every ready replica runs revision")


def kill_a_replica_and_see_the_report(terminal: Terminal) -> None:
    (victim,) = re.findall(r"kill -9 (\d+)", terminal.text())
    os.kill(int(victim), signal.SIGKILL)
    terminal.wait_for("gateway-1 is not started again")
    death = terminal.text().partition("gateway-1 ended with -9")[2]
    assert "in force" in death.partition("gateway-1 is not")[0]  # the end of its log


def test_it_can_be_ended_while_it_starts(tmp_path: Path) -> None:
    with make_cluster(tmp_path) as terminal:
        server = terminal.directory / "logs" / "api-server.log"
        wait_until(server.exists, what="the API server to be started")
        children = terminal.children()
        assert children
        assert terminal.end(signal.SIGTERM) == 0
        assert terminal.text().endswith("Ended.\n")
        assert terminal.leaves_nothing(children)


def test_its_death_is_the_death_of_all_that_it_started(tmp_path: Path) -> None:
    with make_cluster(tmp_path) as terminal:
        server = terminal.directory / "logs" / "api-server.log"
        wait_until(server.exists, what="the API server to be started")
        children = terminal.children()
        assert children
        terminal.process.kill()
        terminal.process.wait()
        wait_until(lambda: terminal.leaves_nothing(children), what="all processes to be gone")


@pytest.mark.parametrize("name", ["PORT", "ADMIN_PORT", "MOCK_PORT"])
def test_a_busy_port_is_named_with_the_remedy(tmp_path: Path, name: str) -> None:
    with socket.create_server((LOOPBACK, 0)) as other:
        port = other.getsockname()[1]
        with make_cluster(tmp_path, **{name: port}) as terminal:
            assert terminal.process.wait(TIMEOUT_SECONDS) == 1
            assert f"error: port {port} (" in terminal.text()
            assert re.search(rf"choose others: {name}=\d+ make cluster\n", terminal.text())
