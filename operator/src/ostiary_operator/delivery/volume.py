"""A directory with the semantics of a projected volume: all its files change in one step.

    ..2026_11_21_08_00_00.000000001/    one version: the files
    ..data -> ..2026_11_21_…            renamed into place: the one atomic step
    manifest.json -> ..data/manifest.json

Only its owner may read it: directories have mode 0700, files 0600. Links that were not made here are not followed, and
what they lead to is neither read nor removed.
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
#: What the names of versions begin with, and nothing else.
_HIDDEN: Final = ".."


def is_made_here(path: Path) -> bool:
    """Say whether something in such a directory is of it: a version, the link to it, or a link to a file of it."""
    if path.name.startswith(_HIDDEN):
        return True
    return path.is_symlink() and path.readlink() == Path(_LINK) / path.name


class Volume:
    """One such directory, made where it is not there. Only who holds it (:meth:`held`) may write."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the directory against other processes, and wait for it where another holds it.

        Raises:
            OSError: it cannot be written.
        """
        lock = os.open(self._path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def files(self) -> dict[str, bytes]:
        """Return what lies there.

        Raises:
            OSError: it cannot be read.
        """
        root = self._current()
        if root is None:
            return {}
        return {each.name: each.read_bytes() for each in root.iterdir() if each.is_file()}

    def write(self, files: Mapping[str, bytes]) -> None:
        """Let exactly these files lie there, unless they do.

        Raises:
            OSError: it cannot be written; what was there still is.
        """
        if files != self.files():
            self._swap(files)

    def _current(self) -> Path | None:
        """Return the version in force. A link that leads to something else is as good as none."""
        link = self._path / _LINK
        name = os.fspath(link.readlink()) if link.is_symlink() else ""
        version = self._path / name
        is_version = name.startswith(_HIDDEN) and "/" not in name and name not in {_HIDDEN, _LINK, _NEXT_LINK}
        return version if is_version and version.is_dir() and not version.is_symlink() else None

    def _swap(self, files: Mapping[str, bytes]) -> None:
        """Do as the kubelet does: write a new version beside the old, rename the link, then tidy up."""
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
        """Make the visible links, and remove those that lead nowhere now."""
        for name in files:
            if not (self._path / name).is_symlink():
                (self._path / name).symlink_to(Path(_LINK) / name)
        for each in self._path.iterdir():
            if each.is_symlink() and is_made_here(each) and not each.exists():
                each.unlink(missing_ok=True)


def _write_private(path: Path, content: bytes) -> None:
    path.touch(mode=0o600, exist_ok=False)
    path.write_bytes(content)
