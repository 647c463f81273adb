"""Repeats a watch of the Kubernetes API for ever, and waits longer the sooner it fails."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import Final, NoReturn

from ostiary_gateway.errors import ConfigUnavailable

_log = logging.getLogger(__name__)

#: Waits between tries, in seconds; the last one repeats. A try that lasted this long resets the wait to the first.
_BACKOFF: Final = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_STEADY_SECONDS: Final = 10.0


class WatchBackoff:
    """Computes the wait before the next try: it grows while tries fail soon."""

    def __init__(self) -> None:
        self._failures = 0
        self._began = 0.0

    def begin(self) -> None:
        """Note that a try begins."""
        self._began = asyncio.get_running_loop().time()

    def delay(self) -> float:
        """Return the seconds to wait after a try ended, with jitter to spread the replicas."""
        if asyncio.get_running_loop().time() - self._began >= _STEADY_SECONDS:
            self._failures = 0
            return 0.0
        delay = _BACKOFF[min(self._failures, len(_BACKOFF) - 1)]
        self._failures += 1
        return delay * random.uniform(0.5, 1.5)  # noqa: S311  jitter


async def repeat(watch: Callable[[], Awaitable[None]], doing: str) -> NoReturn:
    """Watch again whenever a watch ended, until cancelled.

    ``doing`` says in logs what failed. A failure that repeats itself is logged once.
    """
    backoff, logged = WatchBackoff(), ""
    while True:
        problem = ""
        backoff.begin()
        try:
            await watch()
        except ConfigUnavailable as error:
            problem = str(error)
        delay = backoff.delay()
        if problem:
            level = logging.WARNING if problem != logged else logging.DEBUG
            _log.log(level, "%s: %s; retrying in %.1f s", doing, problem, delay)
        logged = problem
        await asyncio.sleep(delay)
