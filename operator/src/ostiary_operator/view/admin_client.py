"""Requests to the admin port of replicas, for commands.

What a replica sends is untrusted input: another process may have its address.
"""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from ostiary_core.errors import OstiaryError
from ostiary_core.secret_bytes import SecretBytes
from ostiary_operator.status.replicas import NoResponse, Refused, bearer, cause

_MOST_BYTES: Final = 16 * 1024 * 1024
#: Bytes of one line: the gateway writes at most a fraction of it.
_LINE_BYTES: Final = 1024 * 1024
#: An empty line comes every 15 seconds while nothing happens.
_SILENCE_SECONDS: Final = 60.0
_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=_SILENCE_SECONDS)


class NotServed(OstiaryError):
    """A replica answers that it has nothing to show. ``reason`` is one word."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class AdminPort:
    """The admin port of one replica.

    ``gateway`` is ``namespace/name``, or says where the replica runs.
    """

    url: str
    replica: str
    gateway: str
    token: SecretBytes


def session() -> aiohttp.ClientSession:
    """Return a session for admin ports: no cookies, and no proxies."""
    return aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), timeout=_TIMEOUT)


async def document(http: aiohttp.ClientSession, port: AdminPort, path: str, query: Mapping[str, str]) -> Any:
    """Return the JSON document at a path.

    Raises:
        NoResponse: no connection, no response in time, or an unusable one.
        Refused: the token is not accepted.
        NotServed: the replica has no such document.
    """
    body = bytearray()
    async for chunk in _chunks(http, port, path, query):
        body += chunk
        if len(body) > _MOST_BYTES:
            raise NoResponse(f"its answer is larger than {_MOST_BYTES} bytes")
    return _parsed(bytes(body))


async def lines(
    http: aiohttp.ClientSession, port: AdminPort, path: str, query: Mapping[str, str]
) -> AsyncIterator[dict[str, Any]]:
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


async def _chunks(
    http: aiohttp.ClientSession, port: AdminPort, path: str, query: Mapping[str, str]
) -> AsyncIterator[bytes]:
    try:
        async with http.get(
            f"{port.url}{path}", params=query, headers=bearer(port.token), allow_redirects=False
        ) as response:
            if response.status in {401, 403}:
                raise Refused(f"it refuses the token with {response.status}")
            if response.status != 200:
                raise await _problem(response)
            async for chunk in response.content.iter_any():
                yield chunk
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise NoResponse(f"no answer: {cause(error)}") from error


async def _problem(response: aiohttp.ClientResponse) -> OstiaryError:
    """Return the error that a response describes."""
    try:
        found = json.loads(await response.content.read(_LINE_BYTES))
        return NotServed(str(found["reason"]), str(found["message"]))
    except (ValueError, KeyError, TypeError):
        return NoResponse(f"it answers {response.status}")


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise NoResponse("its answer is not JSON") from None
