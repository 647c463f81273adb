"""Chooses what is watched where: as widely as the operator's rights and options permit.

SelfSubjectAccessReviews tell which rights it has. A kind that may not be watched is not lost: the operator reads it at
each resync.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ostiary_operator.api import labels
from ostiary_operator.kube.client import KubernetesClient
from ostiary_operator.kube.kinds import (
    ACCESS_REVIEW,
    CONFIG_MAP,
    ENDPOINT_SLICE,
    LOCK,
    NAMESPACE,
    POLICY,
    PROXY,
    SECRET,
    SERVICE,
    Kind,
)
from ostiary_operator.kube.options import OperatorOptions

#: Seconds between passes without any request.
RESYNC: Final = 300.0
#: The same where a kind cannot be watched.
RESYNC_UNWATCHED: Final = 60.0

#: The label selectors of the watches of each kind; an empty one selects all.
SELECTORS: Final[Mapping[Kind, tuple[str, ...]]] = {
    PROXY: ("",),
    POLICY: ("",),
    LOCK: ("",),
    NAMESPACE: ("",),
    SERVICE: ("",),  # gateways, and what proxies name as their servers
    # Replicas of gateways, since Kubernetes copies a Service's labels to its slices; and slices written by hand.
    ENDPOINT_SLICE: (labels.GATEWAY, labels.FOREIGN_SLICES),
    CONFIG_MAP: (labels.USAGE,),
    SECRET: (labels.USAGE,),
}
_ALL: Final = ("",)


@dataclass(frozen=True, slots=True)
class Scope:
    """Kinds that are watched in the same namespaces. None means the whole cluster.

    One watch has one selector, so the second selector of a kind belongs to another scope, with ``index`` 1.
    """

    namespaces: tuple[str, ...] | None
    kinds: tuple[Kind, ...]
    index: int = 0

    def selector(self, kind: Kind) -> str:
        """The label selector of one of its kinds; empty for kinds of other operators."""
        return SELECTORS.get(kind, _ALL)[self.index]


@dataclass(frozen=True, slots=True)
class Watched:
    """The scopes to watch, and the kinds that are not watched everywhere they could matter."""

    scopes: tuple[Scope, ...]
    missing: tuple[str, ...]


async def choose(
    cluster: KubernetesClient, options: OperatorOptions, kinds: Sequence[Kind] = tuple(SELECTORS)
) -> Watched:
    """Check what may be watched where.

    Raises:
        ClusterError: a request to the API server failed.
    """
    reaches = await asyncio.gather(*(_reach(cluster, options, kind) for kind in kinds))
    places: dict[tuple[tuple[str, ...] | None, int], list[Kind]] = {}
    for kind, reach in zip(kinds, reaches, strict=True):
        for index in range(len(SELECTORS.get(kind, _ALL))) if reach is None or reach else ():
            places.setdefault((reach, index), []).append(kind)
    whole = {None, options.namespaces}
    missing = [kind.resource for kind, reach in zip(kinds, reaches, strict=True) if reach not in whole]
    return Watched(tuple(Scope(where, tuple(kinds), index) for (where, index), kinds in places.items()), tuple(missing))


async def _reach(cluster: KubernetesClient, options: OperatorOptions, kind: Kind) -> tuple[str, ...] | None:
    """Return the namespaces in which a kind may be watched; None for all."""
    if (options.namespaces is None or not kind.namespaced) and await may_watch(cluster, kind):
        return None
    if not kind.namespaced:
        return ()
    candidates: Iterable[str] = options.namespaces or (options.operator_namespace,)
    if kind == SECRET:
        candidates = sorted({*candidates, *options.secret_namespaces})
    allowed = [name for name in candidates if await may_watch(cluster, kind, namespace=name)]
    return tuple(allowed)


async def may(cluster: KubernetesClient, verb: str, kind: Kind, *, namespace: str | None = None) -> bool:
    """Return whether a verb is permitted on all objects of a kind, in a namespace or all.

    Raises:
        ClusterError: the request to the API server failed.
    """
    attributes = {"verb": verb, "group": kind.group, "resource": kind.plural, "namespace": namespace or ""}
    review = await cluster.create(ACCESS_REVIEW, {"spec": {"resourceAttributes": attributes}})
    return bool(review.get("status", {}).get("allowed"))


async def may_watch(cluster: KubernetesClient, kind: Kind, *, namespace: str | None = None) -> bool:
    """Return whether we may list and watch a kind.

    Raises:
        ClusterError: the request to the API server failed.
    """
    return await may(cluster, "list", kind, namespace=namespace) and await may(
        cluster, "watch", kind, namespace=namespace
    )
