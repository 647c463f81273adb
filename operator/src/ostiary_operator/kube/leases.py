"""Reads and writes Leases (coordination.k8s.io/v1)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ostiary_operator.api import labels
from ostiary_operator.api.objects import Object, name_of, namespace_of
from ostiary_operator.kube import kinds
from ostiary_operator.kube.client import KubernetesClient
from ostiary_operator.kube.errors import NotFound
from ostiary_operator.kube.kinds import LEASE


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """The spec of a Lease. A free one has an empty holder.

    ``seconds`` is the lease duration after ``renewed``; both times are in epoch seconds by the holder's clock.
    """

    holder: str = ""
    seconds: int = 0
    acquired: float = 0.0
    renewed: float = 0.0
    transitions: int = 0


def parse(lease: Object) -> LeaseRecord:
    """Parse a Lease; missing or unreadable fields have the values of a free one."""
    spec = lease.get("spec") or {}
    return LeaseRecord(
        holder=str(spec.get("holderIdentity") or ""),
        seconds=int(spec.get("leaseDurationSeconds") or 0),
        acquired=_seconds(spec.get("acquireTime")),
        renewed=_seconds(spec.get("renewTime")),
        transitions=int(spec.get("leaseTransitions") or 0),
    )


def taken(old: LeaseRecord, holder: str, *, now: float, seconds: int) -> LeaseRecord:
    """Return the record after a holder acquired or renewed it; ``now`` is in epoch seconds."""
    if old.holder == holder:
        return LeaseRecord(holder, seconds, old.acquired, now, old.transitions)
    return LeaseRecord(holder, seconds, now, now, old.transitions + 1)


async def find(cluster: KubernetesClient, *, namespace: str, name: str) -> Object | None:
    """Read a Lease; None if it does not exist.

    Raises:
        ClusterError: it cannot be read.
    """
    try:
        return await cluster.get(LEASE, namespace=namespace, name=name)
    except NotFound:
        return None


async def make(cluster: KubernetesClient, *, namespace: str, name: str) -> Object:
    """Create a free Lease, unless it exists by now; return it.

    Raises:
        ClusterError: it cannot be created.
    """
    metadata = {"namespace": namespace, "name": name, "labels": {labels.MANAGED_BY: "ostiary"}}
    return await cluster.apply(LEASE, {"metadata": metadata}, manager=kinds.LEASE_MAKER)


async def write(
    cluster: KubernetesClient, lease: Object, record: LeaseRecord, *, owners: Sequence[Object] = ()
) -> Object:
    """Replace the spec of a Lease, unless it changed since it was read.

    Kubernetes deletes it when all its ``owners`` are gone.

    Raises:
        Conflict: it changed.
        ClusterError: it cannot be written.
    """
    metadata: dict[str, Any] = {
        "namespace": namespace_of(lease),
        "name": name_of(lease),
        "resourceVersion": lease["metadata"]["resourceVersion"],
    }
    if owners:
        metadata["ownerReferences"] = list(owners)
    spec = {
        "holderIdentity": record.holder,
        "leaseDurationSeconds": record.seconds,
        "acquireTime": _micro_time(record.acquired),
        "renewTime": _micro_time(record.renewed),
        "leaseTransitions": record.transitions,
    }
    return await cluster.apply(LEASE, {"metadata": metadata, "spec": spec}, manager=kinds.LEASE_MANAGER)


def _micro_time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _seconds(text: object) -> float:
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return 0.0
