"""The names that the servers of an MCPProxy have listed, read from replicas.

What a replica sends is untrusted input.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import aiohttp

from ostiary_core.errors import OstiaryError
from ostiary_core.mcp.methods import Primitive
from ostiary_operator.local.caller_catalogue import ListedNames
from ostiary_operator.status.replicas import NoResponse
from ostiary_operator.view import admin_client
from ostiary_operator.view.admin_client import AdminPort

_PATH: Final = "/catalogue"
#: The most names of one kind of one server, and characters of each: what a gateway remembers.
_MOST: Final = 500
_LONGEST: Final = 4096


class ReadNames(NamedTuple):
    """What replicas have seen; ``problems`` are of those that did not answer."""

    names: ListedNames
    problems: tuple[str, ...]
    replicas: int


async def read(http: aiohttp.ClientSession, ports: Sequence[AdminPort], *, proxy: str) -> ReadNames:
    """Read the names that servers of an MCPProxy (``namespace/name``) have listed."""
    found = await asyncio.gather(*(_of_replica(http, port, proxy) for port in ports))
    answers = [each for each in found if not isinstance(each, str)]
    return ReadNames(_joined(answers), tuple(each for each in found if isinstance(each, str)), len(answers))


async def _of_replica(http: aiohttp.ClientSession, port: AdminPort, proxy: str) -> ListedNames | str:
    """Return what a replica has seen, or why it does not say."""
    try:
        return _parsed(await admin_client.document(http, port, _PATH, {"proxy": proxy}))
    except OstiaryError as error:
        return f"replica {port.replica}: {error}"


def _parsed(found: Any) -> ListedNames:
    try:
        return {str(server["name"]): _names(server["names"]) for server in found["servers"]}
    except (KeyError, TypeError, ValueError, AttributeError):
        raise NoResponse("its answer has another form: is it of another version?") from None


def _names(found: Mapping[str, Any]) -> dict[Primitive, list[str]]:
    return {
        primitive: [name for name in found.get(primitive.value, [])[:_MOST] if _is_name(name)]
        for primitive in Primitive
    }


def _is_name(name: Any) -> bool:
    return isinstance(name, str) and len(name) <= _LONGEST


def _joined(answers: Iterable[ListedNames]) -> ListedNames:
    joined: dict[str, dict[Primitive, set[str]]] = {}
    for answer in answers:
        for server, names in answer.items():
            of_server = joined.setdefault(server, {primitive: set() for primitive in Primitive})
            for primitive, listed in names.items():
                of_server[primitive].update(listed)
    return {server: {primitive: sorted(each) for primitive, each in names.items()} for server, names in joined.items()}
