"""Looks at the cluster, pass after pass. A look is complete or it fails: a config never shrinks by accident.

All that decides over the proxies of a namespace lies in that namespace, in the operator's, and at the gateways. So
where only some namespaces moved, a look reads those and the operator's anew, consistently, and takes the rest as it
was: no proxy is ever seen without the policies that were there before it. What events did not tell, a whole look finds:
the first, every one that comes round, and every one after something went wrong.
"""

import asyncio
import functools
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from ostiary_operator.kube import gateways, labels, listing
from ostiary_operator.kube.client import Cluster, Object, name_of, namespace_of, uid_of
from ostiary_operator.kube.errors import Forbidden, NotFound
from ostiary_operator.kube.kinds import (
    CONFIG_MAP,
    ENDPOINT_SLICE,
    NAMESPACE,
    OURS,
    POLICY,
    PROXY,
    SECRET,
    SERVICE,
    Kind,
)
from ostiary_operator.kube.listing import Listing, Neighbourhood
from ostiary_operator.kube.options import OperatorOptions
from ostiary_operator.moved import EVERYTHING, Moved

_log = logging.getLogger(__name__)

OnSeen: TypeAlias = Callable[[Kind, Object], None]
"""Told of every object that was read."""

_ByNamespace: TypeAlias = Mapping[str, list[Object]]

#: Namespaces that are read at once. Where more than this share of all moved, reading everything is less work.
_AT_ONCE: Final = 16
_SHARE: Final = 0.5
_FEW: Final = 4


def _nobody(_kind: Kind, _obj: Object) -> None:
    pass


@dataclass(frozen=True, slots=True)
class _Resources:
    """Proxies and policies by kind and namespace, the labels of namespaces, and what of all that was just read."""

    objects: Mapping[Kind, _ByNamespace]
    namespaces: Mapping[str, Mapping[str, str]]
    fresh: tuple[Object, ...]

    def every(self, kind: Kind) -> list[Object]:
        found = self.objects[kind]
        return [obj for namespace in sorted(found) for obj in found[namespace]]


class Lookout:
    """Remembers the last look."""

    def __init__(self, cluster: Cluster, options: OperatorOptions, on_seen: OnSeen = _nobody) -> None:
        self._cluster = cluster
        self._options = options
        self._on_seen = on_seen
        self._last: _Resources | None = None

    async def look(self, moved: Moved = EVERYTHING) -> Listing:
        """Read what moved.

        Raises:
            ClusterError: any part could not be read, but for what lies beside a gateway of another namespace.
        """
        resources, services = await asyncio.gather(self._resources(moved), self._everywhere(SERVICE, labels.GATEWAY))
        places = sorted({namespace_of(service) for service in services})
        looks = await asyncio.gather(
            *(listing.look_around(self._cluster, self._options, place, services) for place in places)
        )
        around = dict(zip(places, looks, strict=True))
        found = gateways.discover(services, (each for look in looks for each in look.config_maps))
        self._last = resources
        self._tell(resources, services, looks)
        return Listing(
            proxies=resources.every(PROXY),
            policies=resources.every(POLICY),
            gateways=found,
            namespaces=resources.namespaces,
            beside={
                identity: listing.beside(gateway, around[gateway.namespace])
                for identity, gateway in gateways.elected(found).items()
            },
            fresh=resources.fresh,
        )

    async def _resources(self, moved: Moved) -> _Resources:
        """Read the namespaces that moved; everything where that is less work, or where too much is gone."""
        last, places = self._last, self._places(moved)
        if last is None or places is None or self._is_most(places, last):
            return await self._all()
        part = await self._part(places, last)
        return part if part is not None else await self._all()

    def _places(self, moved: Moved) -> frozenset[str] | None:
        """Return the namespaces to read: with those that moved the operator's own, whose policies reach everywhere."""
        if not moved.namespaces:
            return moved.namespaces
        places = moved.namespaces | {self._options.operator_namespace}
        return places if self._options.namespaces is None else places & frozenset(self._options.namespaces)

    @staticmethod
    def _is_most(places: frozenset[str], last: _Resources) -> bool:
        known = {namespace for kind in OURS for namespace in last.objects[kind]}
        return len(places) > max(_FEW, len(known | places) * _SHARE)

    async def _all(self) -> _Resources:
        proxies, policies, namespaces = await asyncio.gather(
            self._everywhere(PROXY), self._everywhere(POLICY), self._namespaces()
        )
        objects = {PROXY: _grouped(proxies), POLICY: _grouped(policies)}
        return _Resources(objects, namespaces, (*proxies, *policies))

    async def _part(self, places: frozenset[str], last: _Resources) -> _Resources | None:
        """Read some namespaces, and join them with what is known of the others.

        Returns None where a namespace lost all it had of a kind: it may be that the whole kind went, and that only a
        whole look can tell.
        """
        turn = asyncio.Semaphore(_AT_ONCE)
        wanted = [(kind, place) for place in sorted(places) for kind in OURS]
        lists, namespaces = await asyncio.gather(
            asyncio.gather(*(self._within(kind, place, turn) for kind, place in wanted)), self._namespaces()
        )
        objects = {kind: dict(last.objects[kind]) for kind in OURS}
        for (kind, place), found in zip(wanted, lists, strict=True):
            if _lost_all(last.objects[kind].get(place, ()), found):
                return None
            objects[kind][place] = found
        return _Resources(objects, namespaces, tuple(obj for found in lists for obj in found))

    async def _within(self, kind: Kind, namespace: str, turn: asyncio.Semaphore) -> list[Object]:
        async with turn:
            return await self._cluster.list(kind, namespace=namespace)

    async def _everywhere(self, kind: Kind, selector: str | None = None) -> list[Object]:
        if self._options.namespaces is None:
            return await self._cluster.list(kind, selector=selector)
        lists = await asyncio.gather(
            *(self._cluster.list(kind, namespace=each, selector=selector) for each in self._options.namespaces)
        )
        return [item for items in lists for item in items]

    async def _namespaces(self) -> dict[str, Mapping[str, str]]:
        """Return the labels of each namespace; where we may not see them, the one label that every namespace has."""
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

    def _tell(self, resources: _Resources, services: Iterable[Object], looks: Iterable[Neighbourhood]) -> None:
        """Tell of all that was read; what stands twice in it is the same."""
        for obj in resources.fresh:
            self._on_seen(PROXY if obj["kind"] == PROXY.name else POLICY, obj)
        for service in services:
            self._on_seen(SERVICE, service)
        for look in looks:
            for kind, found in ((CONFIG_MAP, look.config_maps), (ENDPOINT_SLICE, look.slices)):
                for obj in found:
                    self._on_seen(kind, obj)
            for secret in look.secrets.values():
                self._on_seen(SECRET, secret)


def _grouped(objects: Iterable[Object]) -> _ByNamespace:
    found: dict[str, list[Object]] = {}
    for obj in objects:
        found.setdefault(namespace_of(obj), []).append(obj)
    return found


def _lost_all(before: Iterable[Object], now: Iterable[Object]) -> bool:
    uids = {uid_of(obj) for obj in before}
    return bool(uids) and uids.isdisjoint(uid_of(obj) for obj in now)


async def _namespace(cluster: Cluster, name: str) -> Object:
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
