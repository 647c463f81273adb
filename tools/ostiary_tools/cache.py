"""What is costly to make is made once per machine and kept under the user's cache directory.

Several runs may want the same thing at the same moment (two terminals, the workers of one test run). `once`
lets one of them make it and the others wait; a run that dies half-way leaves nothing that looks complete.
"""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from ostiary_tools.progress import say


def root() -> Path:
    """`${XDG_CACHE_HOME:-~/.cache}/ostiary`. A relative XDG_CACHE_HOME is ignored, as its specification asks."""
    configured = Path(os.environ.get("XDG_CACHE_HOME") or "")
    return (configured if configured.is_absolute() else Path.home() / ".cache") / "ostiary"


@contextlib.contextmanager
def locked(path: Path, *, waiting_for: str) -> Iterator[None]:
    """Hold an exclusive lock on `path`; it ends with the process at the latest, however that dies.

    Args:
        path: the lock file, made if missing and never removed (removing it would let two in).
        waiting_for: what the other holder does, for the line that is printed while we wait for it.
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
    """Return `directory`, calling `make` to fill it if it is not there yet.

    Args:
        directory: its name must change whenever its content should (put a hash into it).
        what: the content in words, for progress lines.
        make: fills the empty directory that it is given, which is renamed only after `make` returned.
    """
    if directory.is_dir():
        return directory
    with locked(directory.parent / f".{directory.name}.lock", waiting_for=what):
        if not directory.is_dir():
            _make(directory, make)
    return directory


def _make(directory: Path, make: Callable[[Path], None]) -> None:
    partial = directory.parent / f".{directory.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)  # of a run that was killed; we hold the lock
    partial.mkdir(parents=True)
    try:
        make(partial)
        partial.rename(directory)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
