"""Ensures that only one operator serves a namespace, with a Lease in each.

An operator claims every namespace that it serves, and skips those that another operator claims.

A claim belongs to the operator, not to one replica: it survives restarts and leader changes, and expires when the
operator is gone for long. Its owner reference is one of the objects that the operator serves, so Kubernetes deletes the
claim with the last of them. A namespace that another operator claims is reported in the log, as an Event and in the
metrics. If that is the operator's own namespace, the pass fails, since without its gateways there is nothing to do.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, Protocol

from ostiary_core.errors import OstiaryError
from ostiary_operator.api.objects import Object, name_of, namespace_of, uid_of
from ostiary_operator.clock import Clock
from ostiary_operator.compile.model import DiscoveredGateway
from ostiary_operator.kube import kinds, leases
from ostiary_operator.kube.client import KubernetesClient
from ostiary_operator.kube.cluster_snapshot import ClusterSnapshot
from ostiary_operator.kube.errors import Conflict, Forbidden, NotFound
from ostiary_operator.kube.kinds import LEASE, SERVICE
from ostiary_operator.kube.leases import LeaseRecord
from ostiary_operator.kube.options import OperatorOptions
from ostiary_operator.status.events import EventRecord, EventRecorder

_log = logging.getLogger(__name__)

#: Seconds after which a claim that was not renewed expires, and between the renewals of our own.
LASTS: Final = 600
RENEW: Final = 200.0
#: Seconds between checks of the claims of others, and of what is due for renewal.
CHECK_EVERY: Final = 20.0
_AT_ONCE: Final = 16


class ForeignNamespace(OstiaryError):
    """Another operator serves this operator's own namespace."""


@dataclass(slots=True)
class _Known:
    """A claim when it was last read (monotonic). ``holder`` is empty where it is our own."""

    at: float
    holder: str = ""
    owner: str = ""
    """The uid of the object that owns our claim."""


class OwnershipFilter(Protocol):
    """Reduces a snapshot to the namespaces that this operator serves."""

    async def owned(self, snapshot: ClusterSnapshot) -> ClusterSnapshot:
        """Return the part of the snapshot that this operator serves."""
        ...


class OwnsEverything:
    """The filter for tests and tools without other operators: everything is ours."""

    async def owned(self, snapshot: ClusterSnapshot) -> ClusterSnapshot:
        """Return the whole snapshot."""
        return snapshot


