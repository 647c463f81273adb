"""Standard output as an audit trail.

A pipe holds 64 KiB, and its reader may stop. So a write waits until the pipe has room, for a limited time, and
never writes more than fits: a pipe that can be written at all takes :data:`PIPE_BYTES` without blocking (POSIX,
PIPE_BUF). Other output of the process goes to standard error.
"""

import os
import select
from collections.abc import Sequence
from time import monotonic
from typing import Final

from ostiary_gateway.audit.sink import SinkError
from ostiary_gateway.audit.stdout_turn import StdoutTurn

#: What a pipe takes at once as soon as it takes anything, in bytes: PIPE_BUF of Linux.
PIPE_BYTES: Final = 4096
#: How long a write waits for room, in seconds.
PATIENCE_SECONDS: Final = 1.0


class StdoutSink:
    """Writes lines to a file descriptor, that of standard output.

    Where several processes have the same one, each waits for its ``turn``, and keeps it until its lines are whole.
    """

    name = "stdout"
    is_copy = False
    lost = 0
    fault = None

    def __init__(
        self, descriptor: int = 1, *, patience: float = PATIENCE_SECONDS, turn: StdoutTurn | None = None
    ) -> None:
        self._descriptor = descriptor
        self._turn = turn
        self._patience = patience
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)
        #: The rest of a line that was written in part: it goes first, or two lines would become one.
        self._rest = b""

    def write(self, lines: Sequence[bytes]) -> None:
        """Write lines.

        Raises:
            SinkError: there was no room in time, or the pipe is closed. A line that was begun counts as written, and
                its rest goes out first at the next call.
        """
        until = monotonic() + self._patience
        if self._turn is not None and not self._turn.take(until):
            raise SinkError(_BLOCKED)
        try:
            self._write(lines, until)
        finally:
            self._end_turn()

    def _end_turn(self) -> None:
        if self._turn is not None and not self._rest:
            self._turn.end()

    def _write(self, lines: Sequence[bytes], until: float) -> None:
        self._rest = self._written(self._rest, until)
        if self._rest:
            raise SinkError(_BLOCKED)
        for position, line in enumerate(lines):
            rest = self._written(line, until)
            if rest == line:
                raise SinkError(_BLOCKED, written=position)
            if rest:
                self._rest = rest
                raise SinkError(_BLOCKED, written=position + 1)

    def _written(self, line: bytes, until: float) -> bytes:
        """Write as much of a line as there is room for in time; return the rest."""
        while line and self._has_room(until):
            try:
                line = line[os.write(self._descriptor, line[:PIPE_BYTES]) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise SinkError(f"standard output cannot be written: {error.strerror or error}") from None
        return line

    def _has_room(self, until: float) -> bool:
        return bool(self._poll.poll(max(0.0, until - monotonic()) * 1000))

    def close(self, seconds: float) -> None:
        """Write the rest of a line that was begun."""
        try:
            self._rest = self._written(self._rest, monotonic() + seconds)
        except SinkError:
            self._rest = b""
        self._end_turn()


_BLOCKED: Final = "standard output is blocked: its reader does not read; check the container runtime's logging"
