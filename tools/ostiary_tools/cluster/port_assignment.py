"""The ports of a local cluster: chosen by the user, or free ones."""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from ostiary_tools.common.errors import ToolError
from ostiary_tools.common.ports import LOOPBACK, reserve_port

_DEFAULTS = {"PORT": 8080, "ADMIN_PORT": 8081, "MOCK_PORT": 7878}
_PURPOSES = {"PORT": "the gateway", "ADMIN_PORT": "the gateway's admin port", "MOCK_PORT": "the mock MCP server"}
_STEP = 10  # from one replica's ports to the next one's


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports on 127.0.0.1. `data` and `admin` have one port for each gateway replica."""

    data: tuple[int, ...]
    admin: tuple[int, ...]
    mock: int
    operator: int


def free(replicas: int = 2) -> Ports:
    """Return reserved ports, for tests."""
    return Ports(
        data=tuple(reserve_port() for _ in range(replicas)),
        admin=tuple(reserve_port() for _ in range(replicas)),
        mock=reserve_port(),
        operator=reserve_port(),
    )


def chosen(replicas: int = 2, environ: Mapping[str, str] = os.environ) -> Ports:
    """Return PORT, ADMIN_PORT and MOCK_PORT.

    The ports of further replicas follow in steps of ten, or are free ones.

    Raises:
        ToolError: a value is no port, two are the same, or a port is in use; the message says what to do.
    """
    wanted = {name: _number(name, environ.get(name) or str(default)) for name, default in _DEFAULTS.items()}
    for name, port in wanted.items():
        same = [other for other, number in wanted.items() if number == port and other != name]
        if same:
            raise ToolError(f"{name} and {same[0]} are both {port}: give one of them another number")
    _check(wanted)
    return Ports(
        data=_series(wanted["PORT"], replicas, avoid=set(wanted.values())),
        admin=_series(wanted["ADMIN_PORT"], replicas, avoid=set(wanted.values())),
        mock=wanted["MOCK_PORT"],
        operator=reserve_port(),
    )


def _check(wanted: Mapping[str, int]) -> None:
    """Raise ToolError if ports are in use; its message has a command with free ones."""
    taken = {name: port for name, port in wanted.items() if not is_free(port)}
    if not taken:
        return
    ports = ", ".join(f"port {port} ({name}, for {_PURPOSES[name]})" for name, port in taken.items())
    others: dict[str, int] = {}
    for name, port in taken.items():
        others[name] = _free_near(port, avoid={*wanted.values(), *others.values()})
    variables = " ".join(f"{name}={port}" for name, port in others.items())
    state, what = ("is in use", "it") if len(taken) == 1 else ("are in use", "them")
    raise ToolError(f"{ports} {state}: end what uses {what}, or choose others: {variables} make cluster")


def _free_near(port: int, *, avoid: set[int]) -> int:
    """Return a free port that differs by a multiple of 1,000, which is easy to remember.

    Else any free one.
    """
    candidates = (*range(port + 1000, 65536, 1000), *range(port - 1000, 1023, -1000))
    return next((each for each in candidates if each not in avoid and is_free(each)), None) or reserve_port()


def _number(name: str, text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 0 < int(text) < 65536:
        raise ToolError(f"{name} is {text!r}, which is no port: give a number from 1 to 65535")
    return int(text)


def _series(first: int, replicas: int, *, avoid: set[int]) -> tuple[int, ...]:
    further = (first + _STEP * number for number in range(1, replicas))
    return (first, *(port if _usable(port) and port not in avoid else reserve_port() for port in further))


def _usable(port: int) -> bool:
    return port < 65536 and is_free(port)


def is_free(port: int) -> bool:
    """Return whether a server could listen on this port of 127.0.0.1 now."""
    with socket.socket() as probe:
        # As the servers do: a port with connections in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
