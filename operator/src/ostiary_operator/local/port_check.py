"""Checks that the ports of ``ostiary run`` are free before anything is started."""

import errno
import os
import shlex
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ostiary_core.errors import OstiaryError
from ostiary_operator.local.run_options import RunOptions

#: The default EXAMPLE of `make run`.
_EXAMPLE: Final = "examples/quickstart"
_STEP: Final = 1000
_LAST: Final = 65_535


class PortsTakenError(OstiaryError):
    """Ports are in use; the message names all of them, and a command with free ones."""


@dataclass(frozen=True, slots=True)
class PortRequest:
    """A port to listen on: the flag that changes it, its address and its purpose.

    It is ``offset`` above the port of the flag.
    """

    flag: str
    host: str
    port: int
    purpose: str
    offset: int = 0


def of_options(options: RunOptions) -> list[PortRequest]:
    """Return the ports of the gateway of a run."""
    return [
        PortRequest("--port", options.host, options.port, "where MCP clients connect"),
        PortRequest("--admin-port", options.admin_host, options.admin_port, "health and metrics"),
    ]


def check(wanted: Sequence[PortRequest], *, command: Sequence[str]) -> None:
    """Check that all ports are free.

    ``command`` is the command line that the error message repeats.

    Raises:
        PortsTakenError: some are in use, or wanted twice.
    """
    first: dict[int, PortRequest] = {}
    taken = [
        each
        for each in wanted
        if each.port and (first.setdefault(each.port, each) is not each or is_taken(each.host, each.port))
    ]
    if taken:
        raise PortsTakenError(_message(taken, others=_others(taken, wanted), command=command))


def variable(flag: str) -> str:
    """Return the environment variable of a port's flag."""
    return flag.removeprefix("--").replace("-", "_").upper()


def _message(taken: Sequence[PortRequest], *, others: Mapping[str, int], command: Sequence[str]) -> str:
    *first, last = [f"{each.port} ({_variable_of(each)}, {each.purpose})" for each in taken]
    ports = f"ports {', '.join(first)} and {last} are" if first else f"port {last} is"
    end = "End what uses them, or take others" if first else "End what uses it, or take another"
    own = f" If an MCP server of your own is at {last.split()[0]}, `ostiary run --no-mock-server` uses that."
    hint = own if taken[-1].flag == "--mock-port" else ""
    return f"{ports} in use.{hint} {end}:\n\n  {again(command, others)}\n"


def _variable_of(request: PortRequest) -> str:
    return f"{variable(request.flag)} + {request.offset}" if request.offset else variable(request.flag)


def again(command: Sequence[str], others: Mapping[str, int], environ: Mapping[str, str] = os.environ) -> str:
    """Return the command with other ports.

    They are variables for `make`, else flags, which override variables.
    """
    if "MAKELEVEL" in environ:
        examples = [f"EXAMPLE={shlex.quote(path)}" for path in command[2:] if path != _EXAMPLE]
        return " ".join(["make run", *examples, *(f"{variable(flag)}={port}" for flag, port in others.items())])
    return " ".join([shlex.join(command), *(f"{flag} {port}" for flag, port in others.items())])


def _others(taken: Iterable[PortRequest], wanted: Sequence[PortRequest]) -> dict[str, int]:
    """Return a different port for each flag of which a port is in use.

    All ports that belong to the flag are free there.
    """
    used = {each.port for each in wanted}
    found: dict[str, int] = {}
    for each in taken:
        if each.flag not in found:
            offsets = [other.offset for other in wanted if other.flag == each.flag]
            found[each.flag] = free_near(each.host, each.port - each.offset, avoid=used, offsets=offsets)
            used.update(found[each.flag] + offset for offset in offsets)
    return found


def free_near(host: str, port: int, *, avoid: Iterable[int] = (), offsets: Sequence[int] = (0,)) -> int:
    """Return a free port that differs by a multiple of 1,000, which is easy to remember.

    With ``offsets`` the ports so far above it are free. Return 0 (any port) if there is none.
    """
    avoided = set(avoid)
    above, below = range(port + _STEP, _LAST + 1, _STEP), range(port - _STEP, 1023, -_STEP)
    candidate: int
    for candidate in (*above, *below):
        ports = [candidate + offset for offset in offsets]
        if max(ports) <= _LAST and not avoided.intersection(ports) and not any(is_taken(host, each) for each in ports):
            return candidate
    return 0


def is_taken(host: str, port: int) -> bool:
    """Return whether a port is in use. Other problems are reported when the server binds it."""
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError:
        return False
    return any(_in_use(family, address) for family, _, _, _, address in addresses)


def _in_use(family: int, address: tuple[object, ...]) -> bool:
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As our servers do: a port with connections in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False
