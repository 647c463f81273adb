"""A circuit: whether what fails often may be tried, by recent outcomes.

Pure arithmetic: it reads no clock, and each moment is given to it in seconds of a monotonic clock. Closed, it admits
every request and counts how they end. When too large a share of enough of them fails, it opens and admits none for a
time. After that it admits one trial at a time: the first that succeeds closes it, one that fails opens it again.
"""

from enum import Enum
from typing import Final

from ostiary_core.contract.server_resilience import CircuitBreakerConfig

#: The number of parts of an interval: outcomes are forgotten one part after the other.
PARTS: Final = 10
#: Seconds until a request should come again that was refused because of a trial.
TRIAL_SECONDS: Final = 1.0


class CircuitState(Enum):
    """Whether requests are admitted: all, none, or one trial at a time."""

    CLOSED = "Closed"
    OPEN = "Open"
    HALF_OPEN = "HalfOpen"


class OutcomeWindow:
    """Counts of outcomes within the last ``seconds``, which it forgets in tenths.

    ``total`` and ``failed`` are as of the last :meth:`add`.
    """

    __slots__ = ("_failed", "_newest", "_part", "_totals", "failed", "total")

    def __init__(self, seconds: float) -> None:
        self._part = seconds / PARTS
        self._newest = 0
        self.clear()

    def clear(self) -> None:
        """Forget every outcome."""
        self._totals = [0] * PARTS
        self._failed = [0] * PARTS
        self.total = self.failed = 0

    def add(self, now: float, *, failed: bool) -> None:
        """Count one outcome."""
        number = int(now / self._part)
        if number > self._newest:
            self._forget(number)
        place = self._newest % PARTS
        self._totals[place] += 1
        self.total += 1
        if failed:
            self._failed[place] += 1
            self.failed += 1

    def _forget(self, number: int) -> None:
        """Forget what is too old when the part of this number begins."""
        if number - self._newest >= PARTS:
            self.clear()
        else:
            for old in range(self._newest + 1, number + 1):
                place = old % PARTS
                self.total -= self._totals[place]
                self.failed -= self._failed[place]
                self._totals[place] = self._failed[place] = 0
        self._newest = number


class Circuit:
    """One circuit with the thresholds of ``config``.

    A *ticket* stands for one admission. Only the outcome of the newest counts while a trial is under way, and none of a
    request that was admitted before the circuit opened: its failure is old news.
    """

    __slots__ = (
        "_epoch",
        "_inside",
        "_minimum",
        "_open_for",
        "_owner",
        "_percent",
        "_trial_until",
        "_window",
        "opened",
        "until",
    )

    def __init__(self, config: CircuitBreakerConfig) -> None:
        self._percent = config.error_percent
        self._minimum = config.minimum_requests
        self._open_for = config.open_for / 1000
        self._window = OutcomeWindow(config.interval / 1000)
        self._epoch = 0
        self._owner: object | None = None
        #: How many requests of the present trial have not ended.
        self._inside = 0
        self._trial_until = 0.0
        #: When trials begin, while it is not closed; None while it is.
        self.until: float | None = None
        #: How often it has opened; a failed trial counts as well.
        self.opened = 0

    @property
    def is_closed(self) -> bool:
        """Whether every request is admitted."""
        return self.until is None

    def state(self, now: float) -> CircuitState:
        """Return its state."""
        if self.until is None:
            return CircuitState.CLOSED
        return CircuitState.OPEN if now < self.until else CircuitState.HALF_OPEN

    @property
    def counted(self) -> tuple[int, int]:
        """How many requests failed within the interval, of how many, as of the last outcome."""
        return self._window.failed, self._window.total

    def admit(self, now: float, owner: object) -> int | None:
        """Return the ticket of a request, or None where it is refused.

        ``owner`` is what a request belongs to: further requests of the same owner pass with the trial, such as the
        handshake that a call needs. A trial that does not end makes room for the next one after the time for which the
        circuit opens.
        """
        if self.until is None:
            return self._epoch
        if now < self.until:
            return None
        if self._owner is not None and now < self._trial_until:
            if self._owner is not owner:
                return None
            self._inside += 1
            return self._epoch
        self._epoch += 1
        self._owner, self._inside, self._trial_until = owner, 1, now + self._open_for
        return self._epoch

    def retry_after(self, now: float) -> float:
        """Return the seconds until a refused request should come again.

        When a trial ends is not known, so that is a short time while one is under way.
        """
        if self.until is None:
            return 0.0
        return self.until - now if now < self.until else min(max(self._trial_until - now, 0.0), TRIAL_SECONDS)

    def succeeded(self, now: float, ticket: int) -> bool:
        """Count a success; return whether it closed the circuit."""
        if ticket != self._epoch:
            return False
        if self.until is None:
            self._window.add(now, failed=False)
            return False
        self._epoch += 1
        self.until = self._owner = None
        self._window.clear()
        return True

    def failed(self, now: float, ticket: int) -> bool:
        """Count a failure; return whether it opened the circuit."""
        if ticket != self._epoch:
            return False
        if self.until is None:
            self._window.add(now, failed=True)
            failed, total = self.counted
            if total < self._minimum or failed * 100 < self._percent * total:
                return False
        self._epoch += 1
        self._owner = None
        self.until = now + self._open_for
        self.opened += 1
        return True

    def released(self, ticket: int) -> None:
        """Take note that a request ended without an outcome.

        After a trial, the next one may begin.
        """
        if ticket == self._epoch and self._owner is not None:
            self._inside -= 1
            if not self._inside:
                self._owner = None
