"""Reads the Services of namespaces with proxies, and their EndpointSlices written by hand."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Final

from ostiary_operator.api import labels
from ostiary_operator.api.objects import Object, Objects, namespace_of
from ostiary_operator.compile.inputs import services_from_objects
from ostiary_operator.compile.model import NamespaceServices
from ostiary_operator.kube.changed_namespaces import EVERYTHING, ChangedNamespaces
from ostiary_operator.kube.client import KubernetesClient
from ostiary_operator.kube.errors import Forbidden
from ostiary_operator.kube.kinds import ENDPOINT_SLICE, SERVICE, Kind
from ostiary_operator.kube.options import OperatorOptions

#: Namespaces that are read in parallel. Where more changed, it is less work to read the whole cluster.
_AT_ONCE: Final = 16

OnSeen = Callable[[Kind, Object], None]
"""Called with every object that was read."""
Follow = Callable[[AbstractSet[str]], None]
"""Called with the namespaces whose Services matter, before they are read."""


def _ignore(*_: object) -> None:
    pass


class ServiceReader:
    """Reads Services, and remembers them, so that only changed namespaces are read again."""

    def __init__(
        self,
        cluster: KubernetesClient,
        options: OperatorOptions,
        *,
        on_seen: OnSeen = _ignore,
        follow: Follow = _ignore,
    ) -> None:
        self._cluster = cluster
        self._options = options
        self._on_seen = on_seen
        self._follow = follow
        self._known: dict[str, NamespaceServices] = {}

    async def read(
        self, namespaces: Iterable[str], changed: ChangedNamespaces = EVERYTHING
    ) -> Mapping[str, NamespaceServices]:
        """Return the Services of each namespace; forget all other namespaces.

        Raises:
            ClusterError: a request failed.
        """
        wanted = frozenset(namespaces)
        self._follow(wanted)
        stale = {each for each in wanted if each not in self._known or changed.includes(each)}
        fresh = await self._whole(stale) if self._is_most(stale) else await self._each(stale)
        self._known = {each: fresh[each] if each in fresh else self._known[each] for each in wanted}
        return self._known

    def _is_most(self, stale: AbstractSet[str]) -> bool:
        return self._options.namespaces is None and len(stale) > _AT_ONCE

    async def _whole(self, namespaces: AbstractSet[str]) -> dict[str, NamespaceServices]:
        services, slices = await asyncio.gather(self._cluster.list(SERVICE), self._slices(None))
        return self._by_namespace(namespaces, services, slices)

    async def _each(self, namespaces: AbstractSet[str]) -> dict[str, NamespaceServices]:
        turn = asyncio.Semaphore(_AT_ONCE)

        async def one(namespace: str) -> dict[str, NamespaceServices]:
            async with turn:
                listed: Awaitable[Objects] = self._cluster.list(SERVICE, namespace=namespace)
                services, slices = await asyncio.gather(listed, self._slices(namespace))
            return self._by_namespace({namespace}, services, slices)

        found: dict[str, NamespaceServices] = {}
        for each in await asyncio.gather(*(one(namespace) for namespace in sorted(namespaces))):
            found |= each
        return found

    async def _slices(self, namespace: str | None) -> Objects | None:
        try:
            return await self._cluster.list(ENDPOINT_SLICE, namespace=namespace, selector=labels.FOREIGN_SLICES)
        except Forbidden:
            return None

    def _by_namespace(
        self, namespaces: AbstractSet[str], services: Objects, slices: Objects | None
    ) -> dict[str, NamespaceServices]:
        services = [each for each in services if namespace_of(each) in namespaces]
        for kind, found in ((SERVICE, services), (ENDPOINT_SLICE, slices or ())):
            for obj in found:
                self._on_seen(kind, obj)
        found_in = services_from_objects(services, slices or ())
        none = NamespaceServices()
        return {each: replace(found_in.get(each, none), slices_readable=slices is not None) for each in namespaces}
