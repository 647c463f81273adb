"""How long the event loop was held: the processor's time of its longest single callback, however busy the machine is.

with loop_holds() as holds:
    …
assert holds.longest < 0.05
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from time import thread_time
from typing import Any
from unittest import mock


class Holds:
    """``longest`` is in seconds of the processor's time, and ``callback`` what took it."""

    def __init__(self) -> None:
        self.longest = 0.0
        self.callback = ""


@contextmanager
def loop_holds() -> Iterator[Holds]:
    """Measure every callback of every loop of this process."""
    holds = Holds()
    run = asyncio.Handle._run

    def measured(handle: Any) -> None:
        before = thread_time()
        run(handle)
        took = thread_time() - before
        if took > holds.longest:
            holds.longest, holds.callback = took, repr(handle)

    with mock.patch.object(asyncio.Handle, "_run", measured):
        yield holds
