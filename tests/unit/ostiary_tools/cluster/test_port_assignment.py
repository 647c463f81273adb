import socket

import pytest

from ostiary_tools.cluster import port_assignment
from ostiary_tools.common.errors import ToolError
from ostiary_tools.common.ports import LOOPBACK, reserve_port


def environ(**ports: int | str) -> dict[str, str]:
    free = {name: str(reserve_port()) for name in ("PORT", "ADMIN_PORT", "MOCK_PORT")}
    return free | {name: str(port) for name, port in ports.items()}


def test_free_ports_are_all_different() -> None:
    ports = port_assignment.free(replicas=3)
    assert len({*ports.data, *ports.admin, ports.mock, ports.operator}) == 8


def test_the_users_ports_are_taken() -> None:
    given = environ()
    ports = port_assignment.chosen(environ=given)
    assert (ports.data[0], ports.admin[0], ports.mock) == tuple(int(port) for port in given.values())
    assert len(ports.data) == len(ports.admin) == 2


def test_a_further_replica_takes_another_port_if_the_next_one_is_busy() -> None:
    first = next(port for port in iter(reserve_port, None) if port_assignment.is_free(port + 10))
    with socket.create_server((LOOPBACK, first + 10)):
        ports = port_assignment.chosen(environ=environ(PORT=first))
    assert ports.data[0] == first
    assert ports.data[1] != first + 10


def test_a_busy_port_is_refused_with_what_it_is_for() -> None:
    with socket.create_server((LOOPBACK, 0)) as other:
        busy = other.getsockname()[1]
        with pytest.raises(
            ToolError, match=f"port {busy} .MOCK_PORT, for the mock MCP server. is in use: .* MOCK_PORT="
        ):
            port_assignment.chosen(environ=environ(MOCK_PORT=busy))


def test_all_ports_in_use_are_named_with_one_command_that_takes_others() -> None:
    with socket.create_server((LOOPBACK, 0)) as one, socket.create_server((LOOPBACK, 0)) as other:
        busy = {"PORT": one.getsockname()[1], "MOCK_PORT": other.getsockname()[1]}
        with pytest.raises(ToolError) as caught:
            port_assignment.chosen(environ=environ(**busy))
        said = str(caught.value)
        assert all(f"port {port} ({name}, for the " in said for name, port in busy.items())
        assert " are in use: end what uses them, or choose others: " in said
        assert said.endswith(" make cluster")
        proposed = dict(word.split("=") for word in said.split()[-4:-2])
        assert proposed.keys() == busy.keys()
        assert port_assignment.chosen(environ=environ(**proposed)).data[0] == int(proposed["PORT"])


@pytest.mark.parametrize("text", ["x", "-1", "0", "65536", "80.5", "²"])
def test_what_is_no_port_is_refused(text: str) -> None:
    with pytest.raises(ToolError, match=r"PORT is .* which is no port"):
        port_assignment.chosen(environ=environ(PORT=text))


def test_one_port_for_two_is_refused() -> None:
    port = reserve_port()
    with pytest.raises(ToolError, match="PORT and ADMIN_PORT are both"):
        port_assignment.chosen(environ=environ(PORT=port, ADMIN_PORT=port))
