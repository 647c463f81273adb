"""Whether somebody listens."""

import socket


def answers(port: int) -> bool:
    """Say whether a port of loopback takes connections."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
