"""Reads the servers of other operators that proxies refer to, and ReferenceGrants.

A kind that is not installed is an answer, and so is a missing right: a pass goes on without them.
"""

import asyncio
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Final, NamedTuple, TypeAlias

from ostiary_operator.api.objects import Objects, name_of
from ostiary_operator.api.server_kinds import ServerKind
from ostiary_operator.compile.foreign_servers import (
    ForeignServer,
    FoundGrants,
    FoundServers,
    MissingServer,
    ReferenceGrant,
    ServerKey,
    WantedServer,
    grants_from_objects,
    server_from_object,
)
from ostiary_operator.kube.changed_namespaces import EVERYTHING, ChangedNamespaces
from ostiary_operator.kube.client import KubernetesClient
from ostiary_operator.kube.errors import Forbidden, NotFound
from ostiary_operator.kube.event_filter import View
from ostiary_operator.kube.kinds import REFERENCE_GRANTS, Kind
from ostiary_operator.kube.reference_reader import OnSeen

#: Lists that are read in parallel.
_LISTS_AT_ONCE: Final = 16
_Servers: TypeAlias = Mapping[str, ForeignServer] | MissingServer
"""The servers of one kind in one namespace, by name."""
_Grants: TypeAlias = tuple[ReferenceGrant, ...] | MissingServer
_Place: TypeAlias = tuple[tuple[str, str], str]
"""Group and kind, and the namespace."""

Refer: TypeAlias = Callable[[AbstractSet[tuple[Kind, str, str]]], None]
"""Called with the objects that proxies refer to, before they are read."""


def _ignore(*_: object) -> None:
    pass


class ReadServers(NamedTuple):
    """What proxies refer to."""

    servers: FoundServers
    grants: FoundGrants


def kind_of(kind: ServerKind) -> Kind:
    """Return where the API server has the objects of a kind."""
    return Kind(kind.group, kind.version, kind.plural, kind.kind)


def views_of(kinds: Iterable[ServerKind]) -> dict[Kind, View]:
    """Return what matters of each kind of object, for the event filter."""
    return {kind_of(kind): functools.partial(server_from_object, kind) for kind in kinds}


class ForeignServerReader:
    """Reads servers of other operators; of unchanged namespaces it returns those it remembers.

    ``wanted`` are the kinds that proxies refer to; ``on_wanted`` is called when they change. ``installed`` says of each
    kind that was listed whether the API server served it.
    """

    def __init__(
        self,
        cluster: KubernetesClient,
        kinds: Sequence[ServerKind],
        *,
        on_seen: OnSeen = _ignore,
        refer: Refer = _ignore,
    ) -> None:
        self.wanted: frozenset[Kind] = frozenset()
        self.installed: dict[Kind, bool] = {}
        self.on_wanted: Callable[[], None] = _ignore
        self._cluster = cluster
        self._kinds = {kind.identity: kind for kind in kinds}
        self._on_seen = on_seen
        self._refer = refer
        self._servers: dict[_Place, _Servers] = {}
        self._grants: dict[str, _Grants] = {}
        self._last: frozenset[ServerKey] = frozenset()

    async def read(self, wanted: Iterable[WantedServer], changed: ChangedNamespaces = EVERYTHING) -> ReadServers:
        """Return what the wanted servers say, and the ReferenceGrants that they need.

        Raises:
            ClusterError: a request failed.
        """
        known = [each for each in wanted if each.key[:2] in self._kinds]
        keys = {each.key: self._kinds[each.key[:2]] for each in known}
        abroad = {each.key.namespace for each in known if each.is_abroad}
        self._want(keys, abroad)
        await self._renew_servers(keys, changed)
        await self._renew_grants(abroad, changed)
        return ReadServers({key: self._found(key, kind) for key, kind in keys.items()}, dict(self._grants))

    def _want(self, keys: Mapping[ServerKey, ServerKind], abroad: AbstractSet[str]) -> None:
        """Let events of these objects count, and of no others."""
        self._refer(frozenset((kind_of(kind), key.namespace, key.name) for key, kind in keys.items()))
        wanted = frozenset(map(kind_of, keys.values())) | frozenset(REFERENCE_GRANTS if abroad else ())
        if wanted != self.wanted:
            self.wanted = wanted
            self.on_wanted()

    def _found(self, key: ServerKey, kind: ServerKind) -> ForeignServer | MissingServer:
        servers = self._servers[kind.identity, key.namespace]
        return servers if isinstance(servers, MissingServer) else servers.get(key.name, MissingServer.NOT_FOUND)

    async def _renew_servers(self, keys: Mapping[ServerKey, ServerKind], changed: ChangedNamespaces) -> None:
        turn = asyncio.Semaphore(_LISTS_AT_ONCE)
        places = {(kind.identity, key.namespace): kind for key, kind in keys.items()}
        # Events of what was not referred to did not count, so what is new may have changed since its list was read.
        new = {(kind.identity, key.namespace) for key, kind in keys.items() if key not in self._last}
        stale = [each for each in places if each in new or each not in self._servers or changed.includes(each[1])]
        found = await asyncio.gather(*(self._list(places[place], place[1], keys, turn) for place in stale))
        self._servers = {each: self._servers[each] for each in places if each in self._servers}
        self._servers |= dict(zip(stale, found, strict=True))
        self._last = frozenset(keys)

    async def _renew_grants(self, abroad: AbstractSet[str], changed: ChangedNamespaces) -> None:
        turn = asyncio.Semaphore(_LISTS_AT_ONCE)
        stale = [each for each in sorted(abroad) if each not in self._grants or changed.includes(each)]
        found = await asyncio.gather(*(self._permitted(each, turn) for each in stale))
        self._grants = {each: self._grants[each] for each in abroad if each in self._grants}
        self._grants |= dict(zip(stale, found, strict=True))

    async def _list(
        self, kind: ServerKind, namespace: str, keys: Mapping[ServerKey, ServerKind], turn: asyncio.Semaphore
    ) -> _Servers:
        """Return the servers of a kind in a namespace that are wanted; the others are not kept."""
        found = await self._objects(kind_of(kind), namespace, turn)
        if isinstance(found, MissingServer):
            return found
        wanted = [obj for obj in found if ServerKey(*kind.identity, namespace, name_of(obj)) in keys]
        for obj in wanted:
            self._on_seen(kind_of(kind), obj)
        return {name_of(obj): server_from_object(kind, obj) for obj in wanted}

    async def _permitted(self, namespace: str, turn: asyncio.Semaphore) -> _Grants:
        """Return the grants in a namespace, of the newest version that the API server has."""
        found: Objects | MissingServer = MissingServer.KIND_NOT_INSTALLED
        for each in REFERENCE_GRANTS:
            self.installed.pop(each, None)  # what is not asked for now says nothing of later
        for kind in REFERENCE_GRANTS:
            found = await self._objects(kind, namespace, turn)
            if found is not MissingServer.KIND_NOT_INSTALLED:
                break
        if isinstance(found, MissingServer):
            return found
        for obj in found:
            self._on_seen(kind, obj)
        return grants_from_objects(found).get(namespace, ())

    async def _objects(self, kind: Kind, namespace: str, turn: asyncio.Semaphore) -> Objects | MissingServer:
        async with turn:
            self.installed[kind] = True
            try:
                return await self._cluster.list(kind, namespace=namespace)
            except NotFound:
                self.installed[kind] = False
                return MissingServer.KIND_NOT_INSTALLED
            except Forbidden:
                return MissingServer.FORBIDDEN
