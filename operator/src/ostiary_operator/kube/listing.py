"""One consistent look at everything that a pass needs. It is complete or it fails: a config never shrinks by accident.

First the kinds that exist anywhere, all at once; then, in the namespaces of the gateways found, what lies beside them.
"""

import asyncio
import functools
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ostiary_operator.compile.model import Gateway
from ostiary_operator.kube import gateways, labels, names
from ostiary_operator.kube.client import Cluster, Object, name_of, namespace_of
from ostiary_operator.kube.errors import Forbidden, NotFound
from ostiary_operator.kube.kinds import CONFIG_MAP, ENDPOINT_SLICE, NAMESPACE, POLICY, PROXY, SECRET, SERVICE, Kind
from ostiary_operator.kube.options import OperatorOptions

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Beside:
    """What lies beside one gateway: our outputs as read, its EndpointSlices; or why we may not see them."""

    config_maps: Mapping[str, Object] = field(default_factory=dict)
    """By name: those labelled as this gateway's config."""
    secret: Object | None = None
    slices: tuple[Object, ...] = ()
    forbidden: str | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """Everything that was seen."""

    proxies: Sequence[Object]
    policies: Sequence[Object]
    gateways: tuple[Gateway, ...]
    namespaces: Mapping[str, Mapping[str, str]]
    beside: Mapping[str, Beside]
    """By gateway identity."""


@dataclass(frozen=True, slots=True)
class _Neighbourhood:
    """ConfigMaps, Secrets and slices of one namespace."""

    config_maps: Sequence[Object] = ()
    secrets: Mapping[str, Object] = field(default_factory=dict)
    slices: Sequence[Object] = ()
    forbidden: str | None = None


async def look(cluster: Cluster, options: OperatorOptions) -> Listing:
    """Read everything.

    Raises:
        ClusterError: any part could not be read, but for what lies beside a gateway of another namespace.
    """
    proxies, policies, services, namespaces = await asyncio.gather(
        _everywhere(cluster, options, PROXY),
        _everywhere(cluster, options, POLICY),
        _everywhere(cluster, options, SERVICE, selector=labels.GATEWAY),
        _namespaces(cluster, options),
    )
    places = sorted({namespace_of(service) for service in services})
    looks = await asyncio.gather(*(_neighbourhood(cluster, options, place, services) for place in places))
    around = dict(zip(places, looks, strict=True))
    found = gateways.discover(services, (each for look in looks for each in look.config_maps))
    elected = gateways.elected(found)
    return Listing(
        proxies=proxies,
        policies=policies,
        gateways=found,
        namespaces=namespaces,
        beside={identity: _beside(gateway, around[gateway.namespace]) for identity, gateway in elected.items()},
    )


async def _everywhere(
    cluster: Cluster, options: OperatorOptions, kind: Kind, *, selector: str | None = None
) -> list[Object]:
    if options.namespaces is None:
        return await cluster.list(kind, selector=selector)
    lists = await asyncio.gather(
        *(cluster.list(kind, namespace=namespace, selector=selector) for namespace in options.namespaces)
    )
    return [item for items in lists for item in items]


async def _namespaces(cluster: Cluster, options: OperatorOptions) -> dict[str, Mapping[str, str]]:
    """Return the labels of each namespace; where we may not see them, the one label that every namespace has."""
    try:
        found = await cluster.list(NAMESPACE)
    except Forbidden:
        if options.namespaces is None:
            raise
        found = await asyncio.gather(*(_namespace(cluster, name) for name in options.namespaces))
    wanted = options.namespaces
    return {name_of(each): labels.of(each) for each in found if wanted is None or name_of(each) in wanted}


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


async def _neighbourhood(
    cluster: Cluster, options: OperatorOptions, namespace: str, services: Iterable[Object]
) -> _Neighbourhood:
    here = [service for service in services if namespace_of(service) == namespace]
    gateway_names = sorted({labels.of(service)[labels.GATEWAY] for service in here})
    selector = f"{labels.SERVICE_NAME} in ({','.join(sorted(name_of(service) for service in here))})"
    try:
        config_maps, slices, *secrets = await asyncio.gather(
            cluster.list(CONFIG_MAP, namespace=namespace, selector=labels.USAGE),
            cluster.list(ENDPOINT_SLICE, namespace=namespace, selector=selector),
            *(_secret(cluster, namespace, name) for name in gateway_names),
        )
    except Forbidden as error:
        if namespace == options.operator_namespace:
            raise
        _log.warning("gateways in namespace %s are left as they are: %s", namespace, error)
        return _Neighbourhood(forbidden=str(error))
    return _Neighbourhood(config_maps, {name_of(each): each for found in secrets for each in found}, slices)


async def _secret(cluster: Cluster, namespace: str, gateway: str) -> list[Object]:
    try:
        return [await cluster.get(SECRET, namespace=namespace, name=names.secret(gateway))]
    except NotFound:
        return []


def _beside(gateway: Gateway, around: _Neighbourhood) -> Beside:
    return Beside(
        config_maps={
            name_of(each): each for each in around.config_maps if labels.of(each).get(labels.CONFIG) == gateway.name
        },
        secret=around.secrets.get(names.secret(gateway.name)),
        slices=tuple(each for each in around.slices if labels.of(each).get(labels.SERVICE_NAME) == gateway.service),
        forbidden=around.forbidden,
    )
