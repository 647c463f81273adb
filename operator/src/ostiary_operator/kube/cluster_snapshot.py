"""The snapshot that a pass reads: resources, gateways, and the objects of each gateway."""

import asyncio
import logging
from collections.abc import Awaitable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ostiary_core.contract.key_names import secret_name
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
    """The objects of one gateway: its ConfigMaps and Secret, its EndpointSlices.

    ``forbidden`` says why the operator may not read them.
    """

    config_maps: Mapping[str, Object] = field(default_factory=dict)
    """By name: the ConfigMaps labelled as this gateway's config."""
    secret: Object | None = None
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
            *(_secret(cluster, namespace, name) for name in gateway_names),
        )
    except Forbidden as error:
        if namespace == options.operator_namespace:
            raise
        _log.debug(
            "gateways in namespace %s are left as they are: %s", namespace, error
        )  # `GatewayProblems` logs it once
        return NamespaceObjects(forbidden=str(error))
    return NamespaceObjects(config_maps, {name_of(each): each for found in secrets for each in found}, slices)


async def _all_or_the_first_failure(*requests: Awaitable[Objects]) -> list[Objects]:
    """Wait for all requests; raise the first failure by order, so that it is logged once."""
    results = await asyncio.gather(*requests, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]


async def _secret(cluster: KubernetesClient, namespace: str, gateway: str) -> list[Object]:
    try:
        return [await cluster.get(SECRET, namespace=namespace, name=secret_name(gateway))]
    except NotFound:
        return []


def objects_of_gateway(gateway: DiscoveredGateway, around: NamespaceObjects) -> GatewayObjects:
    """Select the objects of one gateway."""
    return GatewayObjects(
        config_maps={
            name_of(each): each for each in around.config_maps if labels.of(each).get(labels.CONFIG) == gateway.name
        },
        secret=around.secrets.get(secret_name(gateway.name)),
        slices=tuple(each for each in around.slices if labels.of(each).get(labels.SERVICE_NAME) == gateway.service),
        forbidden=around.forbidden,
    )
