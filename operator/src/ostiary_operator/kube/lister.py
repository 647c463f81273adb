"""The lister: reads a snapshot of the cluster for each pass.

A snapshot is complete or the read fails, so a config never shrinks by accident.

Everything that affects the proxies of a namespace is in that namespace, in the operator's namespace, or at the
gateways. So where only some namespaces changed, the lister reads those and the operator's again, consistently, and
reuses the rest: a proxy is never read without the policies that existed before it. Full reads find what events missed:
the first one, every resync, and the one after a failure.
"""

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from ostiary_operator.api import labels
from ostiary_operator.api.objects import Object, name_of, namespace_of, uid_of
from ostiary_operator.compile import gateways
from ostiary_operator.kube import cluster_snapshot
from ostiary_operator.kube.changed_namespaces import EVERYTHING, ChangedNamespaces
from ostiary_operator.kube.client import KubernetesClient
from ostiary_operator.kube.cluster_snapshot import ClusterSnapshot, NamespaceObjects
from ostiary_operator.kube.errors import Forbidden, NotFound
from ostiary_operator.kube.kinds import (
    CONFIG_MAP,
    ENDPOINT_SLICE,
    LOCK,
    NAMESPACE,
    OURS,
    POLICY,
    PROXY,
    SECRET,
    SERVICE,
    Kind,
)
from ostiary_operator.kube.options import OperatorOptions

_log = logging.getLogger(__name__)

OnSeen: TypeAlias = Callable[[Kind, Object], None]
"""Called with every object that was read."""

_ByNamespace: TypeAlias = Mapping[str, list[Object]]

#: Namespaces that are read in parallel. Where more than this share of all changed, a full read is less work.
_AT_ONCE: Final = 16
_SHARE: Final = 0.5
_FEW: Final = 4
_KINDS: Final = {kind.name: kind for kind in OURS}


def _ignore(_kind: Kind, _obj: Object) -> None:
    pass


@dataclass(frozen=True, slots=True)
class _Resources:
    """Our resources by kind and namespace, labels of namespaces, and what was just read."""

    objects: Mapping[Kind, _ByNamespace]
    namespaces: Mapping[str, Mapping[str, str]]
    fresh: tuple[Object, ...]

    def every(self, kind: Kind) -> list[Object]:
        found = self.objects[kind]
        return [obj for namespace in sorted(found) for obj in found[namespace]]


