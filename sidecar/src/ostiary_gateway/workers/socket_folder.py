"""The folder of the sockets of one gateway's workers, which only this user may enter.

The supervisor locks it as long as it lives: the kernel releases the lock of one that was killed. So each start can tell
the folders that are left over, and removes them.
"""

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

from ostiary_gateway.errors import StartupError

_PREFIX: Final = "ostiary-workers-"
#: Attempts to make a folder: another gateway may remove one before it is locked.
_ATTEMPTS: Final = 10


class SocketFolder:
    """A new folder, in TMPDIR; ``path`` names it."""

    def __init__(self) -> None:
        """Make the folder, and remove those of supervisors that were killed.

        Raises:
            StartupError: it cannot be made.
        """
        try:
            _remove_left_over(Path(tempfile.gettempdir()))
            self.path, self._lock = _made()
        except OSError as error:
            raise StartupError(
                f"--workers: no folder for the workers' sockets can be made ({error}). Set TMPDIR to a folder that "
                "this process may write to, such as an emptyDir."
            ) from error

    def close(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def _made() -> tuple[Path, int]:
    """Return a new folder and the descriptor that locks it."""
    for _ in range(_ATTEMPTS):
        path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        lock = _locked(path)
        if lock is not None and path.exists():
            return path, lock
    raise FileExistsError("another process removes it again and again")


def _locked(path: Path) -> int | None:
    """Lock a folder, and return the descriptor.

    It is None where another process has it, or where the folder is none of this user.
    """
    try:
        found = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        if os.fstat(found).st_uid == os.geteuid():
            fcntl.flock(found, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return found
    except OSError:
        pass
    os.close(found)
    return None


def _remove_left_over(parent: Path) -> None:
    with suppress(OSError):
        for path in parent.glob(f"{_PREFIX}*"):
            lock = _locked(path)
            if lock is not None:
                shutil.rmtree(path, ignore_errors=True)
                os.close(lock)
