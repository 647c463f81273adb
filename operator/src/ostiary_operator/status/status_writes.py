"""Writes statuses, several in parallel."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ostiary_operator.compile.model import ObjectKey
from ostiary_operator.kube import kinds
from ostiary_operator.kube.client import KubernetesClient
from ostiary_operator.kube.errors import ClusterError, Conflict, NotFound
from ostiary_operator.kube.kinds import LOCK, POLICY, PROXY

_log = logging.getLogger(__name__)
_AT_ONCE: Final = 8
_KINDS: Final = {
    PROXY.name: (PROXY, kinds.PROXY_STATUS_MANAGER),
    POLICY.name: (POLICY, kinds.POLICY_STATUS_MANAGER),
    LOCK.name: (LOCK, kinds.LOCK_STATUS_MANAGER),
}


@dataclass(frozen=True, slots=True)
class StatusWrite:
    """One status to write, to the object with this uid only."""

    key: ObjectKey
    uid: str
    status: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class WriteResult:
    """The result of the writes: the statuses in the cluster now, by uid, and the first failure."""

    statuses: Mapping[str, Mapping[str, Any]]
    failure: ClusterError | None = None


async def write_all(cluster: KubernetesClient, writes: Sequence[StatusWrite]) -> WriteResult:
    """Write statuses, several in parallel. Objects that are gone or were replaced are skipped."""
    turn = asyncio.Semaphore(_AT_ONCE)
    results = await asyncio.gather(*(_write(cluster, each, turn) for each in writes))
    failures = [result for result in results if isinstance(result, ClusterError)]
    statuses = {
        each.uid: result
        for each, result in zip(writes, results, strict=True)
        if result is not None and not isinstance(result, ClusterError)
    }
    return WriteResult(statuses, failures[0] if failures else None)


async def _write(
    cluster: KubernetesClient, write: StatusWrite, turn: asyncio.Semaphore
) -> Mapping[str, Any] | ClusterError | None:
    kind, manager = _KINDS[write.key.kind]
    metadata = {"name": write.key.name, "namespace": write.key.namespace, "uid": write.uid}
    async with turn:
        try:
            body = {"metadata": metadata, "status": dict(write.status)}
            written = await cluster.apply_status(kind, body, manager=manager)
        except (NotFound, Conflict) as error:
            _log.debug("no status for %s %s/%s: %s", *write.key, error)
            return None
        except ClusterError as error:
            return error
    status: Mapping[str, Any] = written.get("status") or {}
    return status
