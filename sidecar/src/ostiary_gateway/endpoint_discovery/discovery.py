"""Watches EndpointSlices, and tells servers their endpoints.

There is one watch for each namespace that a server needs.

Until the first list, without the right, and outside Kubernetes a server is reached by its Service's name, and the admin
report says why.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Protocol, TypeAlias

from ostiary_gateway.endpoint_discovery.observed_service import ObservedService
from ostiary_gateway.endpoint_discovery.own_location import OwnPod, find_location
from ostiary_gateway.endpoint_discovery.service_endpoints import Location
from ostiary_gateway.endpoint_discovery.slice_watch import SliceWatch
from ostiary_gateway.options import KubernetesOptions
from ostiary_gateway.upstream.pools import ServerUser
from ostiary_gateway.upstream.server import UpstreamServer

#: Seconds after the first config in which the gateway is not ready before slices were listed: a session that another
#: replica has opened belongs to an endpoint that must be known.
_FIRST_LIST_SECONDS: Final = 5.0

_ServiceName: TypeAlias = tuple[str, str]
"""Namespace and name."""


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
        self._watches: dict[str, SliceWatch] = {}
        self._servers: dict[_ServiceName, list[UpstreamServer]] = {}
        self._listed_by: float | None = None
        self._locating: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[None]] = set()

    def on_swap(self, snapshot: DiscoveryConfigs, changed: frozenset[str]) -> None:
        """Observe what the servers of a new config need.

        They are told at once what is known already.
        """
        if not changed:
            return
        self._servers = {}
        has_places = False
        for proxy in snapshot.proxies.values():
            for server in proxy.servers:
                has_places |= server.endpoints is not None
                if (of := server.discovery) is not None:
                    self._servers.setdefault((of.namespace, of.service), []).append(server)
        if self._options is not None:
            self._watch(self._options)
            if has_places and self._pod.is_known and self._locating is None:
                looking = find_location(self._gateway, self._pod, self._options, self._set_location)
                self._locating = asyncio.get_running_loop().create_task(looking)
        self._tell(self._servers)

    def _watch(self, options: KubernetesOptions) -> None:
        """Watch the namespaces that are needed now, and no others."""
        needed: dict[str, set[str]] = {}
        for namespace, service in self._servers:
            needed.setdefault(namespace, set()).add(service)
        for namespace in self._watches.keys() - needed.keys():
            ending = asyncio.get_running_loop().create_task(self._watches.pop(namespace).stop())
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)
        for namespace, services in needed.items():
            if namespace in self._watches:
                self._watches[namespace].need(frozenset(services))
            else:
                self._watches[namespace] = SliceWatch(namespace, frozenset(services), options, self._observe)
                self._watches[namespace].start()
        if self._listed_by is None:
            self._listed_by = asyncio.get_running_loop().time() + _FIRST_LIST_SECONDS

    def _observe(self, watch: SliceWatch, services: frozenset[str]) -> None:
        if self._watches.get(watch.namespace) is watch:
            self._tell((watch.namespace, service) for service in services)

    def _tell(self, services: Iterable[_ServiceName]) -> None:
        """Tell the servers with these Services their endpoints as they are known now."""
        for namespace, service in services:
            watch = self._watches.get(namespace)
            known = ObservedService(service, watch, self._location)
            for server in self._servers.get((namespace, service), ()):
                known.tell(server)

    def _set_location(self, found: Location) -> None:
        self._location = found
        self._located(found.zone)
        self._tell(self._servers)

    def not_ready(self) -> str | None:
        """Return why requests are not accepted yet, or None."""
        if self._listed_by is None or all(watch.is_tried for watch in self._watches.values()):
            return None
        is_late = asyncio.get_running_loop().time() > self._listed_by
        return None if is_late else "endpoints not listed yet"

    async def close(self) -> None:
        """Watch no more."""
        if self._locating is not None:
            self._locating.cancel()
        await asyncio.gather(*(watch.stop() for watch in self._watches.values()), *self._ending)
