"""Progress lines on stderr, so that long steps do not look like a hang."""

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator


def say(line: str) -> None:
    """Print one line on stderr."""
    print(line, file=sys.stderr, flush=True)


@contextlib.contextmanager
def reporting(line: Callable[[float], str], *, every: float = 15.0) -> Iterator[None]:
    """Print `line(seconds so far)` repeatedly while the block runs.

    Args:
        line: returns the line; called in another thread.
        every: seconds between two lines.
    """
    started = time.monotonic()
    done = threading.Event()

    def report() -> None:
        while not done.wait(every):
            say(line(time.monotonic() - started))

    thread = threading.Thread(target=report, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
