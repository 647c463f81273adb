"""The endpoints of a Service: the union of its EndpointSlices.

A Service has as many slices as its endpoints need, for each address family and each set of port numbers. A Pod may be
in several of them: with an address of each family, or for a moment while it is moved between slices. It counts once.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from ostiary_gateway.endpoint_discovery.endpoint_slice import EndpointSlice, SliceEndpoint
from ostiary_gateway.upstream.endpoint_place import EndpointPlace

#: The most endpoints of one server: the writers of slices do not decide how much memory a gateway needs.
MOST_ENDPOINTS: Final = 1000


class Location(NamedTuple):
    """Where a gateway runs; empty where it is not known."""

    zone: str = ""
    node: str = ""
    prefers_ipv6: bool = False


class ServiceEndpoints(NamedTuple):
    """The endpoints of a Service that may get requests.

    ``left_out`` are those beyond the most that are kept.
    """

    places: tuple[EndpointPlace, ...]
    left_out: int = 0


class _NumberedEndpoint(NamedTuple):
    """An endpoint with the number of its port."""

    endpoint: SliceEndpoint
    port: int


def service_endpoints(
    slices: Iterable[EndpointSlice], *, port_name: str, managed: bool, location: Location
) -> ServiceEndpoints:
    """Return the union of the slices of one Service, endpoints that drain last.

    ``managed`` leaves out slices that Kubernetes' own controller did not make. Endpoints that are neither ready nor
    draining are left out.
    """
    found: dict[str, _NumberedEndpoint] = {}
    for each in sorted(slices, key=lambda each: (each.is_ipv6 is location.prefers_ipv6, each.version), reverse=True):
        port = each.ports.get(port_name)
        if port is not None and (each.is_managed or not managed):
            _add(found, each.endpoints, port)
    usable = _by_address(each for each in found.values() if each.endpoint.is_draining or _is_ready(each.endpoint))
    near = _nearness(usable, location)
    kept = usable[:MOST_ENDPOINTS]
    return ServiceEndpoints(
        tuple(_place(each, is_near=near.of(each.endpoint)) for each in kept), len(usable) - len(kept)
    )


def _add(found: dict[str, _NumberedEndpoint], endpoints: Iterable[SliceEndpoint], port: int) -> None:
    """Add the endpoints of a slice, after those of newer or preferred slices.

    Of a Pod in several slices the newest one is right, except that a Pod that ends never stops doing so.
    """
    for endpoint in endpoints:
        identity = endpoint.pod or f"{endpoint.address} {port}"
        known = found.get(identity)
        if known is None:
            found[identity] = _NumberedEndpoint(endpoint, port)
        elif endpoint.is_terminating and not known.endpoint.is_terminating:
            found[identity] = _NumberedEndpoint(known.endpoint._replace(is_terminating=True), known.port)


def _by_address(endpoints: Iterable[_NumberedEndpoint]) -> list[_NumberedEndpoint]:
    """Return endpoints in order, those that drain last.

    A new Pod may have the address of one that ends: then it is the new one's.
    """
    ordered = sorted(endpoints, key=lambda each: (each.endpoint.is_terminating, each.endpoint.address, each.port))
    first: dict[tuple[str, int], _NumberedEndpoint] = {}
    for each in ordered:
        first.setdefault((each.endpoint.address, each.port), each)
    return list(first.values())


def _is_ready(endpoint: SliceEndpoint) -> bool:
    return endpoint.is_ready and not endpoint.is_terminating


def _place(found: _NumberedEndpoint, *, is_near: bool) -> EndpointPlace:
    endpoint = found.endpoint
    return EndpointPlace(
        address=endpoint.address,
        port=found.port,
        identity=endpoint.pod,
        zone=endpoint.zone,
        is_near=is_near,
        is_draining=endpoint.is_terminating,
    )


class _Nearness(NamedTuple):
    """What makes an endpoint near; nothing does where both are empty."""

    node: str = ""
    zone: str = ""

    def of(self, endpoint: SliceEndpoint) -> bool:
        """Return whether an endpoint is near."""
        if self.node:
            return self.node in endpoint.nodes
        return bool(self.zone) and self.zone in endpoint.zones


def _nearness(usable: Sequence[_NumberedEndpoint], location: Location) -> _Nearness:
    """Return which hints are used: those for nodes, else for zones, as kube-proxy does.

    Hints count where every ready endpoint has them and one is meant for this node or zone: else they are being
    written, or are for other places only.
    """
    ready = [each.endpoint for each in usable if not each.endpoint.is_terminating]
    for hints, near in (
        ([each.nodes for each in ready], _Nearness(node=location.node)),
        ([each.zones for each in ready], _Nearness(zone=location.zone)),
    ):
        if any(near) and all(hints) and any(near.of(each) for each in ready):
            return near
    return _Nearness()
