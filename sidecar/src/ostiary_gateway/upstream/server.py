"""One upstream server: its URL, its route, its timeouts.

A redirect is followed to another path of the same server, once, and nowhere else. Cookies are never kept, and bodies
never decompressed: the gateway judges exactly what the server sent.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from yarl import URL

from ostiary_core.contract.documents import ServerConfig
from ostiary_core.policy.block_list import places_of
from ostiary_core.secret_bytes import SecretBytes
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.upstream import faults, redirects, via
from ostiary_gateway.upstream.allowed_addresses import OwnEndpoints, networks
from ostiary_gateway.upstream.caller import UpstreamCaller
from ostiary_gateway.upstream.credentials import Credential, CredentialMakers
from ostiary_gateway.upstream.egress import Egress
from ostiary_gateway.upstream.egress_route import Place, Route
from ostiary_gateway.upstream.health import Health
from ostiary_gateway.upstream.http1 import request_head as http1
from ostiary_gateway.upstream.http1.dialer import Dialer
from ostiary_gateway.upstream.http1.pool import Pool
from ostiary_gateway.upstream.http1.upstream_response import UpstreamResponse
from ostiary_gateway.upstream.known_names import KnownNames
from ostiary_gateway.upstream.server_eras import ServerEras
from ostiary_gateway.upstream.tls_contexts import client_context

#: Statuses with which a redirected URL reports that it no longer exists, or moved again.
_GONE: Final = frozenset({301, 302, 303, 307, 308, 404, 405, 410})
_NO_EGRESS: Final = Egress()


class UpstreamServer:
    """A server and its connections.

    Must be used within one event loop; the first request opens a connection.

    ``proxy`` is the identity of its proxy, and ``mark`` what that proxy adds to ``Via``.
    """

    def __init__(
        self,
        document: ServerConfig,
        *,
        own: OwnEndpoints,
        connections: int,
        proxy: str,
        mark: str,
        egress: Egress = _NO_EGRESS,
        credentials: CredentialMakers | None = None,
    ) -> None:
        self._url = url = _checked(URL(document.url))
        #: Its URL as it is configured.
        self.url = document.url
        self._host = document.host
        headers = {header.name: header.value for header in document.headers or ()}
        #: The value of Host.
        self.host = document.host or http1.authority(url)
        self.mark = mark
        self.proxy = proxy
        self.is_blocked = False
        self.health = Health(f"server {document.name} of MCPProxy {proxy} ({url.with_query(None)})")
        #: Which of the protocol's eras it speaks.
        self.eras = ServerEras(document.protocol_version)
        #: The names that it has listed, to any caller.
        self.known = KnownNames()
        self._via = _via([mark])
        self.name = document.name
        self.address = url.host or ""
        self.port = url.port or 0
        #: The hosts and ports by which the settings may block it.
        self.places = places_of(document, host=self.address, port=self.port)
        self.idle_seconds = document.timeouts.idle / 1000
        self.request_seconds = document.timeouts.request / 1000
        self._connect_seconds = document.timeouts.connect / 1000
        self.credential = Credential(document, credentials or CredentialMakers(proxy))
        self._of_request = self.credential.of_request
        lines = SecretBytes(http1.lines(headers) + self._via + self.credential.line)
        self._place = Place(url, document.host, lines)
        authorities = document.tls.ca if document.tls is not None else None
        self._tls = client_context(authorities) if url.scheme == "https" else None
        self._tls_name = document.tls.hostname if document.tls is not None else None
        self._granted = networks(document.addresses)
        self._connections = connections
        self._route = Route(self._place, self._dialer(own, egress), connections=connections)
        #: Pools of earlier routes, on which requests may be in flight.
        self._former: list[Pool] = []
        self._refused_by_former = 0
        self._in_use = 0
        self._unused = asyncio.Event()

    async def request(
        self,
        method: str,
        lines: bytes,
        body: bytes | None,
        *,
        passed: Sequence[str] = (),
        repeatable: bool = False,
        caller: UpstreamCaller | None = None,
        transmission: http1.Transmission | None = None,
    ) -> UpstreamResponse:
        """Send a request and return its response as soon as the head has arrived.

        The caller must close it.

        ``lines`` are the headers of this request, see :func:`.http1.request_head.lines`; ``passed`` are the marks of
        the proxies that it has passed before (:mod:`.via`). A ``repeatable`` request is sent again if a kept connection
        was closed just then. ``caller`` is needed where the credential is made for one. ``transmission`` is told once
        the request is written.

        Raises:
            UpstreamFault: no credential, no connection, no head in time, or a head that is not HTTP.
        """
        self._in_use += 1
        route = self._route
        try:
            if self._of_request is not None:
                lines += await self._of_request.line(caller)
            head = self._passing(route.heads[method], passed) if passed else route.heads[method]
            message = http1.message(head, lines, body)
            body = None  # it is part of ``message``, and would be in memory twice until the response arrives
            response = await route.pool.exchange(
                message, seconds=self.request_seconds, repeatable=repeatable, transmission=transmission
            )
            if response.status >= 300:
                if response.status == 401 and self._of_request is not None:
                    self._of_request.refused(caller)
                response = await self._follow_redirect(route, response, method, message[len(head) :], passed)
        except BaseException:
            self._release()
            raise
        response.released = self._release
        return response

    def _passing(self, head: bytes, passed: Sequence[str]) -> bytes:
        return head.replace(self._via, _via([*passed, self.mark]))

    async def _follow_redirect(
        self, route: Route, response: UpstreamResponse, method: str, rest: bytes, passed: Sequence[str]
    ) -> UpstreamResponse:
        """Follow a redirect to another path of this server, once.

        Return any other response unchanged.

        ``rest`` is what follows the head's constant beginning.
        """
        status = response.status
        if route.is_moved and status in _GONE:
            route.move_back()  # the URL of the earlier redirect no longer exists
        if status not in redirects.FOLLOWED:
            return response
        moved = redirects.target(response.header("location"), self._url, host=self._host)
        if moved is None:
            return response
        response.close()
        heads = route.heads_at(moved)
        response = await route.pool.exchange(self._passing(heads[method], passed) + rest, seconds=self.request_seconds)
        if response.status < 300 and redirects.is_lasting(status, before=self._url, after=moved):
            route.heads = heads
        return response

    def set_route(self, *, own: OwnEndpoints, egress: Egress) -> None:
        """Use another route from now on, if it differs.

        Requests in flight end on the old one, and its connections.
        """
        dialer = self._dialer(own, egress)
        if dialer == self._route.dialer:
            return
        old, self._route = self._route.pool, Route(self._place, dialer, connections=self._connections)
        old.keep_none()
        if self.is_blocked:
            self._route.pool.close()
        self._former.append(old)
        self._forget_former()

    def set_blocked(self, is_blocked: bool) -> None:
        """Refuse every request from now on and end those in flight; or serve again."""
        if is_blocked == self.is_blocked:
            return
        self.is_blocked = is_blocked
        if not is_blocked:
            self._refused_by_former += self._route.pool.refused
            self._route = Route(self._place, self._route.dialer, connections=self._connections)
            return
        for pool in (self._route.pool, *self._former):
            pool.close()

    def as_seen(self, fault: UpstreamFault) -> UpstreamFault:
        """Return the fault as callers see it: a blocked server fails because it is blocked."""
        return faults.blocked() if self.is_blocked else fault

    def _forget_former(self) -> None:
        for pool in [each for each in self._former if each.is_unused]:
            self._refused_by_former += pool.refused
            self._former.remove(pool)
            pool.close()

    def _dialer(self, own: OwnEndpoints, egress: Egress) -> Dialer:
        return Dialer(
            host=self.address,
            port=self.port,
            seconds=self._connect_seconds,
            tls=self._tls,
            tls_name=self._tls_name,
            granted=self._granted,
            own=own,
            egress=egress.proxy_for(self._url.scheme, self.address, self.port),
        )

    def _release(self) -> None:
        self._in_use -= 1
        if not self._in_use:
            self._unused.set()

    async def unused(self) -> None:
        """Wait until no response of this server is open."""
        while self._in_use:
            self._unused.clear()
            await self._unused.wait()

    def set_connection_limit(self, connections: int) -> None:
        """Keep at most ``connections`` connections from now on."""
        self._connections = connections
        self._route.pool.bound(connections)

    @property
    def refused(self) -> int:
        """The number of requests that found no free connection in time."""
        return self._refused_by_former + sum(pool.refused for pool in (self._route.pool, *self._former))

    @property
    def open_connections(self) -> int:
        """The number of its connections, in use or idle."""
        return sum(pool.open_connections for pool in (self._route.pool, *self._former))

    def close(self) -> None:
        """Close every connection; requests in flight fail."""
        if self._of_request is not None:
            self._of_request.close()
        for pool in (self._route.pool, *self._former):
            pool.close()


def _via(marks: list[str]) -> bytes:
    return http1.trusted_lines({"Via": via.header(marks)})


def _checked(url: URL) -> URL:
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError("its url has no http or https scheme, or no host")
    return url
