"""A cache of build results in the user's cache directory, shared by all runs on a machine.

Several runs may need the same result at the same time (two terminals, the workers of one test run). `once` lets one of
them build it while the others wait; a run that dies leaves nothing that looks complete.
"""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from ostiary_tools.common.progress import say


def root() -> Path:
    """Return `${XDG_CACHE_HOME:-~/.cache}/ostiary`.

    A relative XDG_CACHE_HOME is ignored, as its specification asks.
    """
    configured = Path(os.environ.get("XDG_CACHE_HOME") or "")
    return (configured if configured.is_absolute() else Path.home() / ".cache") / "ostiary"


@contextlib.contextmanager
def locked(path: Path, *, waiting_for: str) -> Iterator[None]:
    """Hold an exclusive lock on `path`; the kernel releases it when the process ends.

    Args:
        path: the lock file, created if missing and never removed (two holders could lock different files).
        waiting_for: what the other holder does, for the line that is printed while we wait.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"Waiting for another run: {waiting_for}")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def once(directory: Path, *, what: str, make: Callable[[Path], None]) -> Path:
    """Return `directory`; call `make` to create its content if it does not exist.

    Args:
        directory: its name must change with its content (include a hash).
        what: the content in words, for progress lines.
        make: fills the empty directory that it gets, which is renamed to `directory` after `make` returns.
    """
    if directory.is_dir():
        return directory
    with locked(directory.parent / f".{directory.name}.lock", waiting_for=what):
        if not directory.is_dir():
            _make(directory, make)
    return directory


def _make(directory: Path, make: Callable[[Path], None]) -> None:
    partial = directory.parent / f".{directory.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)  # left by a run that was killed; we hold the lock
    partial.mkdir(parents=True)
    try:
        make(partial)
        partial.rename(directory)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
