"""Build a snapshot in a thread without delaying the requests that are served meanwhile.

Two things would delay them. The garbage collector would traverse everything that is being built, again and again, while
all threads stop. And a thread that computes can keep the GIL: each time it releases the lock briefly by itself, as it
does when it hashes a document, the waiting threads start their switch interval again, and so never ask for the lock.
The builder therefore sleeps briefly every few milliseconds.
"""

import contextlib
import gc
import sys
import time
from collections.abc import Iterator
from typing import Final

#: The interpreter's switch interval during a build, in seconds.
_SWITCH_INTERVAL: Final = 0.0005
#: Seconds of building between two sleeps, and of a sleep: long enough for another thread to run.
_WORK_SECONDS: Final = 0.002
_SLEEP_SECONDS: Final = 0.0001
#: From this number of built proxies on, the result is excluded from garbage collection (``gc.freeze``).
FREEZE_FROM: Final = 64


class CooperativeBuild:
    """Counts the proxies that were built, and yields to other threads."""

    def __init__(self) -> None:
        self.built = 0
        self._slept = time.perf_counter()

    def built_one(self) -> None:
        """Count a proxy, and sleep if it is time to."""
        self.built += 1
        if time.perf_counter() - self._slept >= _WORK_SECONDS:
            time.sleep(_SLEEP_SECONDS)
            self._slept = time.perf_counter()


@contextlib.contextmanager
def cooperative_build() -> Iterator[CooperativeBuild]:
    """Build inside this context, in a separate thread, one build at a time.

    What a large build leaves is frozen: it lives long and holds no cycles, so reference counts free it. Small builds
    are left to the collector, since freezing would also freeze objects that requests are using now.
    """
    build = CooperativeBuild()
    interval, collecting = sys.getswitchinterval(), gc.isenabled()
    sys.setswitchinterval(_SWITCH_INTERVAL)
    gc.disable()
    try:
        yield build
    finally:
        if build.built >= FREEZE_FROM:
            gc.freeze()
        if collecting:
            gc.enable()
        sys.setswitchinterval(interval)
