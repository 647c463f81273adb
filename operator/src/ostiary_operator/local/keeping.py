"""What ``ostiary run`` keeps of a project between two runs: the keys of its gateway, so that a restart ends no session.

They lie in ``$XDG_STATE_HOME/ostiary/run/<project>/keys``, by default below ``~/.local/state``, apart from the project,
which others may read and which is committed. Only their owner may read them: what others can read or own is not used.
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
_LOCK: Final = "lock"


class StateUnavailable(Exception):
    """The keys cannot be kept; the message says why."""


def state_folder(paths: Iterable[Path], *, gateway: str, environ: Mapping[str, str]) -> Path:
    """Return where the state of a project lies: of these files and folders, at the gateway of this identity.

    Raises:
        StateUnavailable: there is no home.
    """
    resolved = [str(path.resolve()) for path in paths]
    project = hashlib.sha256("\n".join((gateway, *resolved)).encode()).hexdigest()[:16]
    name = Path(resolved[0]).name if resolved else ""
    home = environ.get(_VARIABLE, "")
    # The specification of these folders: a relative path is not valid and counts as none.
    try:
        root = Path(home) if home.startswith("/") else Path.home() / ".local" / "state"
    except RuntimeError as error:
        raise StateUnavailable(f"{error}; set {_VARIABLE}") from None
    return root / "ostiary" / "run" / f"{name or 'root'}-{project}"


@contextmanager
def locked(folder: Path) -> Iterator[Path]:
    """Hold the state of a project for as long as the context lasts, and yield it; one run at a time.

    Raises:
        StateUnavailable: it cannot be written, others could read it, or another run holds it.
    """
    try:
        for each in (folder.parent.parent, folder.parent, folder):
            each.mkdir(mode=0o700, parents=True, exist_ok=True)
            _require_private(each)
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise StateUnavailable(f"{folder}: {error}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise StateUnavailable(f"{folder}: another run of this project holds it") from None
    try:
        yield folder
    finally:
        os.close(lock)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Yield a folder that goes with the run."""
    with TemporaryDirectory(prefix="ostiary-run-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _require_private(folder: Path) -> None:
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise StateUnavailable(f"{folder} is not yours alone; make it so: chmod 700 {folder}")
