"""The texts of keys in shared memory.

So a report can name what only workers counted that have ended.

They lie in a ring: the oldest texts make room for new ones. A table stores digests of keys, so a text that is not that
of a key any more, or that a worker was writing when it died, is known by its digest and told to no reader.
"""

import mmap
import struct
from typing import Final

_PLACE: Final = struct.Struct("=I")
_LENGTH: Final = struct.Struct("=H")
#: Bytes of the longest text that is kept.
MOST_BYTES: Final = 4096


class KeyNames:
    """The ring: ``size`` bytes of a shared map, from ``start``."""

    def __init__(self, memory: mmap.mmap, start: int, size: int) -> None:
        self._memory = memory
        self._start = start
        self._end = start + size

    def add(self, key: str) -> int:
        """Write a key, and return its place; 0 for one that is too long.

        The lock of the table must be held.
        """
        text = key.encode("utf-8", "surrogatepass")
        if len(text) > MOST_BYTES:
            return 0
        memory, first = self._memory, self._start + _PLACE.size
        place: int = max(first, min(self._end, self._start + _PLACE.unpack_from(memory, self._start)[0]))
        if place + _LENGTH.size + len(text) > self._end:
            place = first
        end = place + _LENGTH.size + len(text)
        _PLACE.pack_into(memory, self._start, end - self._start)
        _LENGTH.pack_into(memory, place, len(text))
        memory[place + _LENGTH.size : end] = text
        return place - self._start

    def at(self, place: int) -> str:
        """Return what lies at a place: any text, or none.

        Its digest says whether it is the one that is looked for.
        """
        start = self._start + place
        if not _PLACE.size <= place <= self._end - self._start - _LENGTH.size:
            return ""
        first = start + _LENGTH.size
        end = first + _LENGTH.unpack_from(self._memory, start)[0]
        return self._memory[first : min(end, self._end)].decode("utf-8", "replace")
