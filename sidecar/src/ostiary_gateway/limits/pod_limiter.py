"""Counts connections and requests against the limits of a pod, as one of its workers.

No worker asks the others as long as it uses little of a limit (:mod:`.pod_grants`). Beyond, it takes more in advance,
and gives it back with the requests that used it.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

from ostiary_core.contract.bounds import BoundsConfig
from ostiary_gateway.errors import Refusal
from ostiary_gateway.limits.counters import UNLIMITED, Bound, Counters
from ostiary_gateway.limits.limiter import Limiter
from ostiary_gateway.limits.pod_grants import Grants, KeyAllowance, PodScope
from ostiary_gateway.limits.reservation import Reservation
from ostiary_gateway.server.host import CountedConnection
from ostiary_gateway.server.request import Request
from ostiary_gateway.server.response import Response


class PodLimiter(Limiter):
    """A :class:`.Limiter` whose limits are those of the pod.

    ``carried`` is what this process alone can carry.
    """

    def __init__(self, respond: Callable[[Refusal], Response], *, grants: Grants) -> None:
        super().__init__(respond, scope=partial(PodScope, grants=grants))
        self._grants: Final = grants

    def set_bounds(self, bounds: BoundsConfig, *, trusted_proxies: list[str]) -> None:
        """Take new limits of the pod, of which this process may carry less."""
        here = self.carried
        self.carried = None if here is None else here * self._grants.workers
        super().set_bounds(bounds, trusted_proxies=trusted_proxies)
        self.carried = here
        for scope in self.scopes:
            if isinstance(scope, PodScope):
                scope.most_here = UNLIMITED if here is None else here
                scope.divide()

    @property
    def _most_bytes(self) -> int:
        gateway = self.scopes[0]
        whole = gateway.whole[Bound.BYTES] if isinstance(gateway, PodScope) else gateway.bytes
        return whole // self._grants.workers

    def opened(self, connection: CountedConnection) -> Response | None:
        """Count a connection, or return its response at the limit."""
        refused = super().opened(connection)
        if self._grants.extended:
            self._trim_extended()
        return refused

    def closed(self, connection: CountedConnection) -> None:
        """Stop counting a connection."""
        source = self._connections.get(connection)
        super().closed(connection)
        _trim((self.total,) if source is None else (self.total, source))

    def response_taken(self, connection: CountedConnection) -> None:
        """Release the bytes of a response."""
        held = connection.held_response
        super().response_taken(connection)
        if held is not None:
            _trim(held[0])

    def admit(
        self, reservation: Reservation, request: Request, *, proxy: str, principal: str | None, is_stream: bool
    ) -> None:
        """Count a request.

        Raises:
            Refusal: a limit is reached.
        """
        try:
            super().admit(reservation, request, proxy=proxy, principal=principal, is_stream=is_stream)
        finally:
            if self._grants.extended:
                self._trim_extended()

    def release(self, reservation: Reservation, request: Request) -> None:
        """Stop counting a request, if it was."""
        counters = reservation.counters
        super().release(reservation, request)
        _trim(counters)

    def _trim_extended(self) -> None:
        """Give back what was granted for something that another limit refused then."""
        extended = tuple(self._grants.extended)
        self._grants.extended.clear()
        _trim(extended)


def _trim(counters: Iterable[Counters]) -> None:
    for each in counters:
        if each.limits.__class__ is KeyAllowance:
            each.limits.trim(each)
