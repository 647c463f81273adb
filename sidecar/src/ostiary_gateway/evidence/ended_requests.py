"""Requests that have ended and are not counted yet.

The record stage of the pipeline appends one tuple for a request. Metrics and evidence take many at once: their code and
tables are in the processor's caches then, so that a request costs a third of what it costs by itself. They wait until
there are :data:`AT_ONCE`, for a quarter of a second, or until what is counted is read, whichever comes first.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from ostiary_gateway.evidence.call_ring import PlainCall
from ostiary_gateway.telemetry.throttled_warning import WarningLimiter

_log = logging.getLogger(__name__)

#: Requests that are counted together, as soon as the event loop has done what is due.
AT_ONCE: Final = 64
#: Requests that wait at most, where very many end in one turn of the event loop.
MOST: Final = 1024
#: Seconds that a request waits at most, and while a reader follows the calls.
DELAY_SECONDS: Final = 0.25
LIVE_SECONDS: Final = 0.02

#: One request: uid of its proxy ("" where none serves it), the bytes of its bodies, the id of its span ("" where it is
#: not exported), and what is kept of it as a call.
PlainEnded = tuple[str, int, int, str, PlainCall]


class TakeEnded(Protocol):
    """Counts requests that have ended."""

    def __call__(self, ended: Sequence[PlainEnded], /) -> None:
        """Count them, in the order in which they ended."""


class EndedRequests:
    """Hands on requests that have ended. Must be used within one event loop.

    ``is_live`` returns whether a reader follows the calls, so that they must not wait long. ``keeps_calls`` is
    whether what is kept of a call is read; without, only its labels and times are.
    """

    def __init__(self, *takers: TakeEnded, is_live: Callable[[], bool] = lambda: False) -> None:
        self.keeps_calls = True
        self._takers = takers
        self._is_live = is_live
        self._waiting: list[PlainEnded] = []
        self._timer: asyncio.TimerHandle | None = None
        self._warner = WarningLimiter(_log, level=logging.ERROR)

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._waiting)

    def add(self, ended: PlainEnded) -> None:
        """Take a request. Never waits and never fails."""
        waiting = self._waiting
        waiting.append(ended)
        if self._timer is None or len(waiting) >= AT_ONCE:
            self._plan(len(waiting))

    def _plan(self, count: int) -> None:
        if self._timer is None:
            delay = LIVE_SECONDS if self._is_live() else DELAY_SECONDS
            self._timer = asyncio.get_running_loop().call_later(delay, self._due)
        if count == AT_ONCE:
            asyncio.get_running_loop().call_soon(self.settle)  # not now: the response is still to be sent
        elif count >= MOST:
            self.settle()

    def _due(self) -> None:
        self._timer = None
        self.settle()

    def settle(self) -> None:
        """Have counted what waits: before it is read, and before the config changes."""
        ended = self._waiting
        if not ended:
            return
        self._waiting = []
        for take in self._takers:
            try:
                take(ended)
            except Exception as error:  # noqa: BLE001  a bug in counting must not affect requests
                self._warner.warn("requests could not be counted: this is a bug", error=error)

    def close(self) -> None:
        """Have everything counted, and plan nothing more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.settle()
