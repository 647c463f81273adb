"""The terminal of ``ostiary run``.

It writes timed lines, with colours if supported, and no control characters from clients.
"""

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
    """Return whether to use colours.

    That is the case in a terminal with colours, if NO_COLOR (https://no-color.org) is not set.
    """
    return stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def printable(text: str, *, limit: int = 200) -> str:
    """Return untrusted text as one line without control characters.

    Escape sequences could rewrite the terminal.
    """
    shown = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text[: limit + 1])
    return shown if len(shown) <= limit else f"{shown[: limit - 1]}…"


class Console:
    """Writes whole lines. Once the reader of the stream is closed, it writes nothing."""

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
            # The reader of the pipe is closed. The gateway keeps serving its clients.
            return

    def event(self, mark: str, text: str, style: Style = Style.PLAIN) -> None:
        """Write an event: the time, ``mark`` for its kind, and the text."""
        now = self.paint(time.strftime("%H:%M:%S"), Style.DIM)
        self.write(f"{now}  {self.paint(f'{mark:<10}', style)}  {text}")

    def more(self, text: str) -> None:
        """Write a continuation of the line before."""
        self.write(f"{'':22}{text}")


#: INFO records of the gateway repeat what our own lines say.
_LEVEL: Final = logging.WARNING


class ConsoleHandler(logging.Handler):
    """Shows the gateway's log records of level WARNING and above."""

    def __init__(self, console: Console) -> None:
        super().__init__(_LEVEL)
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; its exception is named, without the traceback."""
        style = Style.BAD if record.levelno >= logging.ERROR else Style.WARN
        error = record.exc_info[1] if record.exc_info else None
        cause = f" ({type(error).__name__}: {error})" if error is not None else ""
        self._console.event(record.levelname.lower(), printable(f"{record.getMessage()}{cause}", limit=1000), style)
