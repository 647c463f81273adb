"""Detects changed files by polling.

It works on every file system, and with editors that save by renaming.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import TypeAlias

from ostiary_operator.local import files

#: For each file what a change alters: path, inode, size, time of modification.
FileStamps: TypeAlias = tuple[tuple[str, int, int, int], ...]


def file_stamps(paths: Iterable[Path]) -> FileStamps:
    """Return the stamps of the files that paths name, without reading them."""
    return tuple(_stamp(file) for path in paths for file in _files(path))


def _files(path: Path) -> list[Path]:
    try:
        return files.find([path])
    except files.PathError:
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
    """Yield whenever the stamps that ``take`` returns differ from the last ones.

    ``seen`` are the first stamps.

    A change is yielded once the stamps were stable for a ``period`` in seconds: an editor may remove, write and rename
    a file to save it.
    """
    last = seen
    while True:
        await asyncio.sleep(period)
        now = await asyncio.to_thread(take)
        if now == last and now != seen:
            seen = now
            yield now
        last = now
