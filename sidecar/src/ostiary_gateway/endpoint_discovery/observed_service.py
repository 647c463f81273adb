"""What is known of the endpoints of one Service at one moment, as its servers are told."""

from typing import Final

from ostiary_core.contract.server_resilience import DiscoveryConfig
from ostiary_gateway.endpoint_discovery.endpoint_slice import ServiceKey
from ostiary_gateway.endpoint_discovery.service_endpoints import (
    MOST_ENDPOINTS,
    Location,
    ServiceEndpoints,
    service_endpoints,
)
from ostiary_gateway.endpoint_discovery.slice_watch import Problem, SliceWatch
from ostiary_gateway.upstream.server import UpstreamServer

#: Why endpoints are not observed, or not all of them, as statuses name it.
_NOT_LISTED: Final = ("NotListedYet", "the EndpointSlices of its Service have not been listed yet")
_NOT_WATCHED: Final = (
    "NotWatched",
    "the gateway does not watch the Kubernetes API, so it connects to the Service's name: start it with --watch",
)
_TOO_MANY: Final = "TooManyEndpoints"


class ObservedService:
    """A Service, with the watch of its slices; None where the API is not watched.

    What servers with the same port share is computed once.
    """

    def __init__(self, service: ServiceKey, watch: SliceWatch | None, location: Location) -> None:
        self._service = service
        self._watch = watch
        self._location = location
        self._found: dict[tuple[str, bool], ServiceEndpoints] = {}

    def tell(self, server: UpstreamServer) -> None:
        """Tell a server its endpoints, or that its Service's name is all there is, and why."""
        if server.discovery is None or server.endpoints is None:
            return
        watch = self._watch
        if watch is None or self._service not in watch.listed:
            server.endpoints.source = "Service"
            server.endpoints.problem = _NOT_WATCHED if watch is None else watch.problem or _NOT_LISTED
            server.endpoints.set_places(None)
            return
        found = self._endpoints(watch, server.discovery)
        server.endpoints.source = "EndpointSlices"
        server.endpoints.problem = watch.problem or self._excess(found)
        server.endpoints.set_places(found.places)

    def _endpoints(self, watch: SliceWatch, of: DiscoveryConfig) -> ServiceEndpoints:
        key = of.port_name, of.managed
        if key not in self._found:
            slices = watch.slices_of(self._service)
            self._found[key] = service_endpoints(
                slices, port_name=of.port_name, managed=of.managed, location=self._location
            )
        return self._found[key]

    def _excess(self, found: ServiceEndpoints) -> Problem | None:
        if not found.left_out:
            return None
        return _TOO_MANY, (
            f"Service {'/'.join(self._service)} has {found.left_out} endpoints more than the {MOST_ENDPOINTS} that a "
            "gateway uses: divide them among several Services"
        )
