"""The ports that ``ostiary run`` needs, looked at together before anything is started."""

import errno
import shlex
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from ostiary_core.errors import OstiaryError

_STEP: Final = 1000
_LAST: Final = 65_535


class PortsTakenError(OstiaryError):
    """Ports are in use; the message names all of them, and one command that works."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A port to listen on: the variable that moves it, the address, and what it is for."""

    variable: str
    host: str
    port: int
    purpose: str


def check(wanted: Sequence[Wanted], *, command: Sequence[str]) -> None:
    """See whether all of them can be had; ``command`` is what was typed, without variables.

    Raises:
        PortsTakenError: some cannot.
    """
    taken = [each for each in wanted if each.port and is_taken(each.host, each.port)]
    if taken:
        raise PortsTakenError(_told(taken, others=_others(taken, wanted), command=command))


def _told(taken: Sequence[Wanted], *, others: dict[str, int], command: Sequence[str]) -> str:
    named = [f"{each.port} ({each.variable}, {each.purpose})" for each in taken]
    *first, last = named
    ports = f"ports {', '.join(first)} and {last} are" if first else f"port {last} is"
    variables = " ".join(f"{name}={port}" for name, port in others.items())
    end = "End what uses them" if first else "End what uses it"
    return f"{ports} in use. {end}, or take others:\n\n  {variables} {shlex.join(command)}\n"


def _others(taken: Iterable[Wanted], wanted: Iterable[Wanted]) -> dict[str, int]:
    """A free port for each that is taken, no two alike."""
    used = {each.port for each in wanted}
    found: dict[str, int] = {}
    for each in taken:
        found[each.variable] = free_near(each.host, each.port, avoid=used)
        used.add(found[each.variable])
    return found


def free_near(host: str, port: int, *, avoid: Iterable[int] = ()) -> int:
    """Return a free port that is easy to remember with this one: some thousands away; 0, any, if there is none."""
    avoided = set(avoid)
    above, below = range(port + _STEP, _LAST + 1, _STEP), range(port - _STEP, 1023, -_STEP)
    candidates = (each for each in (*above, *below) if each not in avoided)
    return next((each for each in candidates if not is_taken(host, each)), 0)


def is_taken(host: str, port: int) -> bool:
    """Whether somebody listens there already. Other reasons why we might not are for who listens to tell."""
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError:
        return False
    return any(_in_use(family, address) for family, _, _, _, address in addresses)


def _in_use(family: int, address: tuple[object, ...]) -> bool:
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As our servers do: a port whose last connections are still fading is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False
