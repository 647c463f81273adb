"""A file as an audit trail.

It is appended to, rotated by size, and opened again where another one has taken its place.
Lines are written as a whole: what a full disk cut off is removed again. A lock keeps a second process from writing the
same file, which would break the chain of both.
"""

import fcntl
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from ostiary_core.audit.chain import is_intact, link_of
from ostiary_core.audit.checkpoints import checkpoint_of
from ostiary_core.audit.record_layout import MAX_LINE_BYTES
from ostiary_core.contract.audit import AuditFileConfig
from ostiary_gateway.audit.sink import SinkError

#: In a path, this stands for the name of the replica, where several replicas share a volume.
REPLICA: Final = "{replica}"
#: The owner alone may read the file: records say who did what.
_MODE: Final = 0o600
#: A whole line and a torn one fit.
_READ: Final = 4 * MAX_LINE_BYTES


class FileSink:
    """Appends lines to a file.

    ``replica`` is the name of this replica. Where it is one ``worker`` of several, and the path does not name the
    replica, ``-w<worker>`` stands before the path's suffix: each process needs a file of its own.
    """

    is_copy = False
    lost = 0
    fault = None

    def __init__(self, config: AuditFileConfig, *, replica: str, worker: int | None = None) -> None:
        self.path = Path(config.path.replace(REPLICA, _as_file_name(replica)))
        if worker is not None and REPLICA not in config.path:
            self.path = self.path.with_stem(f"{self.path.stem}-w{worker}")
        self.name = f"file {self.path}"
        self._config = config
        self._descriptor: int | None = None
        self._size = 0
        #: What the process before left in the file, as the first record of a trail says it.
        self.found: dict[str, Any] | None = None

    def open(self) -> None:
        """Open the file, and create it where it is missing.

        Raises:
            SinkError: that is not possible; the message says why.
        """
        try:
            self._open()
        except OSError as error:
            self._release()
            raise SinkError(f"{self.path} cannot be written: {error.strerror or error}") from None

    def _open(self) -> None:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
        self._descriptor = descriptor = os.open(self.path, flags, _MODE)
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            self._release()
            raise SinkError(f"{self.path} is not a regular file: name one, or use the sink stdout")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._release()
            words = (
                f"another process writes {self.path}: give each its own file, such as one with {REPLICA} in its name"
            )
            raise SinkError(words) from None
        self._size = found.st_size
        self._end_torn_line(descriptor)

    def _end_torn_line(self, descriptor: int) -> None:
        """Note how the file ends, and end a line that a crash has left in the middle.

        Nothing of it is removed.
        """
        line, torn, is_ended = _read_end(descriptor)
        self.found = self.found or _describe_end(line, torn) or (None if self._size else self._found_in_last())
        if not is_ended:
            self._size += os.write(descriptor, b"\n")

    def _found_in_last(self) -> dict[str, Any] | None:
        """Return how the last rotated file ends.

        A process may be killed after it renamed a file, and before it writes to the next.
        """
        try:
            with self._numbered(1).open("rb") as file:
                return _describe_end(*_read_end(file.fileno())[:2])
        except OSError:
            return None

    def write(self, lines: Sequence[bytes]) -> None:
        """Append lines; rotate the file before it becomes larger than it may.

        Raises:
            SinkError: the disk is full, or the file cannot be written or opened.
        """
        if self._descriptor is None or self._is_replaced():
            self._release()
            self.open()
        if self._size + sum(map(len, lines)) <= self._config.max_bytes:
            self._append(lines, 0)
            return
        first = pending = 0
        for position, line in enumerate(lines):
            before = self._size + pending
            if before and before + len(line) > self._config.max_bytes:
                self._append(lines[first:position], first)
                self._rotate(position)
                first, pending = position, 0
            pending += len(line)
        self._append(lines[first:], first)

    def _append(self, lines: Sequence[bytes], written: int) -> None:
        """Append lines as a whole. ``written`` lines were written before."""
        assert self._descriptor is not None  # noqa: S101  write has opened it
        left = text = b"".join(lines)
        try:
            while left:
                left = left[os.write(self._descriptor, left) :]
            if self._config.syncs and text:
                os.fdatasync(self._descriptor)
        except OSError as error:
            self._cut_off()
            raise SinkError(f"{self.path} cannot be written: {error.strerror or error}", written=written) from None
        self._size += len(text)

    def _cut_off(self) -> None:
        """Remove what was written in part."""
        try:
            os.ftruncate(self._descriptor or 0, self._size)
        except OSError:
            self._release()

    def _rotate(self, written: int) -> None:
        """Rename the file to ``<path>.1`` and earlier ones accordingly, and begin a new one."""
        try:
            for number in range(self._config.max_files - 1, 0, -1):
                older = self._numbered(number - 1)
                if older.exists():
                    older.replace(self._numbered(number))
            if self._config.max_files == 1:
                self.path.unlink(missing_ok=True)
        except OSError as error:
            raise SinkError(f"{self.path} cannot be rotated: {error.strerror or error}", written=written) from None
        self._release()
        try:
            self.open()
        except SinkError as error:
            raise SinkError(str(error), written=written) from None

    def _numbered(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}") if number else self.path

    def _is_replaced(self) -> bool:
        """Return whether the path leads to another file now: a tool has renamed ours."""
        assert self._descriptor is not None  # noqa: S101  the caller has checked it
        try:
            now, ours = self.path.stat(), os.fstat(self._descriptor)
        except OSError:
            return True
        self._size = ours.st_size  # a tool may have emptied it (copytruncate of logrotate)
        return (now.st_dev, now.st_ino) != (ours.st_dev, ours.st_ino)

    def _release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def close(self, seconds: float) -> None:  # noqa: ARG002  it holds nothing back
        """Close the file."""
        self._release()


def _as_file_name(replica: str) -> str:
    return "".join(each if each.isalnum() or each in "._-" else "_" for each in replica)[:200] or "_"


def _read_end(descriptor: int) -> tuple[bytes, int, bool]:
    """Return the last whole line of a file, the bytes of a torn one, and whether it is ended.

    A record that lacks nothing but its line break is whole.
    """
    size = os.fstat(descriptor).st_size
    text = os.pread(descriptor, _READ, max(0, size - _READ))
    head, _, torn = text.rpartition(b"\n")
    link = link_of(torn)
    if link is not None and is_intact(torn, link):
        return torn, 0, False
    return head.rpartition(b"\n")[2], len(torn), not torn


def _describe_end(line: bytes, torn: int) -> dict[str, Any] | None:
    """Return the member ``previous`` of the first record; None where there was no trail before."""
    link = link_of(line)
    if link is None or not is_intact(line, link):
        return None
    last = checkpoint_of(line)
    closed = last is not None and last.closing and not torn
    return {**link.position._asdict(), "closed": closed, "tornBytes": torn}
