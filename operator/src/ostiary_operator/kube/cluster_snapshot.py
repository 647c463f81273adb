"""The snapshot that a pass reads: resources, gateways, and the objects of each gateway."""

import asyncio
import logging
from collections.abc import Awaitable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ostiary_core.contract.key_names import evidence_secret_name, secret_name
from ostiary_operator.api import labels
from ostiary_operator.api.objects import Object, Objects, name_of, namespace_of
from ostiary_operator.compile.gateways import names_gateway
from ostiary_operator.compile.model import DiscoveredGateway
from ostiary_operator.kube.client import KubernetesClient
from ostiary_operator.kube.errors import Forbidden, NotFound
from ostiary_operator.kube.kinds import CONFIG_MAP, ENDPOINT_SLICE, SECRET
from ostiary_operator.kube.options import OperatorOptions

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class GatewayObjects:
    """The objects of one gateway: its ConfigMaps and Secrets, its EndpointSlices.

    ``forbidden`` says why the operator may not read them. Without ``may_share_evidence`` it has no right to the Secret
    with the bearer of evidence, which charts grant since there is a console: all else works.
    """

    config_maps: Mapping[str, Object] = field(default_factory=dict)
    """By name: the ConfigMaps labelled as this gateway's config."""
    secret: Object | None = None
    evidence_secret: Object | None = None
    may_share_evidence: bool = True
    slices: tuple[Object, ...] = ()
    forbidden: str | None = None


@dataclass(frozen=True, slots=True)
class ClusterSnapshot:
    """Everything that a pass reads of the cluster."""

    proxies: Sequence[Object]
    policies: Sequence[Object]
    gateways: tuple[DiscoveredGateway, ...]
    namespaces: Mapping[str, Mapping[str, str]]
    gateway_objects: Mapping[str, GatewayObjects]
    """By gateway identity."""
    locks: Sequence[Object] = ()
    fresh: Collection[Object] = ()
    """The proxies, policies and locks that were read for this snapshot; the others are from an earlier one."""

    @property
    def size(self) -> int:
        """The number of proxies, policies and locks."""
        return len(self.proxies) + len(self.policies) + len(self.locks)


@dataclass(frozen=True, slots=True)
class NamespaceObjects:
    """The ConfigMaps, Secrets and EndpointSlices of one namespace with gateways."""

    config_maps: Sequence[Object] = ()
    secrets: Mapping[str, Object] = field(default_factory=dict)
    slices: Sequence[Object] = ()
    forbidden: str | None = None
    unreadable: frozenset[str] = frozenset()
    """The names of Secrets with the bearer of evidence that the operator may not read."""


async def read_namespace(
    cluster: KubernetesClient, options: OperatorOptions, namespace: str, services: Iterable[Object]
) -> NamespaceObjects:
    """Read the objects of the gateways in a namespace.

    Raises:
        ClusterError: they could not be read; except a Forbidden in a namespace other than the operator's own.
    """
    here = [service for service in services if namespace_of(service) == namespace]
    gateway_names = sorted({labels.of(service)[labels.GATEWAY] for service in filter(names_gateway, here)})
    selector = f"{labels.SERVICE_NAME} in ({','.join(sorted(name_of(service) for service in here))})"
    try:
        config_maps, slices, *secrets = await _all_or_the_first_failure(
            cluster.list(CONFIG_MAP, namespace=namespace, selector=labels.USAGE),
            cluster.list(ENDPOINT_SLICE, namespace=namespace, selector=selector),
            *(_secret(cluster, namespace, secret_name(name)) for name in gateway_names),
        )
        bearers = {evidence_secret_name(name) for name in gateway_names}
        readable = await _readable_bearers(cluster, namespace, bearers)
    except Forbidden as error:
        if namespace == options.operator_namespace:
            raise
        _log.debug(
            "gateways in namespace %s are left as they are: %s", namespace, error
        )  # `GatewayProblems` logs it once
        return NamespaceObjects(forbidden=str(error))
    known = {name_of(each): each for found in (*secrets, *readable.values()) for each in found}
    return NamespaceObjects(config_maps, known, slices, unreadable=frozenset(bearers - readable.keys()))


async def _all_or_the_first_failure(*requests: Awaitable[Objects]) -> list[Objects]:
    """Wait for all requests; raise the first failure by order, so that it is logged once."""
    results = await asyncio.gather(*requests, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]


async def _readable_bearers(
    cluster: KubernetesClient, namespace: str, names: Iterable[str]
) -> Mapping[str, list[Object]]:
    """Return the bearers of evidence that the operator may read, by name.

    There is none under a name of a Secret that does not exist.
    """

    async def one(name: str) -> list[Object] | None:
        try:
            return await _secret(cluster, namespace, name)
        except Forbidden:
            return None

    ordered = sorted(names)
    found = dict(zip(ordered, await asyncio.gather(*map(one, ordered)), strict=True))
    return {name: secrets for name, secrets in found.items() if secrets is not None}


async def _secret(cluster: KubernetesClient, namespace: str, name: str) -> list[Object]:
    try:
        return [await cluster.get(SECRET, namespace=namespace, name=name)]
    except NotFound:
        return []


def objects_of_gateway(gateway: DiscoveredGateway, around: NamespaceObjects) -> GatewayObjects:
    """Select the objects of one gateway."""
    return GatewayObjects(
        config_maps={
            name_of(each): each for each in around.config_maps if labels.of(each).get(labels.CONFIG) == gateway.name
        },
        secret=around.secrets.get(secret_name(gateway.name)),
        evidence_secret=around.secrets.get(evidence_secret_name(gateway.name)),
        may_share_evidence=evidence_secret_name(gateway.name) not in around.unreadable,
        slices=tuple(each for each in around.slices if labels.of(each).get(labels.SERVICE_NAME) == gateway.service),
        forbidden=around.forbidden,
    )
