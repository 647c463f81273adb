"""Where the lines of an audit trail go.

The thread that writes the trail gives each sink the same lines in the same order. There are two kinds:

* A *trail* (standard output, a file) holds every line, or its fault is known: the writer keeps what it could not write
  and tries again, and calls under the failure policy Fail are refused meanwhile.
* A *copy* (OTLP, a webhook) takes lines into a bounded queue of its own and never raises: it counts what it lost.
"""

from collections.abc import Sequence
from typing import Protocol

from ostiary_core.errors import OstiaryError


class SinkError(OstiaryError):
    """A trail could not write all lines. The message names the cause and the remedy.

    ``written`` is the number of lines that it wrote, each as a whole; of the rest there is nothing in the trail.
    """

    def __init__(self, message: str, *, written: int = 0) -> None:
        super().__init__(message)
        self.written = written


class Sink(Protocol):
    """One place where lines go.

    Only the thread that writes the trail calls it, except for :attr:`lost` and :attr:`fault`.
    """

    @property
    def name(self) -> str:
        """Its kind and place, such as ``file /var/log/audit.jsonl``.

        Reports and logs show it, so it holds no secret.
        """

    @property
    def is_copy(self) -> bool:
        """Whether this is a copy, which loses lines rather than delay others."""

    @property
    def lost(self) -> int:
        """The number of lines that a copy has lost; 0 for a trail. Any thread may read it."""

    @property
    def fault(self) -> str | None:
        """Why a copy cannot deliver now; None for a trail, whose errors :meth:`write` raises."""

    def write(self, lines: Sequence[bytes]) -> None:
        """Take whole lines, each with its line break.

        A trail may block for a second at most; a copy only queues.

        Raises:
            SinkError: not all were written. It must not be raised by a copy.
        """

    def close(self, seconds: float) -> None:
        """Deliver what is queued within this time, and release what it holds. It never raises."""
