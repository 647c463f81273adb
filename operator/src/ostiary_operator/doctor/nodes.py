"""Remedies for clusters without nodes, whose programs run outside of Pods."""

from ostiary_operator.doctor.diagnosis import Case
from ostiary_operator.kube.errors import ClusterError

_NODES = "/api/v1/nodes?limit=1"


async def remedy(case: Case, usual: str, *, arguments: str) -> str:
    """Return the ``usual`` remedy for Pods.

    In a cluster without nodes, return the advice to run again with ``arguments`` instead.
    """
    if not await _has_none(case):
        return usual
    return (
        f"this cluster has no node, so no Pod can run: if its programs run outside of it, as with `make cluster`, "
        f"run again with {arguments}; `make cluster` prints the whole command"
    )


async def _has_none(case: Case) -> bool:
    """Return whether the cluster is known to have no node; False if nodes may not be listed."""
    try:
        return (await case.cluster.document(_NODES)).get("items") == []
    except ClusterError:
        return False
