"""Building a snapshot beside the requests that go on, without making any of them wait for long.

Two things would. The garbage collector would walk everything that is being built, again and again, while all threads
stand still; and a thread that only computes gives way no sooner than the switch interval says, at each of the steps at
which a request wants to go on.
"""

import contextlib
import gc
import sys
from collections.abc import Iterator
from typing import Final

#: Seconds after which the builder gives way.
_INTERVAL: Final = 0.0005
#: Proxies from which on what was built is set apart from what the collector walks.
MANY: Final = 64


class Calm:
    """``built`` is how many proxies were built; whoever builds counts."""

    def __init__(self) -> None:
        self.built = 0


@contextlib.contextmanager
def calmly() -> Iterator[Calm]:
    """Build within this, one at a time.

    What a large build left is frozen: it is there for long, holds no cycles, and so goes by its reference counts alone.
    Small builds are left to the collector, since freezing takes along what requests are just using.
    """
    calm = Calm()
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
