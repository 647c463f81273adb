"""Finds the YAML files of a command line, reads their text, and detects changes."""

import asyncio
import difflib
import os
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, TypeAlias

from ostiary_core.errors import OstiaryError

_SUFFIXES: Final = (".yaml", ".yml")
_MAX_BYTES: Final = 8 * 1024 * 1024
#: For each file what a change alters: path, inode, size, time of modification.
FileStamps: TypeAlias = tuple[tuple[str, int, int, int], ...]


class PathError(OstiaryError):
    """A path on the command line cannot be used; the message names path and remedy."""


class TextError(OstiaryError):
    """The content of a file is too large or not UTF-8.

    ``message`` and ``remedy`` are for its author.
    """

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(f"{message}; {remedy}")
        self.message = message
        self.remedy = remedy


def find(paths: Iterable[Path]) -> list[Path]:
    """Return the files that paths name, in order.

    These are files themselves, and the YAML files below folders.

    Raises:
        PathError: a path does not exist, or a folder holds no YAML file.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            below = sorted(_below(path))
            if not below:
                raise PathError(f"{path}: there is no YAML file in this folder (*.yaml or *.yml)")
            found.update(dict.fromkeys(below))
        elif path.exists():
            found[path] = None
        else:
            raise PathError(f"{path}: there is no such file or folder{_meant(path)}")
    return list(found)


def _meant(path: Path) -> str:
    """Return a hint at a path in the same folder with a similar name, or nothing."""
    try:
        siblings = [each.name for each in path.parent.iterdir() if each.is_dir() or each.name.endswith(_SUFFIXES)]
    except OSError:
        return ""
    close = difflib.get_close_matches(path.name, siblings, n=1)
    return f"; did you mean {path.with_name(close[0])}?" if close else ""


def _below(folder: Path) -> Iterator[Path]:
    """Yield the YAML files below a folder, without hidden ones (of editors and git)."""
    for root, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if name.endswith(_SUFFIXES) and not name.startswith("."):
                yield Path(root, name)


def read(path: Path) -> str:
    """Return the text of a file.

    Raises:
        PathError: it cannot be read.
        TextError: it is too large, or not UTF-8.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise PathError(f"{path}: it cannot be read: {error.strerror or error}") from None
    return decoded(content)


def decoded(content: bytes) -> str:
    """Return bytes as text.

    Raises:
        TextError: there are too many bytes, or they are not UTF-8.
    """
    if len(content) > _MAX_BYTES:
        raise TextError(f"is larger than {_MAX_BYTES // 1024 // 1024} MiB", "split it")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise TextError("is not UTF-8 text", "save it as UTF-8") from None


def file_stamps(paths: Iterable[Path]) -> FileStamps:
    """Return the stamps of the files that paths name, without reading them."""
    return tuple(_stamp(file) for path in paths for file in _files(path))


def _files(path: Path) -> list[Path]:
    try:
        return find([path])
    except PathError:
        return []


def _stamp(file: Path) -> tuple[str, int, int, int]:
    try:
        found = file.stat()
    except OSError:
        return str(file), 0, 0, 0
    return str(file), found.st_ino, found.st_size, found.st_mtime_ns


async def changes(
    take: Callable[[], FileStamps], seen: FileStamps, *, period: float = 0.1
) -> AsyncIterator[FileStamps]:
    """Poll, and yield whenever the stamps that ``take`` returns change.

    The first are compared with ``seen``. Polling works on every file system. A change is yielded once the
    stamps were stable for a ``period`` in seconds: an editor may remove, write and rename a file to save it.
    """
    last = seen
    while True:
        await asyncio.sleep(period)
        now = await asyncio.to_thread(take)
        if now == last and now != seen:
            seen = now
            yield now
        last = now
