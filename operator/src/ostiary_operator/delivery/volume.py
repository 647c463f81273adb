"""A directory with the semantics of a projected volume: all its files change atomically.

    ..2026_11_21_08_00_00.000000001/    one version: the files
    ..data -> ..2026_11_21_…            renamed into place: the one atomic step
    manifest.json -> ..data/manifest.json

Only its owner may read it: directories have mode 0700, files 0600. Links that this module did not create are not
followed, and their targets are neither read nor removed.
"""

import fcntl
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_LINK: Final = "..data"
_NEXT_LINK: Final = "..data_tmp"
_LOCK: Final = "..lock"
#: The prefix of the names of versions, and of no file.
_HIDDEN: Final = ".."


def is_made_here(path: Path) -> bool:
    """Return whether this module created a path: a version, its link, or a link to a file."""
    if path.name.startswith(_HIDDEN):
        return True
    return path.is_symlink() and path.readlink() == Path(_LINK) / path.name


class Volume:
    """One such directory, created if it is missing. Writing needs the lock (:meth:`locked`)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the directory against other processes, and wait while another one has the lock.

        Raises:
            OSError: the lock file cannot be written.
        """
        lock = os.open(self._path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def files(self) -> dict[str, bytes]:
        """Return the files of the current version.

        Raises:
            OSError: they cannot be read.
        """
        root = self._current()
        if root is None:
            return {}
        return {each.name: each.read_bytes() for each in root.iterdir() if each.is_file()}

    def write(self, files: Mapping[str, bytes]) -> None:
        """Replace the files with exactly these, unless they are the same.

        Raises:
            OSError: they cannot be written; the current version stays.
        """
        if files != self.files():
            self._swap(files)

    def _current(self) -> Path | None:
        """Return the current version; None if the link is missing or has another target."""
        link = self._path / _LINK
        name = os.fspath(link.readlink()) if link.is_symlink() else ""
        version = self._path / name
        is_version = name.startswith(_HIDDEN) and "/" not in name and name not in {_HIDDEN, _LINK, _NEXT_LINK}
        return version if is_version and version.is_dir() and not version.is_symlink() else None

    def _swap(self, files: Mapping[str, bytes]) -> None:
        """Do as the kubelet does: write a new version, rename the link, remove the old version."""
        old = self._current()
        version = self._path / f"..{time.strftime('%Y_%m_%d_%H_%M_%S')}.{time.time_ns() % 1_000_000_000:09d}"
        version.mkdir(mode=0o700)
        for name, content in files.items():
            _write_private(version / name, content)
        link = self._path / _NEXT_LINK
        link.unlink(missing_ok=True)
        link.symlink_to(version.name)
        link.replace(self._path / _LINK)
        self._show(files)
        if old is not None:
            shutil.rmtree(old, ignore_errors=True)

    def _show(self, files: Mapping[str, bytes]) -> None:
        """Create the links to the files, and remove those without a target."""
        for name in files:
            if not (self._path / name).is_symlink():
                (self._path / name).symlink_to(Path(_LINK) / name)
        for each in self._path.iterdir():
            if each.is_symlink() and is_made_here(each) and not each.exists():
                each.unlink(missing_ok=True)


def _write_private(path: Path, content: bytes) -> None:
    path.touch(mode=0o600, exist_ok=False)
    path.write_bytes(content)
