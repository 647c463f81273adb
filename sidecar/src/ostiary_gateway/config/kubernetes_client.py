"""A minimal Kubernetes client for the gateway: read and watch objects, on aiohttp.

The token is read from its file for each request, since the kubelet replaces it before it expires. An answer that the
API does not promise is a :class:`ConfigUnavailable`: the request is tried again, and the answer is not used.
"""

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
from aiohttp.connector import AddrInfoType

from ostiary_gateway.errors import ApiForbidden, ConfigUnavailable
from ostiary_gateway.options import KubernetesOptions

#: The server ends a watch after this many seconds; somewhat later, silence means a dead connection.
WATCH_SECONDS: Final = 300
_SILENCE_SECONDS: Final = 330
_READ_SECONDS: Final = 30.0
#: An object of the API is at most 1.5 MiB; a watch event wraps one.
_LINE_BYTES: Final = 4 * 1024 * 1024
_GONE: Final = 410
#: TCP keep-alive: seconds of silence before the first probe, seconds between probes, their number. A watch is silent
#: until something changes: without probes, one whose API server is gone would miss changes for minutes.
_PROBING: Final = (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))
#: Iterations of the event loop after which a closed transport has really closed.
_CLOSING_TURNS: Final = 5


class KubernetesApi:
    """A connection to the API server; use it as an asynchronous context manager."""

    def __init__(self, options: KubernetesOptions) -> None:
        self._options = options

    async def __aenter__(self) -> "KubernetesApi":
        """Open the connection.

        Raises:
            ConfigUnavailable: the CA file cannot be read.
        """
        try:
            context = ssl.create_default_context(cafile=str(self._options.ca_file))
        except (OSError, ssl.SSLError) as error:
            raise ConfigUnavailable(f"{self._options.ca_file}: {error}") from error
        self._connector = aiohttp.TCPConnector(ssl=context, socket_factory=_probed_socket)
        self._session = aiohttp.ClientSession(
            base_url=self._options.api,
            connector=self._connector,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=_SILENCE_SECONDS),
            read_bufsize=_LINE_BYTES,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connection at once."""
        await self._connector.close(abort_ssl=True)
        await self._session.close()
        for _turn in range(_CLOSING_TURNS):
            await asyncio.sleep(0)

    async def get(self, path: str, query: Mapping[str, str]) -> dict[str, Any]:
        """Read an object or a list.

        Raises:
            ApiForbidden: the gateway has no right to it.
            ConfigUnavailable: the object cannot be read now.
        """
        try:
            async with asyncio.timeout(_READ_SECONDS), self._request(path, query) as response:
                _require_success(response, path)
                return _object(await response.json(), path)
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            raise ConfigUnavailable(f"{type(error).__name__}: {error}") from error

    async def watch(self, path: str, query: Mapping[str, str]) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """Yield type and object of each event until the watch ends or expires.

        Raises:
            ConfigUnavailable: the watch broke off, or the server reports an error.
        """
        query = {**query, "watch": "1", "allowWatchBookmarks": "true", "timeoutSeconds": str(WATCH_SECONDS)}
        try:
            async with self._request(path, query) as response:
                _require_success(response, path)
                async for line in _lines(response):
                    event = _object(json.loads(line), path)
                    found = _object(event.get("object"), path)
                    if event.get("type") == "ERROR":
                        _require_expired(found)
                        return
                    yield str(event.get("type")), found
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            raise ConfigUnavailable(f"{type(error).__name__}: {error}") from error

    @asynccontextmanager
    async def _request(self, path: str, query: Mapping[str, str]) -> AsyncIterator[aiohttp.ClientResponse]:
        async with self._session.get(path, params=query, headers=self._headers(), allow_redirects=False) as response:
            try:
                yield response
            except BaseException:
                # aiohttp would start TLS's closing handshake, but nothing waits for it: the event loop may end first.
                if response.connection is not None and response.connection.transport is not None:
                    response.connection.transport.abort()
                raise

    def _headers(self) -> dict[str, str]:
        try:
            token = self._options.token_file.read_text().strip()
        except OSError as error:
            raise ConfigUnavailable(f"{self._options.token_file}: {error.strerror}") from error
        return {"Authorization": f"Bearer {token}", "Accept": "application/json"}


def _probed_socket(address: AddrInfoType) -> socket.socket:
    """Return a socket that notices when its peer is gone."""
    made = socket.socket(family=address[0], type=address[1], proto=address[2])
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _PROBING:
        if hasattr(socket, option):  # not every system has this name; then its defaults apply
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return made


def _object(value: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigUnavailable(f"the response for {path} is not an object")
    return value


def _require_expired(status: Mapping[str, Any]) -> None:
    """Accept an expired watch, which is normal and restarted with a list.

    Raise for any other error.
    """
    if status.get("code") != _GONE:
        raise ConfigUnavailable(f"the watch ended with {status.get('code')} {status.get('reason')}")


def _require_success(response: aiohttp.ClientResponse, path: str) -> None:
    if response.status == 403:
        raise ApiForbidden(f"403 for {path}: the gateway's Role must grant get, list and watch on this name")
    if response.status != 200:
        raise ConfigUnavailable(f"HTTP {response.status} for {path}")


async def _lines(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """Yield whole lines up to the limit (aiohttp's own line reader has a smaller limit)."""
    buffer = b""
    async for chunk in response.content.iter_any():
        *lines, buffer = (buffer + chunk).split(b"\n")
        for line in lines:
            if line:
                yield line
        if len(buffer) > _LINE_BYTES:
            raise ConfigUnavailable("a watch event is larger than any object can be")