class NamespaceOwnership:
    """Claims namespaces and remembers who holds each claim.

    ``identity`` is the operator's, ``namespace/name``: the same for all its replicas and after each restart.
    """

    def __init__(
        self,
        cluster: KubernetesClient,
        clock: Clock,
        options: OperatorOptions,
        events: EventRecorder,
        *,
        lasts: float = LASTS,
    ) -> None:
        self.identity = options.identity
        self._cluster = cluster
        self._clock = clock
        self._options = options
        self._events = events
        self._lasts = lasts
        self._known: dict[str, _Known] = {}

    @property
    def refused(self) -> Mapping[str, str]:
        """The namespaces that other operators serve, with the identity of each."""
        return {place: known.holder for place, known in self._known.items() if known.holder}

    async def owned(self, snapshot: ClusterSnapshot) -> ClusterSnapshot:
        """Claim every namespace in the snapshot; return the part that this operator serves.

        Raises:
            ForeignNamespace: another operator serves our own namespace.
            ClusterError: a request to the API server failed.
        """
        owners = dict(_owners(snapshot))
        self._known = {place: known for place, known in self._known.items() if place in owners}
        due = [place for place, owner in owners.items() if self._is_due(place, owner)]
        turn = asyncio.Semaphore(_AT_ONCE)
        await asyncio.gather(*(self._claim(place, owners[place], turn) for place in due))
        own = self.refused.get(self._options.operator_namespace)
        if own is not None:
            raise ForeignNamespace(_remedy(self._options.operator_namespace, own))
        return _without(snapshot, self.refused)

    async def run(self, enqueue: Callable[[], None]) -> None:
        """Enqueue a pass when our claim is due for renewal or another's may have expired."""
        while True:
            await self._clock.wait(asyncio.Event(), CHECK_EVERY)
            now = self._clock.monotonic()
            if any(now - known.at >= (CHECK_EVERY if known.holder else RENEW) for known in self._known.values()):
                enqueue()

    def _is_due(self, place: str, owner: Object) -> bool:
        known = self._known.get(place)
        if known is None:
            return True
        age = self._clock.monotonic() - known.at
        return age >= CHECK_EVERY if known.holder else (age >= RENEW or known.owner != owner["uid"])

    async def _claim(self, place: str, owner: Object, turn: asyncio.Semaphore) -> None:
        async with turn:
            try:
                holder = await self._take(place, owner)
            except Forbidden as error:  # the namespace is being deleted, or the right is missing: serve it all the same
                holder = ""
                if place not in self._known:
                    _log.warning("namespace %s is served without a claim to it: %s", place, error)
            except NotFound:
                holder = ""  # the namespace itself is gone
        if holder and self.refused.get(place) != holder:
            self._report(place, holder)
        self._known[place] = _Known(self._clock.monotonic(), holder, owner["uid"])

    async def _take(self, place: str, owner: Object) -> str:
        """Claim a namespace if it is free; return the identity that holds it, empty for our own."""
        where = {"namespace": place, "name": kinds.CLAIM}
        lease = await leases.find(self._cluster, **where) or await leases.make(self._cluster, **where)
        record = leases.parse(lease)
        now = self._clock.time()
        if self._is_anothers(record, now):
            return record.holder
        record = leases.taken(record, self.identity, now=now, seconds=int(self._lasts))
        try:
            await leases.write(self._cluster, lease, record, owners=[owner])
        except Conflict:
            return await self._take(place, owner)  # another operator was faster: read which one
        return ""

    def _is_anothers(self, record: LeaseRecord, now: float) -> bool:
        # The period is minutes, so clocks may differ by less than that. A time far in the future is not trusted.
        return record.holder not in {"", self.identity} and abs(now - record.renewed) < self._lasts

    def _report(self, place: str, holder: str) -> None:
        _log.error("%s", _remedy(place, holder))
        regarding = {"apiVersion": LEASE.api_version, "kind": LEASE.name, "namespace": place, "name": kinds.CLAIM}
        note = f"{self.identity} serves nothing in this namespace: {holder} serves it"
        self._events.record(EventRecord(regarding, "NamespaceRefused", note, warning=True))


def _remedy(place: str, holder: str) -> str:
    return (
        f"namespace {place} is served by another operator, {holder}: this one serves nothing in it until that claim "
        f"expires; let only one operator watch it, or, if the other is gone, run `kubectl -n {place} delete lease "
        f"{kinds.CLAIM}`"
    )


def _owners(snapshot: ClusterSnapshot) -> Iterator[tuple[str, Object]]:
    """Return each namespace to serve, with the object that owns its claim.

    That is the Service of its first gateway, or else its first resource.
    """
    found: dict[str, Object] = {}
    for gateway in snapshot.gateways:
        service = {"apiVersion": SERVICE.api_version, "kind": SERVICE.name, "name": gateway.service, "uid": gateway.uid}
        found.setdefault(gateway.namespace, service)
    for obj in (*snapshot.proxies, *snapshot.policies, *snapshot.locks):
        if namespace_of(obj) not in found:
            of_kind = {"apiVersion": obj["apiVersion"], "kind": obj["kind"]}
            found[namespace_of(obj)] = {**of_kind, "name": name_of(obj), "uid": uid_of(obj)}
    return iter(sorted(found.items()))


def _without(snapshot: ClusterSnapshot, refused: Mapping[str, str]) -> ClusterSnapshot:
    if not refused:
        return snapshot
    gateways: tuple[DiscoveredGateway, ...] = tuple(each for each in snapshot.gateways if each.namespace not in refused)
    return replace(
        snapshot,
        proxies=_outside(snapshot.proxies, refused),
        policies=_outside(snapshot.policies, refused),
        locks=_outside(snapshot.locks, refused),
        gateways=gateways,
        gateway_objects={
            key: found for key, found in snapshot.gateway_objects.items() if key.partition("/")[0] not in refused
        },
        fresh=_outside(snapshot.fresh, refused),
    )


def _outside(objects: Iterable[Object], refused: Mapping[str, str]) -> list[Object]:
    return [obj for obj in objects if namespace_of(obj) not in refused]
