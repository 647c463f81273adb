"""Reads what proxies refer to: ConfigMaps, Secrets, Services and EndpointSlices."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Final, TypeAlias

from ostiary_core.secret_bytes import SecretBytes
from ostiary_operator.api import labels
from ostiary_operator.api.objects import Object, Objects, namespace_of
from ostiary_operator.compile.credential_secrets import ReadCredentials, read_secret
from ostiary_operator.compile.inputs import reference_data, services_from_objects
from ostiary_operator.compile.model import CredentialSecret, Missing, NamespaceServices, ReferenceKey
from ostiary_operator.kube.changed_namespaces import EVERYTHING, ChangedNamespaces
from ostiary_operator.kube.client import KubernetesClient
from ostiary_operator.kube.errors import Forbidden, NotFound
from ostiary_operator.kube.kinds import CONFIG_MAP, ENDPOINT_SLICE, SECRET, SERVICE, Kind
from ostiary_operator.kube.options import OperatorOptions

#: Namespaces that are read in parallel. Where more changed, it is less work to read the whole cluster.
_NAMESPACES_AT_ONCE: Final = 16
OnSeen = Callable[[Kind, Object], None]
"""Called with every object that was read."""
Follow = Callable[[AbstractSet[str]], None]
"""Called with the namespaces whose Services matter, before they are read."""
#: ConfigMaps and Secrets that are read in parallel.
_OBJECTS_AT_ONCE: Final = 16
_Found: TypeAlias = Mapping[str, str] | Missing
_FoundSecret: TypeAlias = tuple[CredentialSecret | Missing, Mapping[str, SecretBytes]]


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
        return self._options.namespaces is None and len(stale) > _NAMESPACES_AT_ONCE

    async def _whole(self, namespaces: AbstractSet[str]) -> dict[str, NamespaceServices]:
        services, slices = await asyncio.gather(self._cluster.list(SERVICE), self._slices(None))
        return self._by_namespace(namespaces, services, slices)

    async def _each(self, namespaces: AbstractSet[str]) -> dict[str, NamespaceServices]:
        turn = asyncio.Semaphore(_NAMESPACES_AT_ONCE)

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


class ReferenceReader:
    """Reads referenced objects; of unchanged namespaces it returns those it remembers."""

    def __init__(self, cluster: KubernetesClient) -> None:
        self._cluster = cluster
        self._known: dict[ReferenceKey, _Found] = {}

    async def resolve(
        self, wanted: Iterable[ReferenceKey], changed: ChangedNamespaces = EVERYTHING
    ) -> dict[ReferenceKey, _Found]:
        """Return the data of each object, or why it is not available; forget all others.

        Raises:
            ClusterError: a request failed.
        """
        keys = sorted(wanted)
        turn = asyncio.Semaphore(_OBJECTS_AT_ONCE)
        stale = [key for key in keys if key not in self._known or changed.includes(key.namespace)]
        found = await asyncio.gather(*(_read(self._cluster, key, turn) for key in stale))
        read = dict(zip(stale, found, strict=True))
        self._known = {key: read[key] if key in read else self._known[key] for key in keys}
        return dict(self._known)


class CredentialReader:
    """Reads Secrets with credentials; of unchanged namespaces it returns those it remembers."""

    def __init__(self, cluster: KubernetesClient) -> None:
        self._cluster = cluster
        self._known: dict[ReferenceKey, _FoundSecret] = {}

    async def read(self, wanted: Iterable[ReferenceKey], changed: ChangedNamespaces = EVERYTHING) -> ReadCredentials:
        """Return what the compiler may know of each Secret, and their values; forget all others.

        Raises:
            ClusterError: a request failed.
        """
        keys = sorted(wanted)
        turn = asyncio.Semaphore(_OBJECTS_AT_ONCE)
        stale = [key for key in keys if key not in self._known or changed.includes(key.namespace)]
        found = await asyncio.gather(*(self._one(key, turn) for key in stale))
        read = dict(zip(stale, found, strict=True))
        self._known = {key: read[key] if key in read else self._known[key] for key in keys}
        return self.last

    @property
    def last(self) -> ReadCredentials:
        """What was read last."""
        values = {name: value for _, each in self._known.values() for name, value in each.items()}
        return ReadCredentials({key: secret for key, (secret, _) in self._known.items()}, values)

    async def _one(self, key: ReferenceKey, turn: asyncio.Semaphore) -> _FoundSecret:
        async with turn:
            try:
                return read_secret(await self._cluster.get(SECRET, namespace=key.namespace, name=key.name))
            except NotFound:
                return Missing.NOT_FOUND, {}
            except Forbidden:
                return Missing.FORBIDDEN, {}


async def _read(cluster: KubernetesClient, key: ReferenceKey, turn: asyncio.Semaphore) -> _Found:
    kind = SECRET if key.kind == SECRET.name else CONFIG_MAP
    async with turn:
        try:
            obj = await cluster.get(kind, namespace=key.namespace, name=key.name)
        except NotFound:
            return Missing.NOT_FOUND
        except Forbidden:
            return Missing.FORBIDDEN
    return reference_data(key, obj)
