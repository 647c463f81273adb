"""Holds the latest of everything that a status is made of, and writes those that differ.

Two hands use it: a pass brings what was compiled, the poller brings what replicas say. Either may publish.
"""

import asyncio
import collections
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ostiary_operator.api.status import ConditionType
from ostiary_operator.clock import Clock, rfc3339
from ostiary_operator.compile.model import ObjectKey, ResourceStatus
from ostiary_operator.kube.client import Cluster, Object, uid_of
from ostiary_operator.kube.errors import ClusterError
from ostiary_operator.kube.kinds import OURS
from ostiary_operator.status import document, programmed
from ostiary_operator.status.events import Events, transitions
from ostiary_operator.status.watch import GatewayWatch
from ostiary_operator.status.writer import StatusWrite, Written, write_all

#: Seconds for which the set of replicas must stand still before mere numbers are written to thousands of objects.
SETTLE: Final = 5.0
#: Statuses that are written before it is asked again whether to go on.
_CHUNK: Final = 64
_NEVER: Final = float("inf")
_API_VERSION: Final = OURS[0].api_version


@dataclass(slots=True)
class _Live:
    """One resource's status as it is, and since when we know (monotonic)."""

    status: Mapping[str, Any]
    known_at: float


@dataclass(frozen=True, slots=True)
class Published:
    """How many statuses were written, and the first failure."""

    written: int
    failure: ClusterError | None = None


class StatusBoard:
    """Statuses of all resources."""

    def __init__(self, cluster: Cluster, clock: Clock, events: Events) -> None:
        self.watches: dict[str, GatewayWatch] = {}
        """By gateway identity."""
        self.news = asyncio.Event()
        """Set when something was put in force: replicas are worth asking."""
        self.until = _NEVER
        """The monotonic moment at which silence alone changes a judgement."""
        self.readiness: Mapping[tuple[str, str], int] = {}
        """How many resources there are by (kind, status of Ready)."""
        self._cluster = cluster
        self._clock = clock
        self._events = events
        self._statuses: Sequence[ResourceStatus] = ()
        self._live: dict[str, _Live] = {}
        self._familiar: dict[str, tuple[str, ...]] = {}
        self._turn = asyncio.Lock()
        self._calls = 0

    def take(self, statuses: Mapping[ObjectKey, ResourceStatus], objects: Sequence[Object], *, seen_at: float) -> None:
        """Take over what a pass compiled, and the statuses that its listing saw.

        ``seen_at`` is the monotonic moment at which the listing began: what we wrote since is newer than what it saw.
        """
        before, self._live = self._live, {}
        for obj in objects:
            uid = uid_of(obj)
            old = before.get(uid)
            is_newer = old is not None and old.known_at > seen_at
            self._live[uid] = old if old is not None and is_newer else _Live(obj.get("status") or {}, seen_at)
        self._statuses = [statuses[key] for key in sorted(statuses)]
        self._familiar = {uid: (document.fingerprint(live.status),) for uid, live in self._live.items()}

    def is_familiar(self, uid: str, status: Mapping[str, Any]) -> bool:
        """Say whether a status is one that we judged or wrote ourselves. Safe to call from any thread."""
        return document.fingerprint(status) in self._familiar.get(uid, ())

    async def publish(self, superseded: Callable[[], bool] = lambda: False) -> Published:
        """Judge every resource, and write the statuses that differ, those of new generations first.

        Thousands of writes take a while. They end early when somebody publishes anew, who judges all of it afresh, or
        when ``superseded`` says that something better is to be done; the next to publish finds what is left.
        """
        self._calls += 1
        mine = self._calls
        async with self._turn:
            writes = self._due()
            written, failure = 0, None
            while writes and failure is None and mine == self._calls and not superseded():
                chunk, writes = writes[:_CHUNK], writes[_CHUNK:]
                done = await self._write(chunk)
                written, failure = written + len(done.statuses), done.failure
            return Published(written, failure)

    def _due(self) -> list[StatusWrite]:
        """Judge every resource; return what has to be written."""
        now, stamp = self._clock.monotonic(), rfc3339(self._clock.time())
        self.until = _NEVER
        wanted = [(status, self._wanted(status, now, stamp)) for status in self._statuses]
        self._count(wanted)
        due = [(status, body) for status, body in wanted if self._differs(status, body, now=now)]
        due.sort(key=lambda each: self._live_status(each[0].uid).get("observedGeneration") == each[0].generation)
        return [StatusWrite(status.key, status.uid, body) for status, body in due]

    async def _write(self, writes: Sequence[StatusWrite]) -> Written:
        for write in writes:
            self._familiar[write.uid] = (*self._familiar.get(write.uid, ())[-1:], document.fingerprint(write.status))
        written = await write_all(self._cluster, writes)
        self._wrote(writes, written.statuses)
        return written

    def _wanted(self, status: ResourceStatus, now: float, stamp: str) -> dict[str, Any]:
        live = self._live_status(status.uid)
        was = programmed.was_programmed(live.get("conditions") or (), status.generation)
        judgement = programmed.judge(status, self.watches, was_programmed=was, now=now)
        self.until = min(self.until, judgement.until)
        return document.build(status, judgement, live, now=stamp)

    def _differs(self, status: ResourceStatus, wanted: Mapping[str, Any], *, now: float) -> bool:
        live, kind = self._live_status(status.uid), status.key.kind
        if document.same(kind, wanted, live):
            return False
        changes = [self.watches[gateway].changed_at for gateway in status.expected if gateway in self.watches]
        settled_at = max(changes, default=0.0) + SETTLE
        if now < settled_at and document.only_numbers_differ(kind, wanted, live):
            self.until = min(self.until, settled_at)
            return False
        return True

    def _wrote(self, writes: Sequence[StatusWrite], statuses: Mapping[str, Mapping[str, Any]]) -> None:
        for write in writes:
            after = statuses.get(write.uid)
            if after is None:
                continue
            key = write.key
            regarding = {"apiVersion": _API_VERSION, **key._asdict(), "uid": write.uid}
            for happening in transitions(regarding, self._live_status(write.uid), after):
                self._events.tell(happening)
            self._live[write.uid] = _Live(after, self._clock.monotonic())
            self._familiar[write.uid] = (*self._familiar[write.uid][-1:], document.fingerprint(after))

    def _live_status(self, uid: str) -> Mapping[str, Any]:
        live = self._live.get(uid)
        return live.status if live is not None else {}

    def _count(self, wanted: Sequence[tuple[ResourceStatus, Mapping[str, Any]]]) -> None:
        counter: collections.Counter[tuple[str, str]] = collections.Counter()
        for status, body in wanted:
            ready = document.condition_of(body, ConditionType.READY) or {}
            counter[status.key.kind, str(ready.get("status"))] += 1
        self.readiness = counter
