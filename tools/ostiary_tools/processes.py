"""Child processes: output in a file, readiness by condition, an end that is certain."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from ostiary_tools import tether
from ostiary_tools.errors import ToolError

_POLL = 0.01  # seconds between two looks at a condition


class ProcessDiedError(ToolError):
    """A child ended that should have run on; the message holds the end of its log."""


class Process:
    """A running child.

    It has a session of its own, so Ctrl-C reaches us only and we end our children in order. On Linux it is
    killed when the thread that started it ends, however that happens: start it from a thread that lives on.

    Attributes:
        name: how messages call it.
        log: the file that takes its stdout and stderr, appended.
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
                [*_tether(), *map(str, command)],
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
        """Whether it has not ended yet."""
        return self._child.poll() is None

    def log_tail(self, lines: int = 15) -> str:
        """The last lines of its log."""
        text = self.log.read_text(errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def check(self) -> None:
        """Do nothing if it runs.

        Raises:
            ProcessDiedError: it ended.
        """
        if not self.running:
            raise ProcessDiedError(f"{self.name} ended with {self._child.returncode}\n{self.log_tail()}")

    def stop(self, *, grace: float = 10.0) -> int:
        """End it: SIGTERM, then SIGKILL after `grace` seconds. Return its exit code (negative: the signal)."""
        self._child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._child.wait(grace)
        return self.kill()

    def kill(self) -> int:
        """End it with SIGKILL and wait until it is gone. Return its exit code."""
        self._child.kill()
        return self._child.wait()


def _tether() -> list[str]:
    if not sys.platform.startswith("linux"):
        return []
    return [sys.executable, "-I", "-S", str(tether.__file__), str(os.getpid())]


def wait_until(
    condition: Callable[[], bool], *, what: str, timeout: float = 60.0, processes: Iterable[Process] = ()
) -> None:
    """Return as soon as `condition` holds.

    Args:
        condition: cheap to ask; asked about a hundred times a second.
        what: what is waited for, for the error.
        timeout: seconds.
        processes: those without which it can never hold.

    Raises:
        ProcessDiedError: one of them ended.
        ToolError: the time is over.
    """
    deadline = time.monotonic() + timeout
    while not condition():
        for process in processes:
            process.check()
        if time.monotonic() > deadline:
            raise ToolError(f"waited {timeout:g} s in vain: {what}")
        time.sleep(_POLL)
