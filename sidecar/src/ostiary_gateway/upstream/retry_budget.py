"""How many requests to one server may be sent again: a share of those that it gets.

A server that fails everything would otherwise get a multiple of its usual load at the moment when it can take least.
"""

from typing import Final

from ostiary_core.contract.server_resilience import RetryBudgetConfig

#: Requests that may be sent again in an interval whatever the share says, so that a server with few requests has any.
MINIMUM: Final = 10


class RetryBudget:
    """Counts the requests to a server and those that were sent again, over a sliding interval.

    The interval before the present one counts by the part of it that still lies within one interval from now. Times
    are seconds on any one clock. Lives in one event loop.
    """

    __slots__ = ("_before", "_begun", "_now", "_share", "_width")

    def __init__(self, config: RetryBudgetConfig) -> None:
        self._share = config.percent / 100
        self._width = config.interval / 1000
        self._begun = float("-inf")
        #: Requests and repeated requests, of the present interval and of the one before.
        self._now = [0, 0]
        self._before = [0, 0]

    def note_request(self, now: float) -> None:
        """Count a request that is sent for the first time."""
        if now - self._begun >= self._width:
            self._advance(now)
        self._now[0] += 1

    def take(self, now: float) -> bool:
        """Count a request that is sent again, and return True; False where it may not be."""
        if now - self._begun >= self._width:
            self._advance(now)
        requests, repeated = self._sliding(now)
        if repeated + 1 > max(MINIMUM, self._share * requests) or not self._share:
            return False
        self._now[1] += 1
        return True

    def _sliding(self, now: float) -> tuple[float, float]:
        part = 1 - (now - self._begun) / self._width
        return self._now[0] + part * self._before[0], self._now[1] + part * self._before[1]

    def _advance(self, now: float) -> None:
        """Begin another interval; what is older than the one before is forgotten."""
        is_next = now - self._begun < 2 * self._width
        self._before = self._now if is_next else [0, 0]
        self._begun = self._begun + self._width if is_next else now
        self._now = [0, 0]
