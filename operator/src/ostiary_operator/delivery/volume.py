"""A directory with the semantics of a projected volume: all its files change in one step.

    ..2026_11_21_08_00_00.000000001/    one version: the files
    ..data -> ..2026_11_21_…            renamed into place: the one atomic step
    manifest.json -> ..data/manifest.json

Only its owner may read it: directories have mode 0700, files 0600.
"""

import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_LINK: Final = "..data"
_NEXT_LINK: Final = "..data_tmp"


class Volume:
    """One such directory, made where it is not there. Only one may write at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def files(self) -> dict[str, bytes]:
        """Return what lies there.

        Raises:
            OSError: it cannot be read.
        """
        root = self._path / _LINK
        if not root.is_dir():
            return {}
        return {each.name: each.read_bytes() for each in root.iterdir() if each.is_file()}

    def write(self, files: Mapping[str, bytes]) -> None:
        """Let exactly these files lie there, unless they do.

        Raises:
            OSError: it cannot be written; what was there still is.
        """
        if files != self.files():
            self._swap(files)

    def _swap(self, files: Mapping[str, bytes]) -> None:
        """Do as the kubelet does: write a new version beside the old, rename the link, then tidy up."""
        old = self._path / (self._path / _LINK).readlink() if (self._path / _LINK).is_symlink() else None
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
            if each.is_symlink() and not each.exists():
                each.unlink(missing_ok=True)


def _write_private(path: Path, content: bytes) -> None:
    path.touch(mode=0o600, exist_ok=False)
    path.write_bytes(content)
