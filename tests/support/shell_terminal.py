"""A shell in a terminal of its own, as a person uses it: keys in, the screen's text out.

with ShellTerminal(["bash", "--norc"], environment) as terminal:
    terminal.types("ostiary get pro\t")
    terminal.shows("proxies")
"""

import contextlib
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Final, Self

from timeouts import TIMEOUT_SECONDS

_ESCAPES: Final = re.compile(r"\x1b(\[[0-9;?]*[ -/]*[@-~]|[()=>][A-Za-z0-9]?|\][^\x07]*\x07)")
#: Leads a session of its own, whose terminal is the one that it got, then becomes the shell: fish demands that.
_LEADER: Final = """\
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""


class ShellTerminal:
    """One shell and its terminal."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._screen = b""
        self._ours, theirs = pty.openpty()
        self._shell = subprocess.Popen(
            [sys.executable, "-c", _LEADER, *command], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
        )
        os.close(theirs)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._shell.pid, signal.SIGKILL)
        self._shell.kill()
        self._shell.wait()
        os.close(self._ours)

    @property
    def screen(self) -> str:
        """What the shell wrote since the last keys, without colours and movements of the cursor."""
        return _ESCAPES.sub("", self._screen.decode(errors="replace"))

    def types(self, keys: str) -> None:
        """Press keys; a tab completes. What the screen showed before is forgotten."""
        self._screen = b""
        os.write(self._ours, keys.encode())

    def shows(self, *texts: str) -> str:
        """Wait until the screen shows all texts; return what it shows."""
        end = time.monotonic() + TIMEOUT_SECONDS
        while not all(text in self.screen for text in texts):
            assert time.monotonic() < end, f"the screen does not show {texts}: {self.screen!r}"
            if select.select([self._ours], [], [], 0.1)[0]:
                self._screen += os.read(self._ours, 65536)
        return self.screen
