"""One place where a server is reached: its route there, and the connections on it.

A redirect is followed to another path of the same server, once, and nowhere else.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Final

from ostiary_gateway.upstream import redirects, via
from ostiary_gateway.upstream.allowed_addresses import OwnEndpoints
from ostiary_gateway.upstream.egress import Egress
from ostiary_gateway.upstream.egress_route import Place, Route
from ostiary_gateway.upstream.endpoint_place import EndpointPlace
from ostiary_gateway.upstream.http1 import request_head as http1
from ostiary_gateway.upstream.http1.dialer import Dialer
from ostiary_gateway.upstream.http1.pool import Pool
from ostiary_gateway.upstream.http1.upstream_response import UpstreamResponse

#: Statuses with which a redirected URL reports that it no longer exists, or moved again.
_GONE: Final = frozenset({301, 302, 303, 307, 308, 404, 405, 410})


class UpstreamEndpoint:
    """An endpoint of a server, with its connections: at most ``connections`` at a time.

    ``place`` is its URL with the lines of every request, among them ``Via`` with ``mark``. ``direct`` makes what
    connects to it without an egress proxy. ``where`` is its place among those of its server, None where the URL alone
    leads to it.

    Its route is made when it gets its first request: a list may bring a thousand endpoints at once.
    """

    def __init__(
        self,
        place: Place,
        direct: Callable[[], Dialer],
        *,
        own: OwnEndpoints,
        egress: Egress,
        connections: int,
        mark: str,
        where: EndpointPlace | None = None,
    ) -> None:
        self.mark = mark
        self.where = where
        #: Address and port; None where it is reached by the host of the URL.
        self.peer = (where.address, where.port) if where is not None else None
        #: What stands for it in the ids of sessions; empty where the URL alone leads to it.
        self.key = where.key(mark) if where is not None else b""
        #: The number of requests and streams on it; not counted where a server has one endpoint.
        self.open_requests = 0
        #: Whether its server has it no longer.
        self.is_gone = False
        #: How many requests in a row have failed, and how often it was ejected in a row.
        self.failures = self.ejections = 0
        #: Whether it gets no requests for a time since they failed, and when it got some again (monotonic).
        self.is_ejected = False
        self.returned_at = float("-inf")
        #: Whether one request has to show first that it works again, and whether that is under way.
        self.is_on_trial = self.is_tried = False
        #: Until when the log says nothing of it (monotonic), and whether it has said that it gets no requests.
        self.silent_until, self.is_logged = 0.0, False
        #: How many probes in a row have failed, and whether these are too many.
        self.failed_probes = 0
        self.is_unhealthy = False
        self._place = place
        self._make_direct = direct
        self._own, self._egress = own, egress
        self._via = via_lines([mark])
        self._connections = connections
        #: Pools of earlier routes, on which requests may be in flight.
        self._former: list[Pool] = []
        self._refused_by_former = 0
        #: Whether the gateway's settings block it.
        self.is_blocked = False
        self._is_closed = False

    @cached_property
    def route(self) -> Route:
        """The route in use."""
        made = self._route(self._dialer(self._own, self._egress))
        if self._is_closed:
            made.pool.close()
        return made

    @cached_property
    def _direct(self) -> Dialer:
        return self._make_direct()

    @property
    def _pools(self) -> list[Pool]:
        """The pools of its routes, as far as these were used."""
        made = [self.route.pool] if "route" in self.__dict__ else []
        return made + self._former

    @property
    def title(self) -> str:
        """Address and port, for messages."""
        return self.where.title if self.where is not None else http1.authority(self._place.url)

    @property
    def is_usable(self) -> bool:
        """Whether it works, as far as requests and probes have shown."""
        return not (self.is_ejected or self.is_unhealthy or self.is_tried)

    @property
    def state(self) -> str:
        """Its state, as reports name it."""
        if self.is_blocked:
            return "blocked"
        if self.is_draining:
            return "draining"
        if self.is_ejected:
            return "ejected"
        return "unhealthy" if self.is_unhealthy else "ready"

    @property
    def is_near(self) -> bool:
        """Whether it is preferred to those that are not near."""
        return self.where is not None and self.where.is_near

    @property
    def is_draining(self) -> bool:
        """Whether it gets only requests of sessions that it has."""
        return self.where is not None and self.where.is_draining

    @property
    def is_rest(self) -> bool:
        """Whether it is of a REST service, which does not speak MCP."""
        return self._place.is_rest

    def move(self, where: EndpointPlace | None) -> None:
        """Take what is known of its place now.

        One that is about to end may close a connection while a request arrives there: none is kept idle.
        """
        was_draining, self.where = self.is_draining, where
        if self.is_draining:
            self.keep_none()
        elif was_draining and "route" in self.__dict__:
            self.route.pool.keep_again()

    def passing(self, head: bytes, passed: Sequence[str]) -> bytes:
        """Return the beginning of a request that has passed other proxies, with their marks."""
        return head.replace(self._via, via_lines([*passed, self.mark]))

    async def follow_redirect(
        self,
        route: Route,
        response: UpstreamResponse,
        method: str,
        rest: bytes,
        passed: Sequence[str],
        *,
        seconds: float,
    ) -> UpstreamResponse:
        """Follow a redirect to another path of this server, once.

        Return any other response unchanged.

        ``rest`` is what follows the head's constant beginning.

        Raises:
            UpstreamFault: no response to the second request.
        """
        status, url = response.status, self._place.url
        if self._place.is_rest:  # its requests have paths of their own
            return response
        if route.is_moved and status in _GONE:
            route.move_back()  # the URL of the earlier redirect no longer exists
        if status not in redirects.FOLLOWED:
            return response
        moved = redirects.target(response.header("location"), url, host=self._place.host)
        if moved is None:
            return response
        response.close()
        heads = route.heads_at(moved)
        response = await route.pool.exchange(self.passing(heads[method], passed) + rest, seconds=seconds)
        if response.status < 300 and redirects.is_lasting(status, before=url, after=moved):
            route.heads = heads
        return response

    def set_route(self, *, own: OwnEndpoints, egress: Egress) -> None:
        """Use another route from now on, if it differs.

        Requests in flight end on the old one, and its connections.
        """
        self._own, self._egress = own, egress
        if "route" not in self.__dict__:
            return
        dialer = self._dialer(own, egress)
        if dialer == self.route.dialer:
            return
        old, self.route = self.route.pool, self._route(dialer)
        old.keep_none()
        if self.is_blocked:
            self.route.pool.close()
        self._former.append(old)
        self._forget_former()

    def _route(self, dialer: Dialer) -> Route:
        route = Route(self._place, dialer, connections=self._connections)
        if self.is_draining:
            route.pool.keep_none()
        return route

    def _dialer(self, own: OwnEndpoints, egress: Egress) -> Dialer:
        direct, url = self._direct, self._place.url
        # A pod of a Service is in the cluster as the Service is, whatever its address looks like.
        proxy = egress.proxy_for(url.scheme, url.host or "", url.port or 0)
        if proxy is not None and self.where is not None:
            proxy = egress.proxy_for(url.scheme, direct.host, direct.port)
        return replace(direct, own=own, egress=proxy)

    def set_blocked(self, is_blocked: bool) -> None:
        """Close every connection and refuse every request from now on; or serve again."""
        if is_blocked == self.is_blocked:
            return
        self.is_blocked = is_blocked
        if is_blocked:
            self.close()
            return
        self._is_closed = False
        if "route" not in self.__dict__:
            return
        self._refused_by_former += self.route.pool.refused
        self.route = self._route(self.route.dialer)

    def set_connection_limit(self, connections: int) -> None:
        """Keep at most ``connections`` connections from now on."""
        self._connections = connections
        if "route" in self.__dict__:
            self.route.pool.bound(connections)

    def keep_none(self) -> None:
        """Close idle connections now, and each other one after its exchange."""
        for pool in self._pools:
            pool.keep_none()

    def _forget_former(self) -> None:
        for pool in [each for each in self._former if each.is_unused]:
            self._refused_by_former += pool.refused
            self._former.remove(pool)
            pool.close()

    @property
    def refused(self) -> int:
        """The number of requests that found no free connection in time."""
        return self._refused_by_former + sum(pool.refused for pool in self._pools)

    @property
    def open_connections(self) -> int:
        """The number of its connections, in use or idle."""
        return sum(pool.open_connections for pool in self._pools)

    def close(self) -> None:
        """Close every connection; requests in flight fail."""
        self._is_closed = True
        for pool in self._pools:
            pool.close()


def via_lines(marks: list[str]) -> bytes:
    """Return the header ``Via`` with these marks."""
    return http1.trusted_lines({"Via": via.header(marks)})
