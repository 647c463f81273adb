"""One upstream server: what it is, how it does, and the endpoints where it is reached.

A redirect is followed to another path of the same server, once, and nowhere else. Cookies are never kept, and bodies
never decompressed: the gateway judges exactly what the server sent.
"""

import asyncio
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Final

from yarl import URL

from ostiary_core.contract.documents import ServerConfig
from ostiary_core.contract.server_resilience import EndpointConfig
from ostiary_core.policy.block_list import BlockList, places_of
from ostiary_core.secret_bytes import SecretBytes
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.allowed_addresses import OwnEndpoints
from ostiary_gateway.upstream.caller import UpstreamCaller
from ostiary_gateway.upstream.circuit_breaker import CircuitBreaker
from ostiary_gateway.upstream.credentials import Credential, CredentialMakers
from ostiary_gateway.upstream.egress import Egress
from ostiary_gateway.upstream.endpoint import UpstreamEndpoint, via_lines
from ostiary_gateway.upstream.endpoint_factory import EndpointFactory
from ostiary_gateway.upstream.endpoint_place import EndpointPlace
from ostiary_gateway.upstream.endpoint_set import EndpointSet
from ostiary_gateway.upstream.health import Health
from ostiary_gateway.upstream.http1 import request_head as http1
from ostiary_gateway.upstream.http1.upstream_response import UpstreamResponse
from ostiary_gateway.upstream.known_names import KnownNames
from ostiary_gateway.upstream.load_balancing import load_balancer
from ostiary_gateway.upstream.retry_policy import RetryPolicy
from ostiary_gateway.upstream.server_eras import ServerEras

_NO_EGRESS: Final = Egress()


