import socket

from ostiary_tools.common.ports import LOOPBACK, reserve_port, reserve_ports


def test_reserved_ports_differ() -> None:
    ports = [reserve_port() for _ in range(50)]
    assert len(set(ports)) == 50


def test_a_server_can_listen_on_a_reserved_port_at_once() -> None:
    port = reserve_port()
    with socket.create_server((LOOPBACK, port)) as server:
        assert server.getsockname() == (LOOPBACK, port)


def test_consecutive_ports_are_all_reserved() -> None:
    first = reserve_ports(6)
    for port in range(first, first + 6):
        socket.create_server((LOOPBACK, port)).close()


def test_the_kernel_gives_a_reserved_port_to_no_other_process() -> None:
    reserved = {reserve_port() for _ in range(20)}
    others = [socket.socket() for _ in range(500)]
    try:
        for other in others:
            other.bind((LOOPBACK, 0))
        assert not reserved & {other.getsockname()[1] for other in others}
    finally:
        for other in others:
            other.close()
