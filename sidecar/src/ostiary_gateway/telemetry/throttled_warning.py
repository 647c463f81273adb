"""Log warnings that may repeat with every batch at most once a minute."""

import logging
import time
from collections.abc import Callable
from typing import Final

_INTERVAL: Final = 60.0


class WarningLimiter:
    """Logs at most one warning in 60 seconds, and reports how many it suppressed."""

    def __init__(self, log: logging.Logger, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self._next = float("-inf")
        self._held_back = 0

    def warn(self, message: str, *args: object, error: BaseException | None = None) -> None:
        """Log the warning, with the traceback of ``error`` if there is one, or suppress it."""
        now = self._clock()
        if now < self._next:
            self._held_back += 1
            return
        held_back, self._held_back = self._held_back, 0
        self._next = now + _INTERVAL
        if held_back:
            message, args = message + " (and %d warnings more before this one)", (*args, held_back)
        self._log.warning(message, *args, exc_info=error)
