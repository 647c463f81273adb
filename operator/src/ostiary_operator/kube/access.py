"""Checks the operator's own permissions with SelfSubjectAccessReviews."""

from ostiary_operator.kube.client import KubernetesClient
from ostiary_operator.kube.kinds import ACCESS_REVIEW, Kind


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
