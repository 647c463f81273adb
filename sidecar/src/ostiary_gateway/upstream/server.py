"""One upstream server: where it is, how to reach it, how long to wait.

A redirect is followed to another path of the same server, once, and nowhere else. Cookies are never kept, and bodies
never unpacked: what the gateway judges is what the server sent.
"""

import asyncio
import ssl
from collections.abc import Sequence
from typing import Final

from yarl import URL

from ostiary_core.contract.documents import Server
from ostiary_gateway.media_types import BOTH, EVENT_STREAM, JSON
from ostiary_gateway.upstream import hops, redirects
from ostiary_gateway.upstream.addresses import OwnPlaces, networks
from ostiary_gateway.upstream.egress import Egress
from ostiary_gateway.upstream.health import Health
from ostiary_gateway.upstream.http1 import request as http1
from ostiary_gateway.upstream.http1.answer import Answer
from ostiary_gateway.upstream.http1.dialing import Dialer
from ostiary_gateway.upstream.http1.pool import Pool

#: Shorter than the idle time of common servers (uvicorn closes after 5 s), so that we rarely meet a closing one.
_KEEPALIVE_SECONDS: Final = 4.0
#: Statuses by which a place says that it is none, or another one.
_GONE: Final = frozenset({301, 302, 303, 307, 308, 404, 405, 410})
#: What every request of a method says, to any server.
_HEADERS: Final = {
    "POST": {"Accept-Encoding": "identity", "Accept": BOTH, "Content-Type": JSON},
    "GET": {"Accept-Encoding": "identity", "Accept": EVENT_STREAM},
    "DELETE": {"Accept-Encoding": "identity", "Accept": BOTH},
}


_NO_EGRESS: Final = Egress()


class UpstreamServer:
    """A server and its connections. Must be used within one event loop; the first request opens the first of them.

    ``proxy`` is the identity of the proxy that it stands behind, and ``mark`` what that proxy adds to ``Via``.
    """

    def __init__(
        self,
        document: Server,
        *,
        own: OwnPlaces,
        connections: int,
        proxy: str,
        mark: str,
        egress: Egress = _NO_EGRESS,
    ) -> None:
        self._url = url = _checked(URL(document.url))
        self._host = document.host
        self._headers = {header.name: header.value for header in document.headers or ()}
        #: What is sent as Host.
        self.host = document.host or http1.authority(url)
        self.mark = mark
        self.health = Health(f"server {document.name} of MCPProxy {proxy} ({url.with_query(None)})")
        self._via = _via([mark])
        self.name = document.name
        self.address = url.host or ""
        self.port = url.port or 0
        egress_proxy = egress.proxy_for(url.scheme, self.address, self.port)
        # A server that speaks TLS has a tunnel; else it is the proxy that reads our requests.
        self._relayed_by = egress_proxy if url.scheme == "http" else None
        self.idle_seconds = document.timeouts.idle / 1000
        self.request_seconds = document.timeouts.request / 1000
        #: The beginnings of requests, at the place that was configured, and at the one where they go now.
        self._configured = self._heads = self._heads_at(url)
        dialer = Dialer(
            host=self.address,
            port=self.port,
            seconds=document.timeouts.connect / 1000,
            tls=_tls_context(document) if url.scheme == "https" else None,
            tls_name=document.tls.hostname if document.tls is not None else None,
            granted=networks(document.addresses),
            own=own,
            egress=egress_proxy,
        )
        self._pool = Pool(
            dialer.dial,
            limit=connections,
            keep_seconds=_KEEPALIVE_SECONDS,
            wait_seconds=document.timeouts.connect / 1000,
        )
        self._in_use = 0
        self._unused = asyncio.Event()

    async def request(
        self, method: str, lines: bytes, body: bytes | None, *, passed: Sequence[str] = (), repeatable: bool = False
    ) -> Answer:
        """Send a request and return its answer as soon as the head is there; the caller closes it.

        ``lines`` are the headers of this request, see :func:`.http1.request.lines`; ``passed`` are the marks of the
        proxies that it has passed before (:mod:`.hops`). One that is ``repeatable`` is sent once more where a kept
        connection ended just then.

        Raises:
            UpstreamFault: no connection, no head in time, or a head that is not HTTP.
        """
        self._in_use += 1
        try:
            head = self._passing(self._heads[method], passed) if passed else self._heads[method]
            message = http1.message(head, lines, body)
            body = None  # it is in there, and would be held twice until the answer comes
            answer = await self._pool.exchange(message, seconds=self.request_seconds, repeatable=repeatable)
            if answer.status >= 300:
                answer = await self._elsewhere(answer, method, message[len(head) :], passed)
        except BaseException:
            self._release()
            raise
        answer.released = self._release
        return answer

    def _passing(self, head: bytes, passed: Sequence[str]) -> bytes:
        return head.replace(self._via, _via([*passed, self.mark]))

    async def _elsewhere(self, answer: Answer, method: str, rest: bytes, passed: Sequence[str]) -> Answer:
        """Follow a redirect to another path of this server, once; return anything else as it is.

        ``rest`` is what follows the head's constant beginning.
        """
        status = answer.status
        if self._heads is not self._configured and status in _GONE:
            self._heads = self._configured  # the place that we were sent to once is none any more
        if status not in redirects.FOLLOWED:
            return answer
        moved = redirects.target(answer.header("location"), self._url, host=self._host)
        if moved is None:
            return answer
        answer.close()
        heads = self._heads_at(moved)
        answer = await self._pool.exchange(self._passing(heads[method], passed) + rest, seconds=self.request_seconds)
        if answer.status < 300 and redirects.is_lasting(status, before=self._url, after=moved):
            self._heads = heads
        return answer

    def _heads_at(self, url: URL) -> dict[str, bytes]:
        more = http1.lines(self._headers) + self._via
        relayed_by = self._relayed_by
        if relayed_by is not None and relayed_by.authorization is not None:
            more += http1.trusted_lines({"Proxy-Authorization": relayed_by.authorization})
        return {
            method: http1.head_start(method, url, headers, host=self._host, absolute=relayed_by is not None) + more
            for method, headers in _HEADERS.items()
        }

    def _release(self) -> None:
        self._in_use -= 1
        if not self._in_use:
            self._unused.set()

    async def unused(self) -> None:
        """Wait until no answer of this server is open."""
        while self._in_use:
            self._unused.clear()
            await self._unused.wait()

    def bound(self, connections: int) -> None:
        """Keep at most so many connections from now on."""
        self._pool.bound(connections)

    @property
    def refused(self) -> int:
        """How many requests found no free connection in time."""
        return self._pool.refused

    def close(self) -> None:
        """Close every connection; requests in flight fail."""
        self._pool.close()


def _via(marks: list[str]) -> bytes:
    return http1.trusted_lines({"Via": hops.header(marks)})


def _checked(url: URL) -> URL:
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError("its url names no scheme of HTTP, or no host")
    return url


def _tls_context(document: Server) -> ssl.SSLContext:
    """Build the context once: it costs more than a hundred requests."""
    authority = document.tls.ca if document.tls is not None else None
    if authority is not None and not authority.isascii():
        raise ValueError("its certificate authorities are not PEM")
    context = ssl.create_default_context(cadata=authority)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