class Lister:
    """Reads snapshots. ``on_seen`` is called with every object that was read."""

    def __init__(self, cluster: KubernetesClient, options: OperatorOptions, on_seen: OnSeen = _ignore) -> None:
        self._cluster = cluster
        self._options = options
        self._on_seen = on_seen
        self._last: _Resources | None = None

    async def snapshot(self, changed: ChangedNamespaces = EVERYTHING) -> ClusterSnapshot:
        """Read what changed, and return the whole snapshot.

        Raises:
            ClusterError: any part could not be read; except objects of a gateway in a forbidden namespace.
        """
        resources = await self._resources(changed)
        services = await self._everywhere(SERVICE, labels.GATEWAY)
        places = sorted({namespace_of(service) for service in services})
        contents = await asyncio.gather(
            *(cluster_snapshot.read_namespace(self._cluster, self._options, place, services) for place in places)
        )
        around = dict(zip(places, contents, strict=True))
        found = gateways.discover(services, (each for content in contents for each in content.config_maps))
        for ignored in found.ignored:
            _log.warning("%s", ignored)
        self._last = resources
        self._report(resources, services, contents)
        return ClusterSnapshot(
            proxies=resources.every(PROXY),
            policies=resources.every(POLICY),
            locks=resources.every(LOCK),
            gateways=found.gateways,
            namespaces=resources.namespaces,
            gateway_objects={
                identity: cluster_snapshot.objects_of_gateway(gateway, around[gateway.namespace])
                for identity, gateway in gateways.elected(found.gateways).items()
            },
            fresh=resources.fresh,
        )

    async def _resources(self, changed: ChangedNamespaces) -> _Resources:
        """Read the changed namespaces, or everything where that is less work or a kind may be gone."""
        last, places = self._last, self._places(changed)
        if last is None or places is None or self._is_most(places, last):
            return await self._all()
        part = await self._part(places, last)
        return part if part is not None else await self._all()

    def _places(self, changed: ChangedNamespaces) -> frozenset[str] | None:
        """Return the changed namespaces and the operator's own, whose policies reach everywhere."""
        if not changed.namespaces:
            return changed.namespaces
        places = changed.namespaces | {self._options.operator_namespace}
        return places if self._options.namespaces is None else places & frozenset(self._options.namespaces)

    @staticmethod
    def _is_most(places: frozenset[str], last: _Resources) -> bool:
        known = {namespace for kind in OURS for namespace in last.objects[kind]}
        return len(places) > max(_FEW, len(known | places) * _SHARE)

    async def _all(self) -> _Resources:
        objects, namespaces = await asyncio.gather(self._in_order(self._everywhere), self._namespaces())
        fresh = tuple(obj for kind in OURS for obj in objects[kind])
        return _Resources({kind: _grouped(objects[kind]) for kind in OURS}, namespaces, fresh)

    async def _part(self, places: frozenset[str], last: _Resources) -> _Resources | None:
        """Read some namespaces, and merge them with the last snapshot of the others.

        Returns None where a namespace lost all its objects of a kind: the whole kind may be gone, which only a full
        read can show.
        """
        read, namespaces = await asyncio.gather(
            self._in_order(functools.partial(self._within, places)), self._namespaces()
        )
        found = {kind: _grouped(read[kind]) for kind in OURS}
        if any(_lost_all(last.objects[kind].get(p, ()), found[kind].get(p, ())) for kind in OURS for p in places):
            return None
        none: _ByNamespace = {place: [] for place in places}
        objects = {kind: {**last.objects[kind], **none, **found[kind]} for kind in OURS}
        return _Resources(objects, namespaces, tuple(obj for kind in OURS for obj in read[kind]))

    @staticmethod
    async def _in_order(read: Callable[[Kind], Awaitable[list[Object]]]) -> Mapping[Kind, list[Object]]:
        """Read proxies, the rest, and proxies again; return only proxies that are in both lists.

        A proxy that was created meanwhile may have a policy that was not read, and one that was deleted meanwhile may
        have lost its policy: for a moment either would be open. The event of a new proxy enqueues the next pass.
        """
        before = {uid_of(proxy) for proxy in await read(PROXY)}
        around = {POLICY: await read(POLICY), LOCK: await read(LOCK)}
        return {PROXY: [proxy for proxy in await read(PROXY) if uid_of(proxy) in before], **around}

    async def _within(self, places: Iterable[str], kind: Kind) -> list[Object]:
        turn = asyncio.Semaphore(_AT_ONCE)

        async def one(namespace: str) -> list[Object]:
            async with turn:
                return await self._cluster.list(kind, namespace=namespace)

        return [obj for found in await asyncio.gather(*(one(place) for place in sorted(places))) for obj in found]

    async def _everywhere(self, kind: Kind, selector: str | None = None) -> list[Object]:
        if self._options.namespaces is None:
            return await self._cluster.list(kind, selector=selector)
        lists = await asyncio.gather(
            *(self._cluster.list(kind, namespace=each, selector=selector) for each in self._options.namespaces)
        )
        return [item for items in lists for item in items]

    async def _namespaces(self) -> dict[str, Mapping[str, str]]:
        """Return the labels of each namespace; without the right, the one label that every one has."""
        wanted = self._options.namespaces
        try:
            found = await self._cluster.list(NAMESPACE)
        except Forbidden:
            if wanted is None:
                raise
            found = await asyncio.gather(*(_namespace(self._cluster, name) for name in wanted))
        for each in found:
            self._on_seen(NAMESPACE, each)
        return {name_of(each): labels.of(each) for each in found if wanted is None or name_of(each) in wanted}

    def _report(self, resources: _Resources, services: Iterable[Object], contents: Iterable[NamespaceObjects]) -> None:
        """Report all objects that were read; duplicates are identical."""
        for obj in resources.fresh:
            self._on_seen(_KINDS[obj["kind"]], obj)
        for service in services:
            self._on_seen(SERVICE, service)
        for content in contents:
            for kind, found in ((CONFIG_MAP, content.config_maps), (ENDPOINT_SLICE, content.slices)):
                for obj in found:
                    self._on_seen(kind, obj)
            for secret in content.secrets.values():
                self._on_seen(SECRET, secret)


def _grouped(objects: Iterable[Object]) -> _ByNamespace:
    found: dict[str, list[Object]] = {}
    for obj in objects:
        found.setdefault(namespace_of(obj), []).append(obj)
    return found


def _lost_all(before: Iterable[Object], now: Iterable[Object]) -> bool:
    uids = {uid_of(obj) for obj in before}
    return bool(uids) and uids.isdisjoint(uid_of(obj) for obj in now)


async def _namespace(cluster: KubernetesClient, name: str) -> Object:
    try:
        return await cluster.get(NAMESPACE, name=name)
    except NotFound:
        pass
    except Forbidden as error:
        _warn_once(f"namespace {name}: its labels cannot be read, so policies cannot select it by them: {error}")
    return {"metadata": {"name": name, "labels": {labels.NAMESPACE_NAME: name}}}


@functools.cache
def _warn_once(message: str) -> None:
    _log.warning("%s", message)
