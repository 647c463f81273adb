"""The data port is reserved for the workers of one supervisor."""

import socket

import pytest

from ostiary_gateway.errors import StartupError
from ostiary_gateway.workers.shared_port import SharedPort


def bound(port: int, *, shared: bool) -> socket.socket:
    found = socket.socket()
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        found.bind(("127.0.0.1", port))
        found.listen()
    except OSError:
        found.close()
        raise
    return found


def test_port_zero_becomes_one_number_for_all_workers_and_gets_no_connections_itself() -> None:
    port = SharedPort("127.0.0.1", 0)
    try:
        assert port.port > 0
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port.port), timeout=60)
        with bound(port.port, shared=True) as one, bound(port.port, shared=True):
            assert one.getsockname()[1] == port.port
            socket.create_connection(("127.0.0.1", port.port), timeout=60).close()
    finally:
        port.close()


def test_a_program_that_does_not_share_cannot_take_the_port() -> None:
    port = SharedPort("127.0.0.1", 0)
    try:
        with pytest.raises(OSError, match="in use"):
            bound(port.port, shared=False)
    finally:
        port.close()


def test_a_port_that_another_program_has_is_refused_with_the_option_to_change() -> None:
    with bound(0, shared=False) as taken, pytest.raises(StartupError, match="--port or PORT"):
        SharedPort("127.0.0.1", taken.getsockname()[1])


def test_the_port_is_reserved_at_every_address_of_a_name() -> None:
    port = SharedPort("localhost", 0)
    try:
        families = {each.family for each in port._sockets}
        assert {each.getsockname()[1] for each in port._sockets} == {port.port}
        assert socket.AF_INET in families
    finally:
        port.close()
