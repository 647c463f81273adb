"""Log warnings that may repeat with every batch at most once a minute."""

import logging
import time
from collections.abc import Callable, Mapping, Set
from typing import Final

_INTERVAL: Final = 60.0


class WarningLimiter:
    """Logs at most one warning in 60 seconds, and reports how many it suppressed."""

    def __init__(
        self, log: logging.Logger, *, level: int = logging.WARNING, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._log = log
        self._level = level
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
            message, args = message + " (and %d more before this one)", (*args, held_back)
        self._log.log(self._level, message, *args, exc_info=error)


class CountsByProxy:
    """Counts of this process by proxy, each proxy with a limited message of its own in ``log``."""

    def __init__(self, log: logging.Logger, *, level: int = logging.WARNING) -> None:
        self._log = log
        self._level = level
        self._counts: dict[str, int] = {}
        self._warners: dict[str, WarningLimiter] = {}

    @property
    def counts(self) -> Mapping[str, int]:
        """The counts by the identity of the proxy."""
        return self._counts

    def add(self, proxy: str, number: int, message: str, *args: object) -> None:
        """Count, and log ``message`` with ``args`` once a minute per proxy."""
        self._counts[proxy] = self._counts.get(proxy, 0) + number
        self._warners.setdefault(proxy, WarningLimiter(self._log, level=self._level)).warn(message, *args)

    def forget(self, proxies: Set[str]) -> None:
        """Forget proxies."""
        for proxy in self._counts.keys() & proxies:
            del self._counts[proxy]
            self._warners.pop(proxy, None)
