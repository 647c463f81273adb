"""Probes: whether a port accepts connections, and whether a gateway is ready."""

import http.client
import socket


def answers(port: int) -> bool:
    """Return whether a port of loopback accepts connections."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def ready(admin_port: int) -> bool:
    """Return whether a gateway is ready, which it is once it has a config."""
    try:
        connection = http.client.HTTPConnection("127.0.0.1", admin_port, timeout=5)
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False
