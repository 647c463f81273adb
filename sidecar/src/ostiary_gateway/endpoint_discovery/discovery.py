"""Tells servers their endpoints, as the slices of their Services say.

Until the first list, without the right, and outside Kubernetes a server is reached by its Service's name, and the admin
report says why.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final, Protocol

from ostiary_gateway.endpoint_discovery.endpoint_slice import ServiceKey
from ostiary_gateway.endpoint_discovery.observed_service import ObservedService
from ostiary_gateway.endpoint_discovery.own_location import OwnPod, find_location
from ostiary_gateway.endpoint_discovery.service_endpoints import Location
from ostiary_gateway.endpoint_discovery.slice_watches import SliceWatches
from ostiary_gateway.options import KubernetesOptions
from ostiary_gateway.upstream.pools import ServerUser
from ostiary_gateway.upstream.server import UpstreamServer

#: Seconds after the first config in which the gateway is not ready before slices were listed: a session that another
#: replica has opened belongs to an endpoint that must be known.
_FIRST_LIST_SECONDS: Final = 5.0


class DiscoveryConfigs(Protocol):
    """The part of a config that says which Services have endpoints to observe."""

    @property
    def proxies(self) -> Mapping[str, ServerUser]:
        """The proxies, by identity."""


class EndpointDiscovery:
    """Observes the endpoints of servers with a Service.

    ``options`` is None where the API is not watched. ``gateway`` is ``namespace/name``; ``pod`` is its own Pod.
    ``located`` is told the zone of the gateway once it is known.
    """

    def __init__(
        self,
        gateway: str,
        options: KubernetesOptions | None,
        *,
        pod: OwnPod,
        located: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._gateway = gateway
        self._options = options
        self._pod = pod
        self._located = located
        self._location = pod.location()
        self._watches = None if options is None else SliceWatches(options, self._tell)
        self._servers: dict[ServiceKey, list[UpstreamServer]] = {}
        self._listed_by: float | None = None
        self._locating: asyncio.Task[None] | None = None

    def on_swap(self, snapshot: DiscoveryConfigs, changed: frozenset[str]) -> None:
        """Observe what the servers of a new config need.

        They are told at once what is known already.
        """
        if not changed:
            return
        told = {server for servers in self._servers.values() for server in servers}
        self._servers = {}
        has_places = False
        for proxy in snapshot.proxies.values():
            for server in proxy.servers:
                has_places |= server.endpoints is not None
                if (of := server.discovery) is not None:
                    self._servers.setdefault((of.namespace, of.service), []).append(server)
        if self._watches is not None:
            self._watches.need(frozenset(self._servers))
            self._listed_by = self._listed_by or asyncio.get_running_loop().time() + _FIRST_LIST_SECONDS
        if has_places:
            self._locate()
        self._tell(self._servers, told=told)

    def _locate(self) -> None:
        """Begin to look for our own zone, unless that was begun before."""
        if self._options is not None and self._pod.is_known and self._locating is None:
            looking = find_location(self._gateway, self._pod, self._options, self._set_location)
            self._locating = asyncio.get_running_loop().create_task(looking)

    def _tell(self, services: Iterable[ServiceKey], told: Collection[UpstreamServer] = ()) -> None:
        """Tell the servers with these Services their endpoints as they are known now.

        Those that were ``told`` know them already: one edit does not concern all servers of a large config.
        """
        for service in services:
            servers = [each for each in self._servers.get(service, ()) if each not in told]
            watch = None if self._watches is None else self._watches.of(service)
            known = ObservedService(service, watch, self._location)
            for server in servers:
                known.tell(server)

    def _set_location(self, found: Location) -> None:
        self._location = found
        self._located(found.zone)
        self._tell(self._servers)

    def not_ready(self) -> str | None:
        """Return why requests are not accepted yet, or None."""
        if self._watches is None or self._listed_by is None or self._watches.are_tried:
            return None
        is_late = asyncio.get_running_loop().time() > self._listed_by
        return None if is_late else "endpoints not listed yet"

    async def close(self) -> None:
        """Watch no more."""
        if self._locating is not None:
            self._locating.cancel()
        if self._watches is not None:
            await self._watches.close()
