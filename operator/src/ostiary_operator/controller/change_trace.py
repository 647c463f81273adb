"""Traces of changes.

Each is one trace from the event that was seen until every replica enforces the change:

    change MCPPolicy                        from the event until enforced; its object, generation and field manager
      queued                                until the pass started
      reconcile                             the pass
        list, compile
        deliver                             one gateway; its context is delivered with the config
          write Secret, write ConfigMap     each request to the API server
          enforced by replica               from the write until the replica reported the revision, for each replica
          config swap                       what the gateway itself did, in its own spans
        write statuses

Several changes in one pass: the pass belongs to the trace of the first, and is linked with the others in both
directions. A pass that must be repeated leaves its changes to the next one. A pass without a seen change, such as the
first, is a trace of its own if it changes anything.

Off, spans are OpenTelemetry's no-op ones. Nothing here waits: ended spans go into the SDK's bounded queue.
"""

import contextlib
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from opentelemetry.trace import NoOpTracer, Status, StatusCode, Tracer, set_span_in_context

from ostiary_core.contract import revisions
from ostiary_core.errors import OstiaryError
from ostiary_operator.api.objects import Object
from ostiary_operator.clock import Clock
from ostiary_operator.controller.pass_trace import PassTrace, Rollout, SeenChange, TracedChange, nanoseconds
from ostiary_operator.controller.span_names import SpanAttribute, SpanName
from ostiary_operator.kube.kinds import Kind
from ostiary_operator.status.replica_state import GatewayState, ReplicaState

#: The most changes that one pass names, of all namespaces and of one, so that one tenant cannot crowd out the others.
_CHANGES: Final = 64
_CHANGES_EACH: Final = 8
#: Seconds that replicas have to enforce a change before its trace ends with what they say.
PATIENCE: Final = 60.0
#: Passes that may wait for replicas at once. A gateway that does not answer must not collect them without end.
_OPEN: Final = 64
#: The most replicas of one rollout that get a span: a tenant chooses the endpoints of its gateway.
_REPLICAS: Final = 64
#: A replica that waits for a credential has not refused the config for good: the Secret may arrive a moment later.
_PASSING: Final = "CredentialMissing"
_MESSAGE: Final = 256


@dataclass(slots=True)
class _OpenPass:
    """A pass whose changes some replica has yet to enforce."""

    trace: PassTrace
    rollouts: list[Rollout]
    deadline: float
    failure: str = ""


