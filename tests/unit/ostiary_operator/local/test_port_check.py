"""Ports that are in use: all of them are reported at once, with a command that works."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ostiary_operator.local import port_check
from ostiary_operator.local.port_check import PortRequest
from ostiary_tools.common.ports import reserve_port

COMMAND = ["ostiary", "run", "my proxies"]


def test_free_ports_and_any_port_are_fine() -> None:
    port_check.check(
        [PortRequest("--port", "127.0.0.1", 0, "x"), PortRequest("--admin-port", "", reserve_port(), "x")],
        command=COMMAND,
    )


def test_what_is_taken_is_named_and_what_is_free_is_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port, free = taken.getsockname()[1], reserve_port()
        wanted = [
            PortRequest("--port", "127.0.0.1", free, "x"),
            PortRequest("--mock-port", "127.0.0.1", port, "the mock MCP server"),
        ]
        with pytest.raises(port_check.PortsTakenError) as caught:
            port_check.check(wanted, command=COMMAND)
    said = str(caught.value)
    assert said.startswith(f"port {port} (MOCK_PORT, the mock MCP server) is in use.")
    assert f"If an MCP server of your own is at {port}, `ostiary run --no-mock-server` uses that." in said
    assert "End what uses it, or take another:\n\n" in said
    assert "'my proxies' --mock-port" in said
    assert str(free) not in said


def test_two_ports_are_moved_to_two_that_differ() -> None:
    near = port_check.free_near("127.0.0.1", 40000)
    assert near == port_check.free_near("127.0.0.1", 40000)
    assert port_check.free_near("127.0.0.1", 40000, avoid=[near]) != near


@contextmanager
def taken_port_above_a_free_one() -> Iterator[int]:
    """Listen at a port; other programs of this machine may take the one below it, so look for one where none has."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = int(taken.getsockname()[1])
            try:
                socket.create_server(("127.0.0.1", port - 1)).close()
            except OSError:
                continue
            yield port
            return


def test_all_ports_of_the_mock_servers_are_moved_together() -> None:
    with taken_port_above_a_free_one() as port:
        wanted = [
            PortRequest("--mock-port", "127.0.0.1", port - 1, "the mock MCP server", offset=0),
            PortRequest("--mock-port", "127.0.0.1", port, "the mock MCP server", offset=1),
        ]
        with pytest.raises(port_check.PortsTakenError) as caught:
            port_check.check(wanted, command=COMMAND)
    said = str(caught.value)
    assert said.startswith(f"port {port} (MOCK_PORT + 1, the mock MCP server) is in use.")
    moved = int(said.rpartition("--mock-port ")[2])
    assert (moved - port + 1) % 1000 == 0


def test_two_that_want_one_port_are_told_so_before_anything_starts() -> None:
    port = reserve_port()
    wanted = [
        PortRequest("--port", "127.0.0.1", port, "where MCP clients connect"),
        PortRequest("--mock-port", "127.0.0.1", port, "the mock MCP server", offset=1),
    ]
    with pytest.raises(port_check.PortsTakenError, match=f"port {port} .MOCK_PORT . 1"):
        port_check.check(wanted, command=COMMAND)


def test_a_run_that_make_started_prints_make_commands() -> None:
    others = {"--port": 9080, "--admin-port": 9081}
    assert port_check.again(COMMAND, others, {}) == "ostiary run 'my proxies' --port 9080 --admin-port 9081"
    assert (
        port_check.again(COMMAND, others, {"MAKELEVEL": "1"})
        == "make run EXAMPLE='my proxies' PORT=9080 ADMIN_PORT=9081"
    )
    usual = ["ostiary", "run", "examples/quickstart"]
    assert port_check.again(usual, {"--mock-port": 8878}, {"MAKELEVEL": "1"}) == "make run MOCK_PORT=8878"
