"""The endpoints of a server that has several, and which one gets a request.

An endpoint is *ready*, or it is *draining*: about to end, so that it gets only what belongs to sessions that it has.
One that is no longer listed is *gone*: its requests in flight end, and it gets no further ones.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Final

from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.endpoint import UpstreamEndpoint
from ostiary_gateway.upstream.endpoint_place import EndpointPlace
from ostiary_gateway.upstream.load_balancing import LoadBalancer

#: Makes an endpoint at a place; None stands for the host of the server's URL.
MakeEndpoint = Callable[[EndpointPlace | None], UpstreamEndpoint]
_Address = tuple[str, int]
#: Stands for the endpoint at the host of the URL.
_AT_URL: Final[_Address] = ("", 0)


class EndpointSet:
    """The endpoints of one server. Must be used within one event loop.

    Until :meth:`set_places` is called it has one, at the host of the server's URL.
    """

    def __init__(self, make: MakeEndpoint, balancer: LoadBalancer) -> None:
        self._make = make
        self._balancer = balancer
        self._endpoints: dict[_Address, UpstreamEndpoint] = {_AT_URL: make(None)}
        self._by_key: dict[bytes, UpstreamEndpoint] = {}
        #: Those that are gone, with requests in flight.
        self._leaving: set[UpstreamEndpoint] = set()
        self._refused_by_gone = 0
        #: Those that a request may get, the most preferred ones first; each list holds all of the one before.
        self._tiers: list[list[UpstreamEndpoint]] = []
        self._candidates: list[UpstreamEndpoint] = []
        #: The number of requests and streams that are open.
        self.open_requests = 0
        #: What says which endpoints there are: ``Static``, ``EndpointSlices``, or ``Service`` for its name alone.
        self.source = "Service"
        #: Why it is not EndpointSlices, although it should be: a reason and a message.
        self.problem: tuple[str, str] | None = None
        self._refresh()

    def __iter__(self) -> Iterator[UpstreamEndpoint]:
        """Yield every endpoint, also those that are gone and have requests in flight."""
        yield from self._endpoints.values()
        yield from self._leaving

    def set_places(self, places: Sequence[EndpointPlace] | None) -> None:
        """Replace the list of endpoints.

        One that stays keeps its connections, and one that is gone keeps those in use until their requests end. None:
        it is not known, and the host of the URL is used.
        """
        wanted: dict[_Address, EndpointPlace | None] = {_AT_URL: None}
        if places is not None:
            wanted = {(each.address, each.port): each for each in places}
        before, self._endpoints = self._endpoints, {}
        for address, place in wanted.items():
            self._endpoints[address] = self._kept(before.get(address), place) or self._make(place)
        for address, endpoint in before.items():
            if self._endpoints.get(address) is not endpoint:
                self._retire(endpoint)
        self._by_key = {each.key: each for each in self._endpoints.values() if each.key}
        self._refresh()

    @staticmethod
    def _kept(known: UpstreamEndpoint | None, place: EndpointPlace | None) -> UpstreamEndpoint | None:
        if known is None or (known.where is None) != (place is None):
            return None
        if place is not None and place.key(known.mark) != known.key:
            return None  # another pod has the address now
        known.where = place
        return known

    def _retire(self, endpoint: UpstreamEndpoint) -> None:
        endpoint.is_gone = True
        if endpoint.open_requests:
            self._leaving.add(endpoint)
            endpoint.keep_none()
        else:
            self._close(endpoint)

    def _close(self, endpoint: UpstreamEndpoint) -> None:
        self._refused_by_gone += endpoint.refused
        endpoint.close()

    def _refresh(self) -> None:
        """Compute which endpoints may get requests."""
        every = list(self._endpoints.values())
        ready = [each for each in every if not each.is_draining]
        near = [each for each in ready if each.is_near]
        # As kube-proxy does: with nothing ready, those that are about to end serve on.
        self._tiers = [tier for tier in (near, ready, every) if tier]
        self._candidates = self._tiers[0] if self._tiers else []

    def pick(self, pinned: bytes = b"", excluded: Collection[UpstreamEndpoint] = ()) -> UpstreamEndpoint:
        """Return the endpoint for the next request.

        ``pinned`` is the key of the one that should get it, if it can; ``excluded`` are those that should not.

        Raises:
            UpstreamFault: there is none, or none that is not excluded.
        """
        found = self.find(pinned) if pinned else None
        if found is None or found in excluded:
            found = self.another(excluded) if excluded else self._choose(self._candidates)
        if found is None:
            raise self._none()
        return found

    def find(self, key: bytes) -> UpstreamEndpoint | None:
        """Return the endpoint with a key, None where it is gone."""
        return self._by_key.get(key)

    def another(self, excluded: Collection[UpstreamEndpoint]) -> UpstreamEndpoint | None:
        """Return an endpoint that is not excluded, None if there is none."""
        for tier in self._tiers:
            if left := [each for each in tier if each not in excluded]:
                return self._choose(left)
        return None

    def _choose(self, candidates: list[UpstreamEndpoint]) -> UpstreamEndpoint | None:
        if len(candidates) > 1:
            return self._balancer.choose(candidates, open_requests=self.open_requests)
        return candidates[0] if candidates else None

    def _none(self) -> UpstreamFault:
        if not self._endpoints:
            return UpstreamFault(faults.UNREACHABLE, "it has no endpoint that is ready")
        return UpstreamFault(faults.UNREACHABLE, f"none of its {len(self._endpoints)} endpoints is left to try")

    def open(self, endpoint: UpstreamEndpoint) -> None:
        """Count a request that begins."""
        endpoint.open_requests += 1
        self.open_requests += 1

    def release(self, endpoint: UpstreamEndpoint) -> None:
        """Count a request that has ended."""
        endpoint.open_requests -= 1
        self.open_requests -= 1
        if endpoint.is_gone and not endpoint.open_requests and endpoint in self._leaving:
            self._leaving.discard(endpoint)
            self._close(endpoint)

    @property
    def refused(self) -> int:
        """The number of requests that found no free connection in time."""
        return self._refused_by_gone + sum(each.refused for each in self)
