"""The state folder of ``ostiary run``.

It keeps the gateway's keys between runs, so that sessions survive a restart.

The keys are in ``$XDG_STATE_HOME/ostiary/run/<project>/keys``, by default below ``~/.local/state``: not in the project,
which is committed and which others may read. A folder that other users own or can read is not used.
"""

import fcntl
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

_VARIABLE: Final = "XDG_STATE_HOME"
#: The file in a state folder that a run locks.
LOCK: Final = "lock"


class StateUnavailable(Exception):
    """The state folder cannot be used; the message says why."""


def state_folder(paths: Iterable[Path], *, gateway: str, environ: Mapping[str, str]) -> Path:
    """Return the state folder for these paths and this gateway identity.

    Raises:
        StateUnavailable: there is no home directory.
    """
    resolved = [str(path.resolve()) for path in paths]
    project = hashlib.sha256("\n".join((gateway, *resolved)).encode()).hexdigest()[:16]
    name = Path(resolved[0]).name if resolved else ""
    return state_root(environ) / f"{name or 'root'}-{project}"


def state_root(environ: Mapping[str, str]) -> Path:
    """Return the folder of all state folders of this user.

    Raises:
        StateUnavailable: there is no home directory.
    """
    home = environ.get(_VARIABLE, "")
    # The XDG specification ignores a relative path.
    try:
        root = Path(home) if home.startswith("/") else Path.home() / ".local" / "state"
    except RuntimeError as error:
        raise StateUnavailable(f"{error}; set {_VARIABLE}") from None
    return root / "ostiary" / "run"


@contextmanager
def locked(folder: Path) -> Iterator[Path]:
    """Create and lock a state folder while the context lasts, and yield it.

    One run at a time may use it.

    Raises:
        StateUnavailable: it cannot be written, others could read it, or another run has locked it.
    """
    try:
        for each in (folder.parent.parent, folder.parent, folder):
            each.mkdir(mode=0o700, parents=True, exist_ok=True)
            require_private(each)
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise StateUnavailable(f"{folder}: {error}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise StateUnavailable(f"{folder}: another run of this project uses it") from None
    try:
        yield folder
    finally:
        os.close(lock)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Yield a folder that is removed at the end of the run."""
    with TemporaryDirectory(prefix="ostiary-run-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def require_private(folder: Path) -> None:
    """Check that only this user can read a folder.

    Raises:
        StateUnavailable: others can, or it is no folder.
    """
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise StateUnavailable(f"{folder} is accessible to other users: chmod 700 {folder}")