class UpstreamServer:
    """A server and its connections.

    Must be used within one event loop; the first request opens a connection.

    ``proxy`` is the identity of its proxy, and ``mark`` what that proxy adds to ``Via``.
    """

    #: Whether nothing but calls of tools leaves the gateway: all else is answered here.
    sends_calls_only = False
    needs_caller = False
    #: Set when no response is open; made by who waits for that, once in the life of a server.
    _unused: asyncio.Event | None = None

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
        headers = {header.name: header.value for header in document.headers or ()}
        #: The value of Host.
        self.host = document.host or http1.authority(url)
        self.mark = mark
        self.proxy = proxy
        self.is_blocked = False
        #: Whether no config in force has it any more.
        self.is_retired = False
        self.health = Health(f"server {document.name} of MCPProxy {proxy} ({url.with_query(None)})")
        #: The newest protocol revision that it has shown to support; None before any.
        self.revision: str | None = document.protocol_version
        #: Which of the protocol's eras it speaks.
        self.eras = ServerEras(document.protocol_version)
        #: The names that it has listed, to any caller.
        self.known = KnownNames()
        breaker = document.circuit_breaker
        #: What refuses requests while too many fail; None where nothing is set.
        self.breaker = CircuitBreaker(breaker, title=self.health.title, known=self.known) if breaker else None
        self.name = document.name
        self.address = url.host or ""
        self.port = url.port or 0
        #: The hosts and ports by which the settings may block it.
        self.places = places_of(document, host=self.address, port=self.port)
        self.idle_seconds = document.timeouts.idle / 1000
        self.request_seconds = document.timeouts.request / 1000
        self.credential = Credential(document, credentials or CredentialMakers(proxy))
        self._of_request = self.credential.of_request
        #: The headers that every request to it has of its own, in lower case.
        self.own_headers = frozenset({*map(str.lower, headers), self.credential.header})
        #: Whether requests must name their caller.
        self.needs_caller = self.needs_caller or self.credential.is_of_caller
        lines = SecretBytes(http1.lines(headers) + via_lines([mark]) + self.credential.line)
        self._factory = EndpointFactory(
            document, url, lines, own=own, egress=egress, connections=connections, mark=mark
        )
        #: Where it is reached if it has several places; None where its URL alone leads to it.
        self.endpoints = _endpoints(document, self._factory, title=self.health.title)
        #: When a request to it is sent again; None where none is.
        self.retry = RetryPolicy.of(document.retry, has_endpoints=self.endpoints is not None)
        #: The endpoint at the host of its URL; without connections where there are several.
        self._at_url = self._factory.make()
        #: The Service whose EndpointSlices say where it is reached; None without.
        self.discovery = document.discovery
        #: What stands for it in sessions with several servers; empty before the first.
        self.session_mark = b""
        self._in_use = 0

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
        endpoint: UpstreamEndpoint | None = None,
    ) -> UpstreamResponse:
        """Send a request and return its response as soon as the head has arrived.

        The caller must close it.

        ``lines`` are the headers of this request, see :func:`.http1.request_head.lines`; ``passed`` are the marks of
        the proxies that it has passed before (:mod:`.via`). A ``repeatable`` request is sent again if a kept connection
        was closed just then. ``caller`` is needed where the credential is made for one. ``transmission`` is told once
        the request is written. ``endpoint`` gets it, where there are several; without it one is picked.

        Raises:
            UpstreamFault: no credential, no connection, no head in time, or a head that is not HTTP.
        """
        self._in_use += 1
        opened: UpstreamEndpoint | None = None
        endpoints = self.endpoints
        try:
            if endpoints is None:
                endpoint = self._at_url
            else:
                endpoint = opened = endpoint or endpoints.pick()
                endpoints.open(opened)
            route = endpoint.route
            if self._of_request is not None:
                lines += await self._of_request.line(caller)
            head = endpoint.passing(route.heads[method], passed) if passed else route.heads[method]
            message = http1.message(head, lines, body)
            body = None  # it is part of ``message``, and would be in memory twice until the response arrives
            response = await route.pool.exchange(
                message, seconds=self.request_seconds, repeatable=repeatable, transmission=transmission
            )
            if response.status >= 300:
                if response.status == 401 and self._of_request is not None:
                    self._of_request.refused(caller)
                response = await endpoint.follow_redirect(
                    route, response, method, message[len(head) :], passed, seconds=self.request_seconds
                )
        except BaseException as error:
            if opened is not None and isinstance(error, UpstreamFault):
                error.peer = opened.peer
            self._release(opened, None, error)
            raise
        if opened is None or endpoints is None:
            response.released = self._release
        else:
            response.endpoint = opened
            response.released = partial(self._release, opened, response)
            if opened.is_on_trial:
                endpoints.responds(opened, response)
        return response

    @property
    def _each(self) -> Iterable[UpstreamEndpoint]:
        """Its endpoints, also those that are gone and have requests in flight."""
        return (self._at_url,) if self.endpoints is None else self.endpoints

    def has_tool(self, name: str) -> bool:  # noqa: ARG002  servers that list their tools here know it
        """Return whether the server may have a tool; False only where it is known here."""
        return True

    def set_route(self, *, own: OwnEndpoints, egress: Egress) -> None:
        """Use another route from now on, if it differs.

        Requests in flight end on the old one, and its connections.
        """
        self._factory.own, self._factory.egress = own, egress
        for endpoint in self._each:
            endpoint.set_route(own=own, egress=egress)

    def set_blocked(self, is_blocked: bool, blocked: BlockList | None = None) -> None:
        """Refuse every request from now on and end those in flight; or serve again.

        ``blocked`` is what the settings block, which may name an endpoint of a server that is not blocked.
        """
        self.is_blocked = self._factory.is_blocked = is_blocked
        if self.endpoints is None:
            self._at_url.set_blocked(is_blocked)
        else:
            self.endpoints.set_blocked(blocked, all_are_blocked=is_blocked)

    def as_seen(self, fault: UpstreamFault) -> UpstreamFault:
        """Return the fault as callers see it: a blocked server fails because it is blocked."""
        return faults.blocked() if self.is_blocked else fault

    def set_zone(self, zone: str) -> None:
        """Prefer its endpoints in this zone, where a list says in which zone each is."""
        if self.endpoints is not None and self.discovery is None:
            self.endpoints.set_zone(zone)

    def start(self) -> None:
        """Begin to probe its endpoints, where that is wanted."""
        if self.endpoints is not None and self.endpoints.probes is not None:
            self.endpoints.probes.start()

    def retire(self) -> None:
        """Note that no config in force has it any more; what is in flight ends."""
        self.is_retired = True
        if self.endpoints is not None:
            self.endpoints.stop()

    def _release(
        self,
        opened: UpstreamEndpoint | None = None,
        response: UpstreamResponse | None = None,
        error: BaseException | None = None,
    ) -> None:
        self._in_use -= 1
        if opened is not None and self.endpoints is not None:
            self.endpoints.release(opened, response, error)
        if not self._in_use and self._unused is not None:
            self._unused.set()

    async def unused(self) -> None:
        """Wait until no response of this server is open."""
        while self._in_use:
            self._unused = asyncio.Event()
            await self._unused.wait()

    def set_connection_limit(self, connections: int) -> None:
        """Keep at most ``connections`` connections from now on."""
        self._factory.connections = connections
        for endpoint in self._each:
            endpoint.set_connection_limit(connections)

    @property
    def refused(self) -> int:
        """The number of requests that found no free connection in time."""
        return self._at_url.refused if self.endpoints is None else self.endpoints.refused

    @property
    def open_connections(self) -> int:
        """The number of its connections, in use or idle."""
        return sum(endpoint.open_connections for endpoint in self._each)

    async def ended(self) -> None:
        """Wait for the end of its probes, once it is closed."""
        if self.endpoints is not None and self.endpoints.probes is not None:
            await self.endpoints.probes.ended()

    def close(self) -> None:
        """Close every connection; requests in flight fail."""
        if self._of_request is not None:
            self._of_request.close()
        if self.endpoints is not None:
            self.endpoints.stop()
        for endpoint in self._each:
            endpoint.close()


def _checked(url: URL) -> URL:
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError("its url has no http or https scheme, or no host")
    return url


def _endpoints(document: ServerConfig, factory: EndpointFactory, *, title: str) -> EndpointSet | None:
    """Return the endpoints of a server with several places.

    Those of a discovery are not known yet.
    """
    if document.endpoints is None and document.discovery is None:
        return None
    balancer = load_balancer(document.load_balancer)
    endpoints = EndpointSet(factory.make, balancer, title=title, health_check=document.health_check)
    if document.endpoints is not None:
        endpoints.source = "Static"
        endpoints.set_places(_listed(document.endpoints))
    return endpoints


def _listed(endpoints: Sequence[EndpointConfig]) -> list[EndpointPlace]:
    return [EndpointPlace(each.address, each.port, zone=each.zone or "") for each in endpoints]
