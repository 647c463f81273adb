"""Child processes with their output in a file, and a wait for conditions."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from ostiary_operator.local import die_with_parent
from ostiary_tools.common.errors import ToolError

_POLL = 0.01  # seconds between two checks of a condition


class ProcessDiedError(ToolError):
    """A child process ended unexpectedly; the message has the end of its log."""


class Process:
    """A running child process.

    It has its own session, so that Ctrl-C reaches only us and we can stop the children in order. On Linux the kernel
    kills it when the thread that started it ends: start it from a long-lived thread.

    Attributes:
        name: its name in messages.
        log: the file to which its stdout and stderr are appended.
        pid: its process id.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        log: Path,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.log = log
        with log.open("ab") as output:
            self._child = subprocess.Popen(
                [*_die_with_parent(), *map(str, command)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env=env,
                start_new_session=True,
            )
        self.pid = self._child.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._child.poll() is None

    def log_tail(self, lines: int = 15) -> str:
        """Return the last lines of its log."""
        text = self.log.read_text(errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def check(self) -> None:
        """Check that it runs.

        Raises:
            ProcessDiedError: it has ended.
        """
        if not self.running:
            raise ProcessDiedError(f"{self.name} ended with {self._child.returncode}\n{self.log_tail()}")

    def stop(self, *, grace: float = 10.0) -> int:
        """Send SIGTERM, and SIGKILL after `grace` seconds.

        Return its exit code (negative: the signal).
        """
        self._child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._child.wait(grace)
        return self.kill()

    def kill(self) -> int:
        """Send SIGKILL, and wait until it has ended; return its exit code."""
        self._child.kill()
        return self._child.wait()


def _die_with_parent() -> list[str]:
    if not sys.platform.startswith("linux"):
        return []
    return [sys.executable, "-I", "-S", str(die_with_parent.__file__), str(os.getpid())]


def wait_until(
    condition: Callable[[], bool], *, what: str, timeout: float = 60.0, processes: Iterable[Process] = ()
) -> None:
    """Return as soon as `condition` holds.

    Args:
        condition: a cheap check, called about a hundred times a second.
        what: the condition in words, for the error.
        timeout: seconds.
        processes: processes that the condition depends on.

    Raises:
        ProcessDiedError: one of them ended.
        ToolError: the timeout has passed.
    """
    deadline = time.monotonic() + timeout
    while not condition():
        for process in processes:
            process.check()
        if time.monotonic() > deadline:
            raise ToolError(f"waited {timeout:g} s in vain: {what}")
        time.sleep(_POLL)
