"""The evidence of one gateway process: what is recorded, and whether it is.

The record stage gives it one tuple for each request (:mod:`ostiary_gateway.pipeline.evidence_recording`). It is on
unless the gateway's settings turn it off; then requests cost one comparison with None, and nothing is kept.
"""

import logging
import time
from collections.abc import Callable, Sequence

from ostiary_core.evidence.recorded_call import CallOutcome
from ostiary_gateway.config.snapshot import Snapshot
from ostiary_gateway.evidence.call_ring import CallDetails, CallRing, EndedCall, PlainCall
from ostiary_gateway.evidence.ended_requests import PlainEnded
from ostiary_gateway.evidence.refusal_table import RefusalKey, RefusalTable
from ostiary_gateway.evidence.traffic_store import UNROUTED, TrafficStore
from ostiary_gateway.telemetry.request_labels import RequestLabels
from ostiary_gateway.telemetry.throttled_warning import WarningLimiter
from ostiary_gateway.worker_numbers import WorkerNumbers

_log = logging.getLogger(__name__)

#: Outcomes of requests that the gateway refused for what they ask.
_REFUSALS = frozenset(
    {CallOutcome.DENIED, CallOutcome.HIDDEN, CallOutcome.BLOCKED, CallOutcome.LIMITED, CallOutcome.GUARDED}
)


def _epoch_milliseconds() -> int:
    return time.time_ns() // 1_000_000


class GatewayEvidence:
    """Records what one process served.

    Must be used within one event loop; ``now`` returns epoch milliseconds. A worker gives ``numbers`` for its calls.
    """

    def __init__(self, *, now: Callable[[], int] = _epoch_milliseconds, numbers: WorkerNumbers | None = None) -> None:
        self.now = now
        #: Whether anything is recorded, and since when, in epoch milliseconds.
        self.is_on = True
        self.since = now()
        self.traffic = TrafficStore(now=now)
        self.calls = CallRing(numbers=numbers)
        self.refusals = RefusalTable()
        #: Gets each call, as `ostiary run` shows it, even where nothing is kept; requests that no proxy serves, too.
        self.on_call: Callable[[EndedCall], None] | None = None
        self._warner = WarningLimiter(_log)

    @property
    def keeps_calls(self) -> bool:
        """Whether the record stage must tell what is kept of a call."""
        return self.is_on or self.on_call is not None

    @property
    def is_live(self) -> bool:
        """Whether calls are shown as they end."""
        return self.on_call is not None or self.calls.is_followed

    def take(self, ended: Sequence[PlainEnded]) -> None:
        """Take requests that have ended."""
        if not self.keeps_calls:
            return
        for uid, _, _, _, call in ended:
            try:
                self.record(uid, call)
            except Exception as error:  # noqa: BLE001  one that cannot be kept must not cost those of other callers
                self._warner.warn("a request could not be kept as evidence: this is a bug", error=error)

    def record(self, uid: str, call: PlainCall) -> None:
        """Take a request that has ended; ``uid`` is that of its proxy, empty where none serves it."""
        if self.is_on and (proxy := self.traffic.add(uid, call)) is not None and uid != UNROUTED:
            self.calls.add(proxy.namespace, call)
            if call[8] is not None:
                self._note(call, call[8])
        if self.on_call is not None:
            self._tell(self.on_call, call)

    def _tell(self, on_call: Callable[[EndedCall], None], call: PlainCall) -> None:
        try:
            on_call(EndedCall._make(call))
        except Exception as error:  # noqa: BLE001  a failing observer must not affect the request
            self._warner.warn("the observer of calls failed", error=error)

    def _note(self, call: PlainCall, more: CallDetails) -> None:
        """Count the refusal of a call, and the one that a policy in Shadow mode would have caused."""
        at, _, _, plain, name, principal, outcome, _, _ = call
        labels = RequestLabels._make(plain)
        if outcome in _REFUSALS:
            origin = (more.policy, more.rule, more.reason)
            self.refusals.note(RefusalKey(labels.proxy, labels.method, name, principal, *origin, False), at=at)
        if more.shadow_reason:
            origin = (more.shadow_policy, more.shadow_rule, more.shadow_reason)
            self.refusals.note(RefusalKey(labels.proxy, labels.method, name, principal, *origin, True), at=at)

    def on_swap(self, snapshot: Snapshot, _changed: frozenset[str]) -> None:
        """Forget proxies that are gone, and begin or end recording as the settings say."""
        gone = self.traffic.on_swap(snapshot)
        if gone:
            self.calls.forget(gone)
            self.refusals.forget(gone)
        wanted = snapshot.settings.evidence_recording is None
        if wanted != self.is_on:
            self._switch(wanted)

    def _switch(self, wanted: bool) -> None:
        self.is_on = wanted
        self.since = self.now()
        self.traffic.clear()
        self.calls.clear()
        self.refusals.clear()
