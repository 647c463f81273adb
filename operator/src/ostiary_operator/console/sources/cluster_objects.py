"""The resources of a cluster, read by the API server for many viewers.

Lists are consistent, come in pages, and are kept for some seconds. Policies and locks are kept as JSON text, and
decoded where they are looked at: thousands of them are most of what there is.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, overload

from ostiary_core.contract.bundle import OpenedBundle, open_parts
from ostiary_core.errors import ContractError
from ostiary_operator.api import labels
from ostiary_operator.api.objects import ReadOnlyObject, identity_of, name_of, namespace_of
from ostiary_operator.console.sources.memory import ShortMemory
from ostiary_operator.console.sources.protocols import SourceUnavailable
from ostiary_operator.kube.errors import ClusterError, Forbidden, KindMissing, NotFound
from ostiary_operator.kube.kinds import LOCK, POLICY, PROXY, Kind
from ostiary_operator.kube.list_decoding import PackedObject
from ostiary_operator.kube.read_only_client import ReadOnlyClient
from ostiary_operator.local.governed_proxy import GovernedProxy, UnknownProxy
from ostiary_operator.view import cluster_reader, governed_proxies
from ostiary_operator.view.cluster_reader import GatewayOverview, serving_gateways

#: Seconds for which resources, and the config of a gateway, are kept.
_SECONDS: Final = 2.0
_CONFIG_SECONDS: Final = 10.0
#: Gateways whose config is kept opened.
_CONFIGS: Final = 4


class ListedObjects(Sequence[ReadOnlyObject]):
    """Objects in the order of namespace and name; packed ones are decoded when they are read."""

    def __init__(self, found: Sequence[ReadOnlyObject] = ()) -> None:
        self._sorted = sorted(found, key=lambda each: (namespace_of(each), name_of(each)))
        self._places = {identity_of(each): each for each in self._sorted}

    def find(self, identity: str) -> ReadOnlyObject | None:
        """Return the object ``namespace/name``, or None."""
        found = self._places.get(identity)
        return None if found is None else _unpacked(found)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._sorted)

    def __iter__(self) -> Iterator[ReadOnlyObject]:
        """Yield each of them."""
        return map(_unpacked, self._sorted)

    @overload
    def __getitem__(self, index: int) -> ReadOnlyObject: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[ReadOnlyObject]: ...

    def __getitem__(self, index: int | slice) -> ReadOnlyObject | Sequence[ReadOnlyObject]:
        """Return one of them, or some."""
        found = self._sorted[index]
        return [_unpacked(each) for each in found] if isinstance(found, list) else _unpacked(found)


def _unpacked(obj: ReadOnlyObject) -> ReadOnlyObject:
    return obj.unpacked() if isinstance(obj, PackedObject) else obj


class ClusterObjects:
    """Implements :class:`~ostiary_operator.console.sources.protocols.ConsoleObjects`.

    All namespaces are read, or only ``namespaces`` if there are any. Where reading all is forbidden, ``namespace`` is
    read, which is that of the user's context; None is for an account that may read all.
    """

    def __init__(
        self,
        cluster: ReadOnlyClient,
        *,
        title: str,
        operator_namespace: str,
        namespace: str | None = None,
        namespaces: Sequence[str] = (),
        seconds: float = _SECONDS,
    ) -> None:
        self._cluster = cluster
        self._title = title
        self._operator_namespace = operator_namespace
        self._narrow = namespace
        self._only = tuple(namespaces)
        self._listed = ShortMemory(self._list, seconds=seconds)
        self._policies = ShortMemory(self._get_policy, seconds=seconds)
        self._governing = ShortMemory(self._list_policies, seconds=seconds)
        self._gateways = ShortMemory(self._read_gateways, seconds=seconds)
        self._configs = ShortMemory(self._open, seconds=_CONFIG_SECONDS, most=_CONFIGS)

    @property
    def title(self) -> str:
        """The API server, and the namespaces if not all are read."""
        if not self._only:
            return self._title
        return f"{'namespace' if len(self._only) == 1 else 'namespaces'} {', '.join(self._only)} of {self._title}"

    async def proxies(self) -> Sequence[ReadOnlyObject]:
        """Return all MCPProxies, in the order of namespace and name."""
        return await self._listed.get(PROXY)

    async def proxy(self, identity: str) -> ReadOnlyObject | None:
        """Return one MCPProxy (``namespace/name``), or None."""
        return (await self._listed.get(PROXY)).find(identity)

    async def policies(self, namespace: str) -> Sequence[ReadOnlyObject]:
        """Return the MCPPolicies of a namespace, in the order of their names."""
        return await self._governing.get(namespace)

    async def policy(self, identity: str) -> ReadOnlyObject | None:
        """Return one MCPPolicy (``namespace/name``), or None."""
        return await self._policies.get(identity)

    async def locks(self) -> Sequence[ReadOnlyObject]:
        """Return all MCPLocks, in the order of namespace and name.

        There are none where their kind is not installed.
        """
        return await self._listed.get(LOCK)

    async def gateways(self) -> Mapping[str, GatewayOverview]:
        """Return the gateways by identity."""
        return await self._gateways.get(None)

    async def governed(self, identity: str) -> GovernedProxy:
        """Return an MCPProxy (``namespace/name``) with its policies, as its first gateway has it.

        Raises:
            UnknownProxy: there is no such MCPProxy, or it was not delivered; the message says why.
        """
        proxy = await self.proxy(identity)
        if proxy is None:
            raise UnknownProxy(f"there is no MCPProxy {identity}")
        gateway = next(iter(serving_gateways(proxy)), None)
        if gateway is None:
            raise UnknownProxy(f"MCPProxy {identity}: no gateway serves it; its conditions say why")
        return governed_proxies.governed(await self._config(gateway), identity)

    async def _config(self, gateway: str) -> OpenedBundle:
        overview = (await self.gateways()).get(gateway)
        if overview is None or overview.manifest is None:
            problem = overview.problem if overview is not None else ""
            raise UnknownProxy(problem or f"gateway {gateway} has no config yet")
        # The same parts are the same config: it is read once, however long it is looked at.
        found = await self._configs.get((gateway, *overview.manifest.parts))
        return OpenedBundle(overview.manifest, found.documents)

    async def _open(self, key: tuple[str, ...]) -> OpenedBundle:
        gateway, *parts = key
        manifest, problem = await cluster_reader.read_manifest(self._cluster, gateway)
        if manifest is None or manifest.parts != parts:
            raise SourceUnavailable(problem or f"the config of gateway {gateway} changed just now: try again")
        try:
            files = await governed_proxies.read_parts(self._cluster, gateway, len(parts))
            return await asyncio.to_thread(open_parts, manifest, files)
        except (ContractError, ClusterError) as error:
            raise SourceUnavailable(f"the config of gateway {gateway} cannot be read: {error}") from error

    async def _list(self, kind: Kind) -> ListedObjects:
        try:
            return ListedObjects(await self._list_or_narrow(kind))
        except ClusterError as error:
            if kind is LOCK and isinstance(error, KindMissing):
                return ListedObjects()
            raise SourceUnavailable(str(error)) from error

    async def _get_policy(self, identity: str) -> ReadOnlyObject | None:
        """Return one MCPPolicy: one is read sooner than thousands are listed."""
        namespace, _, name = identity.partition("/")
        if self._only and namespace not in self._only:
            return None
        try:
            return await self._cluster.get(POLICY, namespace=namespace, name=name)
        except NotFound:
            return None
        except ClusterError as error:
            raise SourceUnavailable(str(error)) from error

    async def _list_policies(self, namespace: str) -> ListedObjects:
        """List the MCPPolicies of a namespace.

        There are none where it is not read, or the text is not the name of one.
        """
        if not labels.is_dns_label(namespace) or (self._only and namespace not in self._only):
            return ListedObjects()
        try:
            return ListedObjects(await self._cluster.list(POLICY, namespace=namespace))
        except ClusterError as error:
            if isinstance(error, Forbidden) and self._narrow is not None:
                return ListedObjects()  # a user sees what they may see
            raise SourceUnavailable(str(error)) from error

    async def _list_or_narrow(self, kind: Kind) -> Sequence[ReadOnlyObject]:
        """List all namespaces; where that is forbidden, the one that was named for this case."""
        if self._only:
            found = await asyncio.gather(*(self._cluster.list(kind, namespace=each) for each in self._only))
            return [obj for part in found for obj in part]
        try:
            return await self._cluster.list(kind)
        except Forbidden:
            if self._narrow is None:
                raise
        narrowed = await self._cluster.list(kind, namespace=self._narrow)
        self._only = (self._narrow,)
        return narrowed

    async def _read_gateways(self, _: None) -> dict[str, GatewayOverview]:
        """Return the gateways of what is read, and those that statuses name."""
        proxies = await self.proxies()
        try:
            found, _notes = await cluster_reader.read_gateways(
                self._cluster, proxies, namespaces=self._only or None, operator_namespace=self._operator_namespace
            )
        except ClusterError as error:
            raise SourceUnavailable(str(error)) from error
        return found
