"""What the operator may do, asked of the API server itself, and how to grant what it may not."""

from ostiary_operator.kube.client import KubernetesClient
from ostiary_operator.kube.kinds import ACCESS_REVIEW, Kind


async def may(cluster: KubernetesClient, verb: str, kind: Kind, *, namespace: str | None = None) -> bool:
    """Say whether we may use a verb on all objects of a kind, in a namespace or cluster-wide.

    Raises:
        ClusterError: the API server cannot be asked.
    """
    attributes = {"verb": verb, "group": kind.group, "resource": kind.plural, "namespace": namespace or ""}
    review = await cluster.create(ACCESS_REVIEW, {"spec": {"resourceAttributes": attributes}})
    return bool(review.get("status", {}).get("allowed"))


async def may_watch(cluster: KubernetesClient, kind: Kind, *, namespace: str | None = None) -> bool:
    """Say whether we may list and watch a kind.

    Raises:
        ClusterError: the API server cannot be asked.
    """
    return await may(cluster, "list", kind, namespace=namespace) and await may(
        cluster, "watch", kind, namespace=namespace
    )
