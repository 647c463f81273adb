"""The endpoints of a server that has several, and which one gets a request.

An endpoint is *ready*, or it is *draining*: about to end, so that it gets only what belongs to sessions that it has.
One that is no longer listed is *gone*: its requests in flight end, and it gets no further ones. A ready one may be
*ejected*, since requests failed there, or *unhealthy*, since probes did.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from ostiary_core.contract.server_resilience import HealthCheckConfig
from ostiary_core.policy.block_list import BlockList
from ostiary_core.upstream_faults import GATEWAY_ERRORS
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.endpoint import UpstreamEndpoint
from ostiary_gateway.upstream.endpoint_log import EndpointLog
from ostiary_gateway.upstream.endpoint_place import EndpointPlace
from ostiary_gateway.upstream.endpoint_probes import EndpointProbes
from ostiary_gateway.upstream.http1.upstream_response import UpstreamResponse
from ostiary_gateway.upstream.load_balancing import LoadBalancer
from ostiary_gateway.upstream.passive_ejection import PassiveEjection

#: Makes an endpoint at a place; None stands for the host of the server's URL.
MakeEndpoint = Callable[[EndpointPlace | None], UpstreamEndpoint]
#: The states of endpoints.
STATES: Final = ("ready", "draining", "ejected", "unhealthy", "blocked")
_Address = tuple[str, int]
#: Stands for the endpoint at the host of the URL.
_AT_URL: Final[_Address] = ("", 0)


class EndpointSet:
    """The endpoints of one server. Must be used within one event loop.

    Until :meth:`set_places` is called it has one, at the host of the server's URL. ``title`` is the server's name in
    the log.
    """

    def __init__(
        self, make: MakeEndpoint, balancer: LoadBalancer, *, title: str, health_check: HealthCheckConfig | None = None
    ) -> None:
        passive, active = (health_check.passive, health_check.active) if health_check is not None else (None, None)
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
        self._blocked: BlockList | None = None
        log = EndpointLog(title)
        #: Takes out those at which requests fail; None where nothing does.
        self.ejection = (
            PassiveEjection(passive, log=log, ready=self._ready, changed=self._refresh) if passive is not None else None
        )
        #: Asks them whether they respond; None where nothing does.
        self.probes = (
            EndpointProbes(active, log=log, endpoints=self._probed, changed=self._refresh)
            if active is not None
            else None
        )
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
        yield from tuple(self._leaving)

    def set_places(self, places: Sequence[EndpointPlace] | None) -> None:
        """Replace the list of endpoints.

        One that stays keeps its connections, and one that is gone keeps those in use until their requests end. None:
        it is not known, and the host of the URL is used.
        """
        wanted: dict[_Address, EndpointPlace | None] = {_AT_URL: None}
        if places is not None:
            wanted = {(each.address, each.port): each for each in places}
        before = self._endpoints
        # Assigned as a whole: metrics are read in another thread.
        self._endpoints = {
            address: self._kept(before.get(address), place) or self._made(place) for address, place in wanted.items()
        }
        for address, endpoint in before.items():
            if self._endpoints.get(address) is not endpoint:
                self._retire(endpoint)
        self._by_key = {each.key: each for each in self._endpoints.values() if each.key}
        self._refresh()

    def set_zone(self, zone: str) -> None:
        """Prefer endpoints in this zone; with an empty one, none."""
        places = [each.where for each in self._endpoints.values() if each.where is not None]
        self.set_places([each._replace(is_near=bool(zone) and each.zone == zone) for each in places])

    @staticmethod
    def _kept(known: UpstreamEndpoint | None, place: EndpointPlace | None) -> UpstreamEndpoint | None:
        if known is None or (known.where is None) != (place is None):
            return None
        if place is not None and place.key(known.mark) != known.key:
            return None  # another pod has the address now
        known.move(place)
        return known

    def _made(self, place: EndpointPlace | None) -> UpstreamEndpoint:
        made = self._make(place)
        if self._is_blocked(made):
            made.set_blocked(True)
        return made

    def _retire(self, endpoint: UpstreamEndpoint) -> None:
        endpoint.is_gone = True
        if self.ejection is not None:
            self.ejection.forget(endpoint)
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
        serving = [each for each in self._endpoints.values() if not each.is_blocked]
        ready = self._ready()
        usable = [each for each in ready if each.is_usable]
        near = [each for each in usable if each.is_near]
        # With nothing usable the ready ones are tried all the same, and with nothing ready, as kube-proxy does, those
        # that are about to end.
        self._tiers = [tier for tier in (near, usable, ready, serving) if tier]
        self._candidates = self._tiers[0] if self._tiers else []

    def _ready(self) -> list[UpstreamEndpoint]:
        return [each for each in self._endpoints.values() if not (each.is_draining or each.is_blocked)]

    def _probed(self) -> list[UpstreamEndpoint]:
        return [each for each in self._ready() if each.where is not None]

    def set_blocked(self, blocked: BlockList | None, *, all_are_blocked: bool) -> None:
        """Use no endpoint that is blocked, by its address or with its server."""
        self._blocked = None if all_are_blocked else blocked
        for each in self:
            each.set_blocked(all_are_blocked or self._is_blocked(each))
        self._refresh()

    def _is_blocked(self, endpoint: UpstreamEndpoint) -> bool:
        where, blocked = endpoint.where, self._blocked
        return blocked is not None and where is not None and blocked.has_upstream(where.address, where.port)

    def pick(self, pinned: bytes = b"", excluded: Collection[UpstreamEndpoint] = ()) -> UpstreamEndpoint:
        """Return the endpoint for the next request.

        ``pinned`` is the key of the one that should get it, if it can; ``excluded`` are those that should not, if there
        is another.

        Raises:
            UpstreamFault: there is none.
        """
        if not (pinned or excluded) and len(self._candidates) > 1:  # as nearly always
            return self._balancer.choose(self._candidates, open_requests=self.open_requests)
        found = self.find(pinned) if pinned else None
        if found is None or found in excluded:
            found = (self.another(excluded) if excluded else None) or self._choose(self._candidates)
        if found is None:
            raise self._none()
        return found

    def find(self, key: bytes) -> UpstreamEndpoint | None:
        """Return the endpoint with a key, None where it is gone or does not work."""
        found = self._by_key.get(key)
        return found if found is not None and found.is_usable and not found.is_blocked else None

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
        if any(each.is_blocked for each in self._endpoints.values()):
            return faults.blocked()
        return UpstreamFault(faults.UNREACHABLE, "it has no endpoint that is ready")

    def open(self, endpoint: UpstreamEndpoint) -> None:
        """Count a request that begins."""
        endpoint.open_requests += 1
        self.open_requests += 1
        if endpoint.is_on_trial and self.ejection is not None:
            self.ejection.begun(endpoint)

    def responds(self, endpoint: UpstreamEndpoint, response: UpstreamResponse) -> None:
        """Note the head of a response of an endpoint on trial."""
        if self.ejection is not None and response.status not in GATEWAY_ERRORS:
            self.ejection.passed(endpoint)

    def release(
        self, endpoint: UpstreamEndpoint, response: UpstreamResponse | None, error: BaseException | None
    ) -> None:
        """Count a request that has ended, with a response or else with an error."""
        endpoint.open_requests -= 1
        self.open_requests -= 1
        if endpoint.is_gone:
            if not endpoint.open_requests and endpoint in self._leaving:
                self._leaving.discard(endpoint)
                self._close(endpoint)
        elif self.ejection is None:
            pass
        elif response is not None and response.complete and response.status < 500 and not endpoint.is_tried:
            endpoint.failures = 0  # as nearly always
        else:
            self.ejection.ended(endpoint, response, error)

    @property
    def refused(self) -> int:
        """The number of requests that found no free connection in time."""
        return self._refused_by_gone + sum(each.refused for each in self)

    @property
    def states(self) -> Mapping[str, int]:
        """How many endpoints there are, by state."""
        found = dict.fromkeys(STATES, 0)
        for each in self._endpoints.values():
            found[each.state] += 1
        return found

    @property
    def report(self) -> dict[str, Any]:
        """What the operator is told: where the endpoints are from, and how many there are by state.

        States without an endpoint are absent, except ``ready``. ``reason`` and ``message`` say why they are not from
        EndpointSlices.
        """
        found: dict[str, Any] = {"source": self.source}
        found |= {state: count for state, count in self.states.items() if count or state == "ready"}
        if self.problem is not None:
            found["reason"], found["message"] = self.problem
        return found

    def stop(self) -> None:
        """End probes and waits."""
        if self.ejection is not None:
            self.ejection.close()
        if self.probes is not None:
            self.probes.close()
