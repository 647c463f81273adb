"""The status publisher: keeps the inputs of all statuses, and writes those that differ.

A pass updates it with compiled statuses, the poller with the reports of replicas. Both publish. It writes the status
subresource with server-side apply, and nothing else of an object.
"""

import asyncio
import collections
import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ostiary_operator.api.conditions import OBSERVED, ConditionType
from ostiary_operator.api.objects import Object, uid_of
from ostiary_operator.clock import Clock, rfc3339
from ostiary_operator.compile.model import ObjectKey, ResourceStatus
from ostiary_operator.kube.client import KubernetesClient
from ostiary_operator.kube.errors import ClusterError
from ostiary_operator.kube.kinds import OURS
from ostiary_operator.status import (
    builder,
    definition_drift,
    observed_conditions,
    programmed,
    server_statuses,
    unmatched_rules,
)
from ostiary_operator.status.events import EventRecorder, transitions
from ostiary_operator.status.replica_state import GatewayState
from ostiary_operator.status.status_writes import StatusWrite, WriteResult, write_all

_log = logging.getLogger(__name__)
#: Seconds for which the set of replicas must not change before only counts are written to thousands of objects.
SETTLE: Final = 5.0
#: Statuses that are written before it is checked again whether to continue.
_CHUNK: Final = 16
_NEVER: Final = float("inf")
#: The member of a status that says what gateways see of its servers.
_SERVERS: Final = "servers"
#: The member that says which definitions of them are not approved.
_DRIFT: Final = "drift"
_API_VERSION: Final = OURS[0].api_version


@dataclass(slots=True)
class _Live:
    """One resource's status in the cluster, and when it was read (monotonic)."""

    status: Mapping[str, Any]
    known_at: float


@dataclass(frozen=True, slots=True)
class Published:
    """How many statuses were written, and the first failure."""

    written: int
    failure: ClusterError | None = None


