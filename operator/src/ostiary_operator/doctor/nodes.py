"""Clusters without nodes, such as that of `make cluster`: no Pod runs there, and its program runs elsewhere."""

from ostiary_operator.doctor.model import Case
from ostiary_operator.kube.errors import ClusterError

_NODES = "/api/v1/nodes?limit=1"


async def remedy(case: Case, usual: str, *, told: str) -> str:
    """Return what to do about Pods: the usual, or where there can be none, to say where their programs are.

    ``told`` are the arguments that say it.
    """
    if not await _has_none(case):
        return usual
    return (
        f"this cluster has no node, so no Pod of it can run: where programs run beside it, as `make cluster` has them, "
        f"come again with {told}; `make cluster` prints the whole command"
    )


async def _has_none(case: Case) -> bool:
    """Whether it is known that there is no node: whoever may not list them is told what is usual."""
    try:
        return (await case.cluster.document(_NODES)).get("items") == []
    except ClusterError:
        return False