class ChangeTracer:
    """Makes the traces of an operator. ``tracer`` None means that tracing is off."""

    def __init__(self, tracer: Tracer | None, clock: Clock) -> None:
        self.on = tracer is not None
        self._tracer: Tracer = tracer if tracer is not None else NoOpTracer()
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: list[SeenChange] = []
        self._repeated: list[TracedChange] = []
        self._unnamed = 0
        self._open: list[_OpenPass] = []

    def seen(self, event: str | None, kind: Kind, obj: Object) -> None:
        """Remember a change that a watch reported, for the next pass. Safe in any thread."""
        if not self.on:
            return
        change = SeenChange.of(event, kind, obj, at=self._clock.time())
        with self._lock:
            of_namespace = Counter(each.namespace for each in self._seen)[change.namespace]
            if len(self._seen) >= _CHANGES or of_namespace >= _CHANGES_EACH:
                self._unnamed += 1
            else:
                self._seen.append(change)

    @contextlib.contextmanager
    def tracing(self, reasons: Iterable[str]) -> Iterator[PassTrace]:
        """Trace a pass, with the changes that were seen since the last one.

        It also has those of a pass that is repeated.
        """
        changes, unnamed = self._take()
        trace = PassTrace(self._tracer, self._clock, changes, reasons=reasons, unnamed=unnamed)
        try:
            yield trace
        except Exception as error:
            trace.fail(str(error) if isinstance(error, OstiaryError) else type(error).__name__)
            raise
        finally:
            trace.finish()
            if trace.failure:
                self._repeated, trace.changes = trace.changes[:_CHANGES], []
            if trace.rollouts:
                self._wait_for(trace)
            else:
                trace.end_changes()

    def _take(self) -> tuple[list[TracedChange], int]:
        """Return the changes for the next pass, and the number of those without a name."""
        with self._lock:
            seen, self._seen = self._seen, []
            unnamed, self._unnamed = self._unnamed, 0
        repeated, self._repeated = self._repeated, []
        return [*repeated, *(TracedChange.begin(self._tracer, each) for each in seen)], unnamed

    def _wait_for(self, trace: PassTrace) -> None:
        self._open.append(_OpenPass(trace, list(trace.rollouts), self._clock.monotonic() + PATIENCE))
        for crowded in self._open[:-_OPEN]:
            crowded.trace.end_changes("not followed any longer: too many changes wait for replicas")
        del self._open[:-_OPEN]

    @contextlib.contextmanager
    def reported(self, gateway_states: Mapping[str, GatewayState]) -> Iterator[None]:
        """Record which replicas enforce a change now.

        The statuses that are written inside belong to its trace.
        """
        news = [each for each in self._open if self._advance(each, gateway_states)]
        if not news:
            yield
            return
        newest = news[-1].trace
        try:
            with newest.stage(SpanName.STATUSES):
                yield
        finally:
            for each in news:
                if not each.rollouts:
                    each.trace.end_changes(each.failure)
            self._open = [each for each in self._open if each.rollouts]

    def _advance(self, waiting: _OpenPass, gateway_states: Mapping[str, GatewayState]) -> bool:
        """Record the news of one pass; return whether there are any."""
        late, before = self._clock.monotonic() >= waiting.deadline, len(waiting.rollouts)
        recorded = 0
        for rollout in list(waiting.rollouts):
            state = gateway_states.get(rollout.gateway)
            replicas = list(state.states.values()) if state is not None else []
            recorded += sum(self._record(waiting, rollout, replica, late=late) for replica in replicas)
            if late and not replicas:
                waiting.failure = waiting.failure or f"gateway {rollout.gateway} has no ready replica"
            if late or state is None or (replicas and all(each.replica.url in rollout.recorded for each in replicas)):
                waiting.rollouts.remove(rollout)
        return recorded > 0 or len(waiting.rollouts) < before

    def _record(self, waiting: _OpenPass, rollout: Rollout, replica: ReplicaState, *, late: bool) -> bool:
        """Record the result of one replica, if there is one and it is new."""
        if replica.replica.url in rollout.recorded:
            return False
        verdict = _verdict(rollout, replica)
        if verdict is None and not late:
            return False
        failure = verdict if verdict is not None else _not_yet(replica)
        rollout.recorded.add(replica.replica.url)
        waiting.failure = waiting.failure or (failure and f"replica {replica.replica.name}: {failure}")
        if len(rollout.recorded) <= _REPLICAS:
            self._span(rollout, replica, failure)
        return True

    def _span(self, rollout: Rollout, replica: ReplicaState, failure: str) -> None:
        span = self._tracer.start_span(
            SpanName.ENFORCED,
            set_span_in_context(rollout.parent),
            attributes={
                SpanAttribute.GATEWAY: rollout.gateway,
                SpanAttribute.REPLICA: replica.replica.name,
                SpanAttribute.REVISION: rollout.revision,
            },
            start_time=nanoseconds(rollout.since),
        )
        if failure:
            span.set_status(Status(StatusCode.ERROR, failure[:_MESSAGE]))
        span.end(nanoseconds(self._clock.time()))


def _verdict(rollout: Rollout, state: ReplicaState) -> str | None:
    """Return "" if a replica enforces the change, or why it refuses it.

    None while neither is known.
    """
    report = state.report
    if report is None or state.problem or not revisions.has_applied(report.revision, rollout.revision):
        return None
    for proxy, digest in rollout.changed.items():
        entry = report.entries.get(proxy)
        if entry is None or entry.rejected is None or entry.rejected.digest != digest:
            continue
        if entry.rejected.reason == _PASSING:
            return None
        return f"rejected MCPProxy {proxy}: {entry.rejected.reason}: {entry.rejected.message}"
    return ""


def _not_yet(state: ReplicaState) -> str:
    """Return why a replica has not enforced a change in time, as far as it says."""
    if state.problem:
        return f"it does not say what it runs: {state.problem}"
    found = None if state.report is None else state.report.rejected or state.report.incomplete
    says = f": {found.reason}: {found.message}" if found is not None else ""
    return f"it does not run it after {PATIENCE:.0f} s{says}"
