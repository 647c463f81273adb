"""Turns of several processes at one standard output.

A line is written whole before another process writes. The kernel ends the turn of a process that ends.
"""

import fcntl
import time
from typing import Final

#: Seconds between two attempts.
_PAUSE: Final = 0.005


class StdoutTurn:
    """The turns of one process.

    ``file`` is a descriptor of a file that all of them have, and lock for nothing else.
    """

    def __init__(self, file: int) -> None:
        self._file = file
        self._is_ours = False

    def take(self, until: float) -> bool:
        """Wait for a turn until a monotonic time; return whether it is ours, perhaps since before."""
        while not self._is_ours:
            try:
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError):
                if time.monotonic() >= until:
                    return False
                time.sleep(_PAUSE)
            else:
                self._is_ours = True
        return True

    def end(self) -> None:
        """Let others write."""
        if self._is_ours:
            fcntl.lockf(self._file, fcntl.LOCK_UN)
            self._is_ours = False
