"""Whether somebody listens, and is ready."""

import http.client
import socket


def answers(port: int) -> bool:
    """Say whether a port of loopback takes connections."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def ready(admin_port: int) -> bool:
    """Say whether a gateway has its config."""
    try:
        connection = http.client.HTTPConnection("127.0.0.1", admin_port, timeout=5)
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False
