"""Requests to the admin port of replicas, for commands.

What a replica sends is untrusted input: another process may have its address.
"""

import json
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

import aiohttp

from ostiary_core.errors import OstiaryError
from ostiary_core.secret_bytes import SecretBytes
from ostiary_operator.api.labels import is_dns_label
from ostiary_operator.status.replicas import NoResponse, Refused, bearer, cause

_MOST_BYTES: Final = 16 * 1024 * 1024
#: Bytes of one line: the gateway writes at most a fraction of it.
_LINE_BYTES: Final = 1024 * 1024
#: An empty line comes every 15 seconds while nothing happens.
_SILENCE_SECONDS: Final = 60.0
_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=_SILENCE_SECONDS)

Query: TypeAlias = Mapping[str, str] | Sequence[tuple[str, str]]
"""The parameters of a request; in pairs where a name occurs several times."""


Open: TypeAlias = Callable[[], Coroutine[Any, Any, aiohttp.ClientResponse]]
"""Opens a response of status 200, or raises NoResponse, Refused or NotServed; the body is not read."""


class OtherWay(Protocol):
    """Another way to a replica, for where its address does not answer."""

    async def response(self, direct: Open, path: str, query: Query, token: SecretBytes) -> aiohttp.ClientResponse:
        """Return the response of the replica, directly or on the other way.

        Raises:
            NoResponse: neither leads to an answer.
            Refused: the token is not accepted.
            NotServed: the replica has nothing to show.
        """
        ...


class NotServed(OstiaryError):
    """A replica answers that it has nothing to show. ``reason`` is one word."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class AdminPort:
    """The admin port of one replica.

    ``gateway`` is ``namespace/name``, or says where the replica runs. ``other_way`` leads to the replica where ``url``
    does not answer from here.
    """

    url: str
    replica: str
    gateway: str
    token: SecretBytes
    other_way: OtherWay | None = None

    @property
    def identity(self) -> str:
        """The identity of its gateway; empty where ``gateway`` says where the replica runs."""
        namespace, _, name = self.gateway.partition("/")
        return self.gateway if is_dns_label(namespace) and is_dns_label(name) else ""


def session() -> aiohttp.ClientSession:
    """Return a session for admin ports: no cookies, and no proxies."""
    return aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), timeout=_TIMEOUT)


async def document(http: aiohttp.ClientSession, port: AdminPort, path: str, query: Query) -> Any:
    """Return the JSON document at a path.

    Raises:
        NoResponse: no connection, no response in time, or an unusable one.
        Refused: the token is not accepted.
        NotServed: the replica has no such document.
    """
    return _parsed(await body(http, port, path, query))


async def body(
    http: aiohttp.ClientSession, port: AdminPort, path: str, query: Query, *, most: int = _MOST_BYTES
) -> bytes:
    """Return the body at a path, of at most ``most`` bytes.

    Raises:
        NoResponse: no connection, no response in time, or an unusable one.
        Refused: the token is not accepted.
        NotServed: the replica has no such document.
    """
    found = bytearray()
    async for chunk in _chunks(http, port, path, query):
        found += chunk
        if len(found) > most:
            raise NoResponse(f"its answer is larger than {most} bytes")
    return bytes(found)


async def lines(http: aiohttp.ClientSession, port: AdminPort, path: str, query: Query) -> AsyncIterator[dict[str, Any]]:
    """Yield the JSON objects of a response, as each line arrives; empty lines are left out.

    Raises:
        NoResponse: no connection, no response in time, or an unusable one.
        Refused: the token is not accepted.
        NotServed: the replica has nothing to show.
    """
    rest = b""
    async for chunk in _chunks(http, port, path, query):
        *whole, rest = (rest + chunk).split(b"\n")
        if len(rest) > _LINE_BYTES:
            raise NoResponse("it sends a line without an end")
        for line in filter(bytes.strip, whole):
            found = _parsed(line)
            if isinstance(found, dict):
                yield found


async def _chunks(http: aiohttp.ClientSession, port: AdminPort, path: str, query: Query) -> AsyncIterator[bytes]:
    async def direct() -> aiohttp.ClientResponse:
        return await _direct(http, port, path, query)

    way = port.other_way
    response = await (direct() if way is None else way.response(direct, path, query, port.token))
    try:
        async with response:
            async for chunk in response.content.iter_any():
                yield chunk
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise NoResponse(f"no answer: {cause(error)}") from error


async def _direct(http: aiohttp.ClientSession, port: AdminPort, path: str, query: Query) -> aiohttp.ClientResponse:
    try:
        response = await http.get(f"{port.url}{path}", params=query, headers=bearer(port.token), allow_redirects=False)
        if response.status == 200:
            return response
        async with response:
            content = await response.content.read(_LINE_BYTES)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise NoResponse(f"no answer: {cause(error)}") from error
    raise problem(response.status, content)


def problem(status: int, content: bytes) -> OstiaryError:
    """Return the error that a response with another status than 200 describes."""
    if status in {401, 403}:
        return Refused(f"it refuses the token with {status}")
    try:
        found = json.loads(content)
        return NotServed(str(found["reason"]), str(found["message"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        return NoResponse(f"it answers {status}")


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise NoResponse("its answer is not JSON") from None
