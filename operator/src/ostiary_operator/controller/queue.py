"""The debounced work queue: one key, one worker, one pass at a time, however many requests.

A burst of requests becomes one pass: it starts after a quiet period, and at the latest when the first request has
waited for the ceiling, since a continuous stream would otherwise delay it forever. Settings of the platform's gateways
wait for neither, since they may block something in an emergency. After a failure the pass is retried
with exponential back-off; a request may start it sooner, but not at once. Without requests it is repeated as a resync.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from ostiary_core.errors import OstiaryError
from ostiary_operator.clock import Clock
from ostiary_operator.kube.changed_namespaces import EVERYTHING, NOTHING, ChangedNamespaces
from ostiary_operator.kube.errors import Conflict
from ostiary_operator.kube.informer import PLATFORM_SETTINGS
from ostiary_operator.kube.watch_scopes import RESYNC

#: Seconds without a request before a pass starts.
QUIET: Final = 0.05
#: Seconds that a request waits at most.
CEILING: Final = 0.5
#: Seconds before the first retry, and between the slowest retries.
FIRST_RETRY: Final = 1.0
SLOWEST_RETRY: Final = 60.0
_NEVER: Final = float("inf")
_log = logging.getLogger(__name__)
#: The longest time between heartbeats of an idle worker, in seconds.
_TICK = 5.0
#: Seconds until a pass that met a conflict is repeated.
_AFTER_CONFLICT = 0.2
_RESYNC = frozenset({"resync"})


@dataclass(frozen=True, slots=True)
class PassResult:
    """The result of a pass.

    ``failures`` are the parts that failed while the rest succeeded: the pass is repeated with back-off.
    ``requeue_after`` requests another pass after this number of seconds, without a failure.
    """

    failures: tuple[str, ...] = ()
    requeue_after: float | None = None


@dataclass(frozen=True, slots=True)
class PassRequest:
    """The input of a pass: why it runs, what changed, and whether newer requests wait."""

    reasons: frozenset[str]
    superseded: Callable[[], bool] = lambda: False
    """Returns whether another pass has been requested since this one started."""
    changed: ChangedNamespaces = EVERYTHING


Work = Callable[[PassRequest], Awaitable[PassResult]]
"""A pass."""


@dataclass(slots=True)
class QueueStats:
    """What probes and metrics read of the worker."""

    heartbeat: float = 0.0
    """Monotonic time of the last heartbeat."""
    requests: dict[str, int] = field(default_factory=dict)
    passes: dict[str, int] = field(default_factory=dict)
    """By outcome: succeeded, incomplete, failed."""
    seconds: float = 0.0
    """Total spent in passes."""
    last_success: float | None = None
    """In epoch seconds."""
    last_failure: str | None = None


@dataclass(slots=True)
class Schedule:
    """Computes when the next pass is due, in seconds of one monotonic clock. It never waits.

    ``random`` returns a number from 0 to 1, for jitter.
    """

    random: Callable[[], float]
    resync: float = RESYNC
    _first_request: float | None = None
    _last_request: float = 0.0
    _not_before: float = 0.0
    _retry_at: float = _NEVER
    _resync_at: float = _NEVER
    _failures: int = field(default=0)

    def enqueue(self, now: float) -> None:
        """Request a pass soon."""
        if self._first_request is None:
            self._first_request = now
        self._last_request = now

    def enqueue_now(self, now: float) -> None:
        """Request a pass at once, also within the quiet period or after a failure."""
        self._first_request, self._last_request, self._not_before = now - CEILING, now - QUIET, now

    def enqueue_at(self, at: float) -> None:
        """Request a pass at a given time."""
        self._retry_at = min(self._retry_at, at)

    def due(self) -> float:
        """Return the time of the next pass; infinite if none was requested."""
        requested = _NEVER
        if self._first_request is not None:
            requested = min(self._last_request + QUIET, self._first_request + CEILING)
            requested = max(requested, self._not_before)
        return min(requested, self._retry_at, self._resync_at)

    def started(self) -> None:
        """Record that a pass starts: it serves all requests until now, and no later ones."""
        self._first_request = None
        self._retry_at = _NEVER

    def succeeded(self, now: float) -> None:
        """Record that the pass succeeded."""
        self._failures = 0
        self._not_before = 0.0
        self._resync_at = now + self.resync * (0.9 + 0.2 * self.random())

    def failed(self, now: float) -> float:
        """Record that the pass, or a part of it, failed; return the seconds until the retry."""
        slowest: float = min(FIRST_RETRY * 2**self._failures, SLOWEST_RETRY)
        delay = max(FIRST_RETRY, slowest * (0.5 + 0.5 * self.random()))
        self._failures = min(self._failures + 1, 16)
        self._not_before = now + FIRST_RETRY
        self._retry_at = min(self._retry_at, now + delay)
        return delay


class WorkQueue:
    """Runs passes one after another, when the schedule says that one is due."""

    def __init__(self, work: Work, clock: Clock, schedule: Schedule) -> None:
        self.observed = QueueStats(heartbeat=clock.monotonic())
        self.first_success = asyncio.Event()
        self._work = work
        self._clock = clock
        self._schedule = schedule
        self._reasons: set[str] = set()
        self._changed = NOTHING
        self._wake = asyncio.Event()

    def enqueue(self, reason: str, changed: ChangedNamespaces = EVERYTHING) -> None:
        """Request a pass soon over the changed namespaces. Call it only in the loop's own thread."""
        self.observed.requests[reason] = self.observed.requests.get(reason, 0) + 1
        self._reasons.add(reason)
        self._changed |= changed
        request = self._schedule.enqueue_now if reason == PLATFORM_SETTINGS else self._schedule.enqueue
        request(self._clock.monotonic())
        self._wake.set()

    def requeue_after(self, seconds: float, reason: str) -> None:
        """Request a pass over all namespaces after ``seconds``."""
        self._reasons.add(reason)
        self._changed = EVERYTHING
        self._schedule.enqueue_at(self._clock.monotonic() + seconds)
        self._wake.set()

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            now = self.observed.heartbeat = self._clock.monotonic()
            wait = self._schedule.due() - now
            if wait <= 0:
                await self._pass()
            else:
                self._wake.clear()
                await self._clock.wait(self._wake, min(wait, _TICK))

    async def _pass(self) -> None:
        started = self._clock.monotonic()
        reasons, changed = (frozenset(self._reasons), self._changed) if self._reasons else (_RESYNC, EVERYTHING)
        self._reasons, self._changed = set(), NOTHING
        self._schedule.started()
        try:
            outcome = await self._work(PassRequest(reasons, lambda: bool(self._reasons), changed))
        except Conflict as error:
            # Not a failure: another writer was faster, and its change must be read first.
            _log.info("an object changed meanwhile, the pass is repeated: %s", error)
            self._count("failed", started)
            self.requeue_after(_AFTER_CONFLICT, "conflict")
        except OstiaryError as error:
            self._failed("failed", str(error), started)
        except Exception as error:  # noqa: BLE001  one bad input must not end the worker
            _log.exception("the pass failed because of a bug")
            self._failed("failed", f"{type(error).__name__}: {error}", started)
        else:
            self._ended(outcome, started)

    def _ended(self, outcome: PassResult, started: float) -> None:
        self.observed.last_success = self._clock.time()
        self.first_success.set()
        if outcome.failures:
            self._failed("incomplete", "; ".join(outcome.failures), started)
        else:
            self._count("succeeded", started)
            self.observed.last_failure = None
            self._schedule.succeeded(self._clock.monotonic())
        if outcome.requeue_after is not None:
            self.requeue_after(outcome.requeue_after, "again")

    def _failed(self, outcome: str, message: str, started: float) -> None:
        self._count(outcome, started)
        self._changed = EVERYTHING  # it is unknown which changes the pass has read
        self.observed.last_failure = message
        delay = self._schedule.failed(self._clock.monotonic())
        _log.error("pass %s, next attempt in %.0f s: %s", outcome, delay, message)

    def _count(self, outcome: str, started: float) -> None:
        self.observed.passes[outcome] = self.observed.passes.get(outcome, 0) + 1
        self.observed.seconds += self._clock.monotonic() - started
