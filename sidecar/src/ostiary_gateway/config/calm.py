"""Building a snapshot beside the requests that go on, without making any of them wait for long.

Two things would. The garbage collector would walk everything that is being built, again and again, while all threads
stand still. And a thread that computes can keep the interpreter's lock from the others for all of it: whenever it lets
go for a moment of its own accord, as hashing a document does, those who wait for the lock begin their patience anew,
and never ask for it. So the builder rests, every few milliseconds.
"""

import contextlib
import gc
import sys
import time
from collections.abc import Iterator
from typing import Final

#: Seconds after which the interpreter makes a thread give way that does not do so itself.
_INTERVAL: Final = 0.0005
#: Seconds of building between two rests, and of a rest: long enough for another thread to wake up.
_WORK: Final = 0.002
_REST: Final = 0.0001
#: Proxies from which on what was built is set apart from what the collector walks.
MANY: Final = 64


class CooperativeBuild:
    """Counts what was built."""

    def __init__(self) -> None:
        self.built = 0
        self._rested = time.perf_counter()

    def built_one(self) -> None:
        """A proxy was built; rest, if it is time to."""
        self.built += 1
        if time.perf_counter() - self._rested >= _WORK:
            time.sleep(_REST)
            self._rested = time.perf_counter()


@contextlib.contextmanager
def cooperative_build() -> Iterator[CooperativeBuild]:
    """Build within this, in a thread of its own, one at a time.

    What a large build left is frozen: it is there for long, holds no cycles, and so goes by its reference counts alone.
    Small builds are left to the collector, since freezing takes along what requests are just using.
    """
    calm = CooperativeBuild()
    interval, collecting = sys.getswitchinterval(), gc.isenabled()
    sys.setswitchinterval(_INTERVAL)
    gc.disable()
    try:
        yield calm
    finally:
        if calm.built >= MANY:
            gc.freeze()
        if collecting:
            gc.enable()
        sys.setswitchinterval(interval)