class StatusPublisher:
    """Computes and writes the statuses of all resources."""

    def __init__(self, cluster: KubernetesClient, clock: Clock, events: EventRecorder) -> None:
        self.gateway_states: dict[str, GatewayState] = {}
        """By gateway identity."""
        self.poll_now = asyncio.Event()
        """Set when a config was put in force, so that the poller polls at once."""
        self.until = _NEVER
        """The monotonic time at which a status changes without any new report."""
        self.unfinished = False
        """Whether the last publish ended early, so that another one must write the rest."""
        self.readiness: Mapping[tuple[str, str], int] = {}
        """The number of resources by (kind, status of Ready)."""
        self.approved_definitions = definition_drift.ApprovedDefinitions()
        """Those of the MCPLocks of the last pass."""
        self._cluster = cluster
        self._clock = clock
        self._events = events
        self._statuses: dict[str, ResourceStatus] = {}
        self._by_entry: dict[tuple[str, str], list[str]] = {}
        self._live: dict[str, _Live] = {}
        self._known: dict[str, tuple[str, ...]] = {}
        # The uids that each publish evaluates again, with the time at which their status changes without new input.
        self._open: dict[str, float] = {}
        self._due_now: set[str] = set()
        #: When a condition that gateways observe, or what they see of servers, was last written (monotonic), by uid.
        self._observed_written: dict[str, dict[str, float]] = {}
        #: The trace of the change that a resource's status shows, by uid, until the status is final.
        self._change_traces: dict[str, str] = {}
        self._ready: dict[str, tuple[str, str]] = {}
        self._by_uid: tuple[dict[str, Any], ...] = (
            *(self._live, self._known, self._open, self._observed_written, self._change_traces, self._ready),
        )
        self._lock = asyncio.Lock()
        self._calls = 0
        self._waits = False

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Pause status writes: the config has priority, and the API server is slow with both."""
        self._waits = True
        try:
            yield
        finally:
            self._waits = False

    @property
    def outstanding(self) -> int:
        """The number of resources whose status must be written."""
        return len(self._due_now)

    def take(
        self,
        statuses: Mapping[ObjectKey, ResourceStatus],
        fresh: Iterable[Object],
        *,
        seen_at: float,
        change_trace: str = "",
    ) -> bool:
        """Take over the compiled statuses of a pass, and the statuses in the cluster that it read.

        Return whether any of them is new or changed.

        ``seen_at`` is the monotonic time at which the pass began to list: a status that we wrote since is newer.
        ``change_trace`` is the id of the pass's trace; "" if it is not recorded.
        """
        before, self._statuses = self._statuses, {status.uid: status for status in statuses.values()}
        changed = [uid for uid, status in self._statuses.items() if before.get(uid) != status]
        self._open |= dict.fromkeys(changed, _NEVER)
        self._change_traces |= dict.fromkeys(changed, change_trace)
        for uid in before.keys() - self._statuses.keys():
            self._due_now.discard(uid)
            for known in self._by_uid:
                known.pop(uid, None)
        self._by_entry = _uids_by_entry(self._statuses.values())
        for obj in fresh:
            self._read(uid_of(obj), obj.get("status") or {}, seen_at)
        return bool(changed)

    def _read(self, uid: str, status: Mapping[str, Any], seen_at: float) -> None:
        old = self._live.get(uid)
        if old is not None and (old.known_at > seen_at or old.status == status):
            return
        self._live[uid] = _Live(status, seen_at)
        self._known[uid] = (builder.fingerprint(status),)
        self._open[uid] = _NEVER

    def is_known(self, uid: str, status: Mapping[str, Any]) -> bool:
        """Return whether we have read or written this status before. Safe in any thread."""
        return builder.fingerprint(status) in self._known.get(uid, ())

    async def publish(self, superseded: Callable[[], bool] = lambda: False) -> Published:
        """Compute the statuses, and write those that differ, new generations first.

        Thousands of writes take long. They end early when another publish starts, which computes all of them again, or
        when other work has priority, according to ``superseded`` and :meth:`waiting`. The next publish writes the rest.
        """
        self._calls += 1
        mine = self._calls
        async with self._lock:
            writes = self._due()
            written, failure = 0, None
            while writes and failure is None and mine == self._calls and not (self._waits or superseded()):
                chunk, writes = writes[:_CHUNK], writes[_CHUNK:]
                done = await self._write(chunk)
                written, failure = written + len(done.statuses), done.failure
            self.unfinished = bool(writes) and failure is None
            return Published(written, failure)

    def _due(self) -> list[StatusWrite]:
        """Compute the statuses that may have changed; return the writes, new generations first."""
        now, stamp = self._clock.monotonic(), rfc3339(self._clock.time())
        writes = [write for uid in self._to_evaluate() if (write := self._evaluate(uid, now, stamp)) is not None]
        self.until = min(self._open.values(), default=_NEVER)
        self.readiness = collections.Counter(self._ready.values())
        writes.sort(key=self._is_of_known_generation)
        return writes

    def _to_evaluate(self) -> list[str]:
        """Return the unsettled resources, and those with changes in a report."""
        changes = {identity: state.take_changes() for identity, state in self.gateway_states.items()}
        # A tenant may run the gateway and control its replicas: its reports cost only resources that are served there.
        whole = {identity for identity, change in changes.items() if change.everything}
        changed = {(identity, proxy) for identity, change in changes.items() for proxy in change.proxies}
        changed |= {each for each in self._by_entry if each[0] in whole}
        found = {uid for each in changed for uid in self._by_entry.get(each, ())} | self._open.keys()
        return sorted(found & self._statuses.keys(), key=self._key)

    def _key(self, uid: str) -> ObjectKey:
        return self._statuses[uid].key

    def _is_of_known_generation(self, write: StatusWrite) -> bool:
        return bool(self._live_status(write.uid).get("observedGeneration") == write.status["observedGeneration"])

    def _evaluate(self, uid: str, now: float, stamp: str) -> StatusWrite | None:
        """Compute one resource's status; return it if it must be written."""
        status, live = self._statuses[uid], self._live_status(uid)
        was = programmed.was_programmed(live.get("conditions") or (), status.generation)
        programmed_state = programmed.evaluate(status, self.gateway_states, was_programmed=was, now=now)
        written = self._observed_written.get(uid, {})
        observed = observed_conditions.evaluate(status, self.gateway_states, live, written=written, now=now)
        observed_until = min(each.until for each in observed)
        seen_at = written.get(_SERVERS, -_NEVER)
        servers = server_statuses.evaluate(status, self.gateway_states, live, written_at=seen_at, now=now)
        drift_at = written.get(_DRIFT, -_NEVER)
        drift = definition_drift.rows(
            status, self.gateway_states, self.approved_definitions, live, written_at=drift_at, now=now
        )
        observed_until = min(observed_until, servers.until, drift.until)
        until = min(programmed_state.until, observed_until)
        aside = unmatched_rules.remarks(
            status, self.gateway_states, builder.condition_of(live, ConditionType.EFFECTIVE)
        )
        drafts = [each.condition for each in observed if each.condition is not None]
        trace = self._change_traces.get(uid, "")
        body = builder.build(
            status,
            programmed_state,
            live,
            now=stamp,
            observed=drafts,
            aside=aside,
            seen={_SERVERS: servers.servers, _DRIFT: drift.rows},
            change_trace=trace,
        )
        ready = builder.condition_of(body, ConditionType.READY) or {}
        self._ready[uid] = (status.key.kind, str(ready.get("status")))
        self._open.pop(uid, None)
        self._due_now.discard(uid)
        if builder.same(status.key.kind, body, live):
            if programmed_state.final:
                self._change_traces.pop(uid, None)
            if not programmed_state.final or observed_until < _NEVER:
                self._open[uid] = until
            return None
        settled_at = self._settled_at(status)
        if now < settled_at and builder.only_numbers_differ(status.key.kind, body, live):
            self._open[uid] = min(until, settled_at)
            return None
        self._open[uid] = until
        self._due_now.add(uid)  # until it is written and verified
        return StatusWrite(status.key, uid, body)

    def _settled_at(self, status: ResourceStatus) -> float:
        changes = [
            self.gateway_states[gateway].changed_at for gateway in status.expected if gateway in self.gateway_states
        ]
        return max(changes, default=0.0) + SETTLE

    async def _write(self, writes: Sequence[StatusWrite]) -> WriteResult:
        for write in writes:
            self._known[write.uid] = (*self._known.get(write.uid, ())[-1:], builder.fingerprint(write.status))
        written = await write_all(self._cluster, writes)
        self._wrote(writes, written.statuses)
        now, stamp = self._clock.monotonic(), rfc3339(self._clock.time())
        for uid in written.statuses.keys() & self._statuses.keys():
            self._evaluate(uid, now, stamp)  # settles those that are as desired now
        return written

    def _wrote(self, writes: Sequence[StatusWrite], statuses: Mapping[str, Mapping[str, Any]]) -> None:
        for write in writes:
            after = statuses.get(write.uid)
            if after is None:
                continue
            key = write.key
            for of_type in OBSERVED:
                if builder.differs(of_type, self._live_status(write.uid), after):
                    self._observed_written.setdefault(write.uid, {})[of_type] = self._clock.monotonic()
            for member in (_SERVERS, _DRIFT):
                if self._live_status(write.uid).get(member) != after.get(member):
                    self._observed_written.setdefault(write.uid, {})[member] = self._clock.monotonic()
            regarding = {"apiVersion": _API_VERSION, **key._asdict(), "uid": write.uid}
            trace = self._change_traces.get(write.uid, "")
            for event in transitions(regarding, self._live_status(write.uid), after, change_trace=trace):
                self._events.record(event)
            self._live[write.uid] = _Live(after, self._clock.monotonic())
            self._known[write.uid] = (*self._known[write.uid][-2:], builder.fingerprint(after))

    def _live_status(self, uid: str) -> Mapping[str, Any]:
        live = self._live.get(uid)
        return live.status if live is not None else {}


def _uids_by_entry(statuses: Iterable[ResourceStatus]) -> dict[tuple[str, str], list[str]]:
    """Return, by (gateway, proxy), the uids of the resources that depend on that entry."""
    found: dict[tuple[str, str], list[str]] = {}
    for status in statuses:
        for gateway, entries in status.expected.items():
            for proxy in entries:
                found.setdefault((gateway, proxy), []).append(status.uid)
    return found
