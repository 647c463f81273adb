"""Free TCP ports on 127.0.0.1 for servers that cannot be handed a listening socket."""

import socket

LOOPBACK = "127.0.0.1"


def reserve_port() -> int:
    """A free port on 127.0.0.1 that nobody else is given for about a minute.

    A port that was merely free a moment ago may be taken by any outgoing connection before its server
    listens. This one is left in TIME_WAIT: the kernel hands it to nobody, but a server that binds it by
    number with SO_REUSEADDR (Go, asyncio and Node all do) gets it.
    """
    with socket.create_server((LOOPBACK, 0)) as server:
        address: tuple[str, int] = server.getsockname()
        with socket.create_connection(address) as client:
            accepted, _ = server.accept()
            accepted.close()  # who closes first holds the TIME_WAIT: it must be the port's side
            client.recv(1)
    return address[1]
