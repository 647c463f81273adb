"""One upstream server: where it is, how to reach it, how long to wait.

Redirects are never followed, cookies never kept, proxies of the environment never used, and bodies never unpacked: what
the gateway judges is what the server sent.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Mapping
from typing import Any, Final

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from ostiary_core.contract.documents import Server
from ostiary_gateway.upstream.addresses import OwnPlaces, networks
from ostiary_gateway.upstream.answer import Answer
from ostiary_gateway.upstream.faults import as_fault
from ostiary_gateway.upstream.resolver import GuardedResolver, forbidden

#: Shorter than the idle time of common servers (uvicorn closes after 5 s), so that we rarely write into a closing one.
_KEEPALIVE_SECONDS: Final = 4.0
_SKIPPED_HEADERS: Final = ("User-Agent", "Content-Type", "Accept")
#: A stream may be silent for days, so only the kernel notices that its server is gone: after 60 + 4 * 15 seconds.
_PROBING: Final = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4))


class UpstreamServer:
    """A server and its connections. Must be used within one event loop; the pool opens with the first request."""

    def __init__(self, document: Server, *, own: OwnPlaces, connections: int) -> None:
        self.name = document.name
        self.url = URL(document.url)
        self.address = self.url.host or ""
        self.port = self.url.port or 0
        self.idle_seconds = document.timeouts.idle / 1000
        self._connect_seconds = document.timeouts.connect / 1000
        self._request_seconds = document.timeouts.request / 1000
        self._resolver_options = {"granted": networks(document.addresses), "own": own}
        self._tls = _tls_context(document) if self.url.scheme == "https" else None
        self._tls_name = document.tls.hostname if document.tls is not None else None
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None
        self._resolver: GuardedResolver | None = None
        self._in_use = 0
        self._unused = asyncio.Event()

    async def request(self, method: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        """Send a request and return its answer as soon as the head is there; the caller closes it.

        Raises:
            UpstreamFault: no connection, no head in time, or a head that is not HTTP.
        """
        self._in_use += 1
        try:
            return Answer(await self._send(method, headers, body), self._release)
        except BaseException:
            self._release()
            raise

    def _release(self) -> None:
        self._in_use -= 1
        if not self._in_use:
            self._unused.set()

    async def unused(self) -> None:
        """Wait until no answer of this server is open."""
        while self._in_use:
            self._unused.clear()
            await self._unused.wait()

    async def _send(self, method: str, headers: Mapping[str, str], body: bytes | None) -> aiohttp.ClientResponse:
        session = self._opened()
        self._check_literal()
        try:
            async with asyncio.timeout(self._request_seconds):
                return await session.request(
                    method,
                    self.url,
                    data=body,
                    headers=CIMultiDict(headers),
                    allow_redirects=False,
                    ssl=self._tls or True,
                    server_hostname=self._tls_name,
                )
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            raise as_fault(error) from error

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._resolver = GuardedResolver(**self._resolver_options)  # type: ignore[arg-type]  # two kinds of values
            connector = aiohttp.TCPConnector(
                resolver=self._resolver,
                limit=self._connections,
                keepalive_timeout=_KEEPALIVE_SECONDS,
                ttl_dns_cache=5,
                family=socket.AF_UNSPEC,
                socket_factory=_watched_socket,
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._connect_seconds),
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=_SKIPPED_HEADERS,
                auto_decompress=False,
                trust_env=False,
            )
        return self._session

    def _check_literal(self) -> None:
        """Judge an address that stands in the URL itself: the connector does not ask the resolver for those."""
        if self._resolver is None or not _looks_like_address(self.address):
            return
        if not _is_address(self.address) or not self._resolver.permits(self.address, self.port):
            raise forbidden(self.address)

    async def close(self) -> None:
        """Close the pool; requests in flight fail."""
        if self._session is not None:
            await self._session.close()


def _looks_like_address(host: str) -> bool:
    """Say whether a host may be an address; ``127.1`` and ``2130706433`` are, to some, and we refuse those."""
    return ":" in host or host.replace(".", "").isdigit()


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _tls_context(document: Server) -> ssl.SSLContext:
    """Build the context once: it costs more than a hundred requests."""
    authority = document.tls.ca if document.tls is not None else None
    context = ssl.create_default_context(cadata=authority)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _watched_socket(info: tuple[Any, ...]) -> socket.socket:
    """Return a socket whose dead peer the kernel finds out."""
    made = socket.socket(*info[:3])
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _PROBING:
        if hasattr(socket, option):  # not everywhere under this name; then the system's own patience holds
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return made
