"""One operator a namespace: each says in a Lease beside what it serves that it does, and keeps off where another did.

A claim is the operator's, not a replica's: it outlives restarts and hand-overs, and runs out when the operator is gone
for long. It is owned by one of the objects that it stands for, so nothing is left of it where those are gone. Whose
namespace is claimed by another finds it in the log, as an Event and in the metrics; of the operator's own namespace it
is told by failing, since without its gateways there is nothing to do.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, Protocol

from ostiary_core.errors import OstiaryError
from ostiary_operator.clock import Clock
from ostiary_operator.compile.model import DiscoveredGateway
from ostiary_operator.kube import leases, names
from ostiary_operator.kube.client import KubernetesClient, Object, name_of, namespace_of, uid_of
from ostiary_operator.kube.errors import Conflict, Forbidden, NotFound
from ostiary_operator.kube.kinds import LEASE, SERVICE
from ostiary_operator.kube.leases import LeaseRecord
from ostiary_operator.kube.listing import ClusterSnapshot
from ostiary_operator.kube.options import OperatorOptions
from ostiary_operator.status.events import EventRecord, EventRecorder

_log = logging.getLogger(__name__)

#: Seconds after which a claim that nobody renewed is nobody's, and after which we renew ours.
LASTS: Final = 600
RENEW: Final = 200.0
#: Seconds between looks at what others claim, and at what is due.
LOOK: Final = 20.0
_AT_ONCE: Final = 16


class ForeignNamespace(OstiaryError):
    """Another operator serves the namespace that we were to serve."""


@dataclass(slots=True)
class _Known:
    """A namespace's claim as it was when we last looked; the moment is monotonic. ``holder`` is empty for ourselves."""

    at: float
    holder: str = ""
    owner: str = ""
    """The uid of what our claim is owned by."""


class OwnershipFilter(Protocol):
    """Says what of all that was seen is ours to serve."""

    async def judge(self, seen: ClusterSnapshot) -> ClusterSnapshot:
        """Return what is ours."""
        ...


class OwnsEverything:
    """Where nobody else can be: all is ours."""

    async def judge(self, seen: ClusterSnapshot) -> ClusterSnapshot:
        """Return everything."""
        return seen


class NamespaceOwnership:
    """``identity`` is the operator's: ``namespace/name``, the same for all its replicas and after each restart."""

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
        """The namespaces that others serve, and who."""
        return {place: known.holder for place, known in self._known.items() if known.holder}

    async def judge(self, seen: ClusterSnapshot) -> ClusterSnapshot:
        """Claim every namespace with something to serve, and return what is ours to serve.

        Raises:
            ForeignNamespace: another operator serves our own namespace.
            ClusterError: the API server could not be asked.
        """
        owners = dict(_owners(seen))
        self._known = {place: known for place, known in self._known.items() if place in owners}
        due = [place for place, owner in owners.items() if self._is_due(place, owner)]
        turn = asyncio.Semaphore(_AT_ONCE)
        await asyncio.gather(*(self._claim(place, owners[place], turn) for place in due))
        own = self.refused.get(self._options.operator_namespace)
        if own is not None:
            raise ForeignNamespace(_remedy(self._options.operator_namespace, own))
        return _without(seen, self.refused)

    async def run(self, poke: Callable[[], None]) -> None:
        """Ask for a pass, which looks at the claims, whenever one is to be renewed or another's may have run out."""
        while True:
            await self._clock.wait(asyncio.Event(), LOOK)
            now = self._clock.monotonic()
            if any(now - known.at >= (LOOK if known.holder else RENEW) for known in self._known.values()):
                poke()

    def _is_due(self, place: str, owner: Object) -> bool:
        known = self._known.get(place)
        if known is None:
            return True
        age = self._clock.monotonic() - known.at
        return age >= LOOK if known.holder else (age >= RENEW or known.owner != owner["uid"])

    async def _claim(self, place: str, owner: Object, turn: asyncio.Semaphore) -> None:
        async with turn:
            try:
                holder = await self._take(place, owner)
            except Forbidden as error:  # it is being deleted; or the right is missing, of which nothing is lost
                holder = ""
                if place not in self._known:
                    _log.warning("namespace %s is served without a claim to it: %s", place, error)
            except NotFound:
                holder = ""  # the namespace itself is gone
        if holder and self.refused.get(place) != holder:
            self._tell(place, holder)
        self._known[place] = _Known(self._clock.monotonic(), holder, owner["uid"])

    async def _take(self, place: str, owner: Object) -> str:
        """Claim a namespace if it is free; return whose it is, empty for ours."""
        where = {"namespace": place, "name": names.CLAIM}
        lease = await leases.find(self._cluster, **where) or await leases.make(self._cluster, **where)
        record = leases.parse(lease)
        now = self._clock.time()
        if self._is_anothers(record, now):
            return record.holder
        record = leases.taken(record, self.identity, now=now, seconds=int(self._lasts))
        try:
            await leases.write(self._cluster, lease, record, owners=[owner])
        except Conflict:
            return await self._take(place, owner)  # somebody was faster: see who
        return ""

    def _is_anothers(self, record: LeaseRecord, now: float) -> bool:
        # Minutes apart, so clocks need not agree by more than that; a moment far ahead was no clock's.
        return record.holder not in {"", self.identity} and abs(now - record.renewed) < self._lasts

    def _tell(self, place: str, holder: str) -> None:
        _log.error("%s", _remedy(place, holder))
        regarding = {"apiVersion": LEASE.api_version, "kind": LEASE.name, "namespace": place, "name": names.CLAIM}
        note = f"{self.identity} serves nothing of this namespace: {holder} does"
        self._events.tell(EventRecord(regarding, "NamespaceRefused", note, warning=True))


def _remedy(place: str, holder: str) -> str:
    return (
        f"namespace {place} is served by another operator, {holder}: nothing of it is served by this one, until the "
        f"claim runs out; let only one watch it, or, if that one is gone, `kubectl -n {place} delete lease "
        f"{names.CLAIM}`"
    )


def _owners(seen: ClusterSnapshot) -> Iterator[tuple[str, Object]]:
    """Return each namespace with something to serve, and what of it a claim is owned by: the first by name."""
    found: dict[str, Object] = {}
    for gateway in seen.gateways:
        service = {"apiVersion": SERVICE.api_version, "kind": SERVICE.name, "name": gateway.service, "uid": gateway.uid}
        found.setdefault(gateway.namespace, service)
    for obj in (*seen.proxies, *seen.policies):
        if namespace_of(obj) not in found:
            of_kind = {"apiVersion": obj["apiVersion"], "kind": obj["kind"]}
            found[namespace_of(obj)] = {**of_kind, "name": name_of(obj), "uid": uid_of(obj)}
    return iter(sorted(found.items()))


def _without(seen: ClusterSnapshot, refused: Mapping[str, str]) -> ClusterSnapshot:
    if not refused:
        return seen
    gateways: tuple[DiscoveredGateway, ...] = tuple(each for each in seen.gateways if each.namespace not in refused)
    return replace(
        seen,
        proxies=_outside(seen.proxies, refused),
        policies=_outside(seen.policies, refused),
        gateways=gateways,
        beside={key: found for key, found in seen.beside.items() if key.partition("/")[0] not in refused},
        fresh=_outside(seen.fresh, refused),
    )


def _outside(objects: Iterable[Object], refused: Mapping[str, str]) -> list[Object]:
    return [obj for obj in objects if namespace_of(obj) not in refused]
