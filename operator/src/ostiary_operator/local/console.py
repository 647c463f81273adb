"""The terminal of ``ostiary run``: timed lines, colour where it can be seen, and never what a caller slipped in."""

import enum
import logging
import os
import threading
import time
from collections.abc import Mapping
from typing import Final, TextIO


class Style(enum.StrEnum):
    """How a word is shown, as the parameter of an SGR sequence."""

    PLAIN = ""
    BOLD = "1"
    DIM = "2"
    GOOD = "32"
    BAD = "31"
    WARN = "33"


def wants_colour(stream: TextIO, environ: Mapping[str, str] = os.environ) -> bool:
    """Say whether to colour: a terminal that can, and nobody said NO_COLOR (https://no-color.org)."""
    return stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def printable(text: str, *, limit: int = 200) -> str:
    """Return text of a stranger as one harmless line: escape sequences could rewrite the terminal."""
    shown = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text[: limit + 1])
    return shown if len(shown) <= limit else f"{shown[: limit - 1]}…"


class Console:
    """Writes lines, each whole. Once nobody reads any more it is silent."""

    def __init__(self, stream: TextIO, *, colour: bool) -> None:
        self._stream = stream
        self._colour = colour
        self._lock = threading.Lock()

    def paint(self, text: str, style: Style) -> str:
        """Return text in a style."""
        return f"\x1b[{style.value}m{text}\x1b[0m" if self._colour and style.value else text

    def write(self, text: str = "") -> None:
        """Write one or more lines."""
        try:
            with self._lock:
                self._stream.write(f"{text}\n")
                self._stream.flush()
        except (OSError, ValueError):
            # The pipe's reader went away. The door stays open for those who came to use it.
            return

    def event(self, mark: str, text: str, style: Style = Style.PLAIN) -> None:
        """Write what happened now: the time, a word for the kind, and the rest."""
        now = self.paint(time.strftime("%H:%M:%S"), Style.DIM)
        self.write(f"{now}  {self.paint(f'{mark:<10}', style)}  {text}")

    def more(self, text: str) -> None:
        """Write a line that belongs to the one before."""
        self.write(f"{'':22}{text}")


#: Whose INFO records say what our own lines say better.
_LEVEL: Final = logging.WARNING


class ConsoleHandler(logging.Handler):
    """Shows what the gateway logs, warnings and worse."""

    def __init__(self, console: Console) -> None:
        super().__init__(_LEVEL)
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; an exception behind it is named, not printed."""
        style = Style.BAD if record.levelno >= logging.ERROR else Style.WARN
        error = record.exc_info[1] if record.exc_info else None
        cause = f" ({type(error).__name__}: {error})" if error is not None else ""
        self._console.event(record.levelname.lower(), printable(f"{record.getMessage()}{cause}", limit=1000), style)
