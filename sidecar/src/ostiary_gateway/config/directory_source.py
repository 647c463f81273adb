"""Config and keys from two directories with the semantics of a projected volume.

The kubelet writes a new hidden directory and renames the link ``..data`` onto it, so the link's target is the version.
Comparing it costs one system call and works where inotify is exhausted, and reading everything below one target is one
atomic read. A directory without the link (a plain folder) is compared by the times and sizes of its files.

These are two volumes because ConfigMaps and the Secret must not share a directory: anyone who may write a ConfigMap
chooses the file names in it.
"""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ostiary_core.contract.bundle import is_of_a_config
from ostiary_core.contract.key_names import is_key
from ostiary_gateway.config.keyring import Keyring
from ostiary_gateway.config.store import ConfigStore
from ostiary_gateway.errors import ConfigUnavailable
from ostiary_gateway.threads import in_background

_log = logging.getLogger(__name__)

_LINK: Final = "..data"
_READ_TRIES: Final = 5
#: No file of a config is larger. A larger file is a mistake, and is not read into memory.
_MAX_FILE_BYTES: Final = 2 * 1024 * 1024


def version(directory: Path) -> str:
    """Return a value that changes with the directory's content.

    It is empty where there is nothing to read now.
    """
    try:
        link = directory / _LINK
        if link.is_symlink():
            return str(link.readlink())
        stats = sorted((path.name, path.stat().st_mtime_ns, path.stat().st_size) for path in directory.iterdir())
    except OSError:
        return ""
    return repr(stats) if stats else ""


def read(directory: Path, *, wanted: Callable[[str], bool] = lambda _: True) -> dict[str, bytes]:
    """Read the files of one version.

    Files whose names are not wanted are returned empty, without being read.

    Raises:
        ConfigUnavailable: the directory does not exist, cannot be read, or changed at every try.
    """
    for _ in range(_READ_TRIES):
        before = version(directory)
        try:
            root = (directory / _LINK).resolve(strict=True) if (directory / _LINK).is_symlink() else directory
            files = {
                path.name: path.read_bytes() if wanted(path.name) else b"" for path in root.iterdir() if _is_ours(path)
            }
        except FileNotFoundError:
            continue  # the version was replaced and removed while it was read
        except OSError as error:
            raise ConfigUnavailable(f"{directory}: {error.strerror}") from error
        # A file that was removed meanwhile is not missed above: only the version shows that files are of two versions.
        if version(directory) == before:
            return files
    raise ConfigUnavailable(f"{directory}: not there, or it changed at every try to read it")


def _is_ours(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".") and path.stat().st_size <= _MAX_FILE_BYTES


class DirectorySource:
    """Offers the content of a config directory and of ``keys`` whenever either changes.

    ``keys`` need not exist: until it does, there are no keys. ``period`` is in seconds.
    """

    def __init__(self, directory: Path, store: ConfigStore, *, keys: Path, period: float = 0.2) -> None:
        self._directory = directory
        self._keys = keys
        self._store = store
        self._period = period
        self._seen = ("", "")
        self._warned = ""

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            await self.poll()
            await asyncio.sleep(self._period)

    async def poll(self) -> None:
        """Compare both versions, and offer the files if one changed."""
        now = version(self._directory), version(self._keys)
        if not any(now) or now == self._seen:
            return
        try:
            keys = await in_background(_read_if_there, self._keys, is_key)
            files = await in_background(_read_if_there, self._directory, is_of_a_config)
        except ConfigUnavailable as error:
            if str(error) != self._warned:  # otherwise the log would repeat it five times a second
                _log.warning("config directory: %s", error)
            self._warned = str(error)
            return
        if version(self._keys) != now[1]:
            return  # the config may be signed with a key that was written after the keys were read: read both again
        self._seen, self._warned = now, ""
        await self._store.offer("directory", files, Keyring.from_secret(keys))


def _read_if_there(directory: Path, wanted: Callable[[str], bool]) -> dict[str, bytes]:
    """Read a directory; return nothing where it has no content yet.

    Raises:
        ConfigUnavailable: it cannot be read.
    """
    return read(directory, wanted=wanted) if version(directory) else {}
