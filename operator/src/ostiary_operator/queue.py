"""The debounced queue: many pokes, one key, one worker, one pass at a time."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from ostiary_core.errors import OstiaryError
from ostiary_operator.clock import Clock
from ostiary_operator.kube.errors import Conflict
from ostiary_operator.moved import EVERYTHING, NOTHING, ChangedNamespaces
from ostiary_operator.schedule import Schedule

_log = logging.getLogger(__name__)

#: The worker shows that it lives at least so often, in seconds.
_TICK = 5.0
#: Seconds until a pass that lost a race is repeated.
_AFTER_CONFLICT = 0.2
_RESYNC = frozenset({"resync"})


@dataclass(frozen=True, slots=True)
class PassResult:
    """What a pass says of itself.

    ``failures`` are parts that did not work although the rest did: it is repeated, ever more slowly. ``again_in`` asks
    for another pass after so many seconds, without anything being wrong.
    """

    failures: tuple[str, ...] = ()
    again_in: float | None = None


@dataclass(frozen=True, slots=True)
class PassRequest:
    """What a pass is told: why it runs, what moved, and what it may ask before anything long that can wait."""

    reasons: frozenset[str]
    superseded: Callable[[], bool] = lambda: False
    """Says whether another pass is asked for by now."""
    moved: ChangedNamespaces = EVERYTHING


Work = Callable[[PassRequest], Awaitable[PassResult]]
"""A pass."""


@dataclass(slots=True)
class QueueStats:
    """What the worker shows of itself: for probes and metrics."""

    heartbeat: float = 0.0
    """Monotonic moment of its last sign of life."""
    pokes: dict[str, int] = field(default_factory=dict)
    passes: dict[str, int] = field(default_factory=dict)
    """By outcome: succeeded, incomplete, failed."""
    seconds: float = 0.0
    """Spent in passes, all together."""
    last_success: float | None = None
    """In epoch seconds."""
    last_failure: str | None = None


class WorkQueue:
    """Runs a pass whenever its schedule says so, for ever."""

    def __init__(self, work: Work, clock: Clock, schedule: Schedule) -> None:
        self.observed = QueueStats(heartbeat=clock.monotonic())
        self.first_success = asyncio.Event()
        self._work = work
        self._clock = clock
        self._schedule = schedule
        self._reasons: set[str] = set()
        self._moved = NOTHING
        self._wake = asyncio.Event()

    def poke(self, reason: str, moved: ChangedNamespaces = EVERYTHING) -> None:
        """Ask for a pass soon that looks at what moved. Only from the loop's own thread."""
        self.observed.pokes[reason] = self.observed.pokes.get(reason, 0) + 1
        self._reasons.add(reason)
        self._moved |= moved
        self._schedule.poke(self._clock.monotonic())
        self._wake.set()

    def again_in(self, seconds: float, reason: str) -> None:
        """Ask for a pass over everything after some time."""
        self._reasons.add(reason)
        self._moved = EVERYTHING
        self._schedule.again(self._clock.monotonic() + seconds)
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
        begun = self._clock.monotonic()
        reasons, moved = (frozenset(self._reasons), self._moved) if self._reasons else (_RESYNC, EVERYTHING)
        self._reasons, self._moved = set(), NOTHING
        self._schedule.begun()
        try:
            outcome = await self._work(PassRequest(reasons, lambda: bool(self._reasons), moved))
        except Conflict as error:
            # Not a failure: somebody was faster, and what he wrote has to be seen first.
            _log.info("somebody wrote meanwhile, looking again: %s", error)
            self._count("failed", begun)
            self.again_in(_AFTER_CONFLICT, "conflict")
        except OstiaryError as error:
            self._failed("failed", str(error), begun)
        except Exception as error:  # noqa: BLE001  one bad input must not end the worker
            _log.exception("a bug: the pass could not be done")
            self._failed("failed", f"{type(error).__name__}: {error}", begun)
        else:
            self._ended(outcome, begun)

    def _ended(self, outcome: PassResult, begun: float) -> None:
        self.observed.last_success = self._clock.time()
        self.first_success.set()
        if outcome.failures:
            self._failed("incomplete", "; ".join(outcome.failures), begun)
        else:
            self._count("succeeded", begun)
            self.observed.last_failure = None
            self._schedule.succeeded(self._clock.monotonic())
        if outcome.again_in is not None:
            self.again_in(outcome.again_in, "again")

    def _failed(self, outcome: str, message: str, begun: float) -> None:
        self._count(outcome, begun)
        self._moved = EVERYTHING  # nobody knows what it saw of what moved
        self.observed.last_failure = message
        delay = self._schedule.failed(self._clock.monotonic())
        _log.error("pass %s, again in %.0f s: %s", outcome, delay, message)

    def _count(self, outcome: str, begun: float) -> None:
        self.observed.passes[outcome] = self.observed.passes.get(outcome, 0) + 1
        self.observed.seconds += self._clock.monotonic() - begun
