"""One upstream server: where it is, how to reach it, how long to wait.

Redirects are never followed, cookies never kept, proxies of the environment never used, and bodies never unpacked: what
the gateway judges is what the server sent.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Mapping
from typing import Final

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from ostiary_core.contract.documents import Server
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.addresses import OwnPlaces, networks
from ostiary_gateway.upstream.resolver import GuardedResolver, forbidden

#: Shorter than the idle time of common servers (uvicorn closes after 5 s), so that we rarely write into a closing one.
_KEEPALIVE_SECONDS: Final = 4.0
_SKIPPED_HEADERS: Final = ("User-Agent", "Content-Type", "Accept")


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

    async def request(self, method: str, headers: Mapping[str, str], body: bytes | None) -> aiohttp.ClientResponse:
        """Send a request and return its answer as soon as the head is there; the caller closes it.

        Raises:
            UpstreamFault: no connection, no head in time, or a head that is not HTTP.
        """
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
        if self._resolver is None or not _is_address(self.address):
            return
        if not self._resolver.permits(self.address, self.port):
            raise forbidden(self.address)

    async def close(self) -> None:
        """Close the pool; requests in flight fail."""
        if self._session is not None:
            await self._session.close()


def as_fault(error: BaseException) -> UpstreamFault:
    """Return what an error of the connection means. The order matters: the kinds are subclasses of one another."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, UpstreamFault):
            return cause
        cause = cause.__cause__ or cause.__context__
    for kinds, reason in _FAULTS:
        if isinstance(error, kinds):
            return UpstreamFault(reason, f"{type(error).__name__}: {error}")
    return UpstreamFault(faults.INVALID, f"{type(error).__name__}: {error}")


_FAULTS: Final[tuple[tuple[tuple[type[BaseException], ...], str], ...]] = (
    ((aiohttp.ConnectionTimeoutError,), faults.CONNECT_TIMEOUT),
    ((TimeoutError,), faults.TIMEOUT),
    ((aiohttp.ClientSSLError, ssl.SSLError), faults.TLS_FAILED),
    ((aiohttp.ClientConnectorError,), faults.UNREACHABLE),
    ((aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, aiohttp.ClientPayloadError), faults.RESET),
    ((OSError,), faults.UNREACHABLE),
)


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
