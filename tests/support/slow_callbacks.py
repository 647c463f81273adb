"""Measure the longest callback of the event loop, in CPU time, so that a busy machine does not count.

with slow_callbacks() as slow:
    …
assert slow.longest < 0.05
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from time import thread_time
from typing import Any
from unittest import mock


class SlowCallbacks:
    """``longest`` is the CPU time of the longest callback in seconds, and ``callback`` its description."""

    def __init__(self) -> None:
        self.longest = 0.0
        self.callback = ""


@contextmanager
def slow_callbacks() -> Iterator[SlowCallbacks]:
    """Measure every callback of every loop of this process."""
    slow = SlowCallbacks()
    run = asyncio.Handle._run

    def measured(handle: Any) -> None:
        before = thread_time()
        run(handle)
        took = thread_time() - before
        if took > slow.longest:
            slow.longest, slow.callback = took, repr(handle)

    with mock.patch.object(asyncio.Handle, "_run", measured):
        yield slow
