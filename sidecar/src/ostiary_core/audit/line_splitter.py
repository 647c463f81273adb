"""Splits the bytes of a trail into lines, with a bound on what is kept of one line."""

from typing import Final

from ostiary_core.audit.record_layout import MAX_LINE_BYTES

#: What stands for a line that is longer than any record. It is no JSON.
TOO_LONG: Final = b"\x00too long"


class LineSplitter:
    """Splits chunks of any size; it keeps at most one line between two of them."""

    __slots__ = ("_rest", "_skips")

    def __init__(self) -> None:
        self._rest = b""
        self._skips = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the lines that end in a chunk, without line breaks.

        :data:`TOO_LONG` stands for a long one.
        """
        lines = (self._rest + chunk).split(b"\n")
        self._rest = lines.pop()
        for index, line in enumerate(lines):
            if len(line) >= MAX_LINE_BYTES or self._skips:
                lines[index], self._skips = TOO_LONG, False
        if len(self._rest) >= MAX_LINE_BYTES:
            self._rest, self._skips = b"", True
        return lines

    def end(self) -> bytes:
        """Return what follows the last line break: empty, or a line that was not finished."""
        rest, skips = self._rest, self._skips
        self._rest, self._skips = b"", False
        return TOO_LONG if skips else rest
