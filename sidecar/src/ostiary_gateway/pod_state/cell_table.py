"""A hash table in shared memory.

It has what all workers know of a key, and what each worker adds for itself. A *cell* is changed by the worker that
holds the table's lock. A *column* is written by its worker alone, so it needs no lock, and is emptied when the worker
ends. Keys are stored as keyed digests: callers choose keys, and must not choose places. The memory is of fixed size,
and pages that are not used are not allocated.
"""

import hashlib
import mmap
import os
import struct
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from ostiary_gateway.pod_state.key_names import KeyNames
from ostiary_gateway.pod_state.robust_lock import LOCK_BYTES, RobustLock

HASH_BYTES: Final = 16
#: Where a key may lie: so many slots from the place that its digest names. Others never fill them all.
WINDOW: Final = 256
_EMPTY: Final = bytes(HASH_BYTES)
_DIGEST: Final = struct.Struct(f"={HASH_BYTES}s")
#: After the lock: the secret of the digests, the number of keys, and where the next sweep begins.
_HEADER: Final = struct.Struct("=32sII")
_KEYS_AT: Final = LOCK_BYTES + 32
_COUNTS: Final = struct.Struct("=II")
_FIRST: Final = mmap.PAGESIZE


class TableLayout(NamedTuple):
    """The sizes of a table.

    ``slots`` for keys, bytes of a ``cell``, and of each worker's ``column`` in each slot; bytes for the ``names`` of
    keys, if any.
    """

    slots: int
    cell: int
    column: int
    names: int = 0

    def size(self, workers: int) -> int:
        """Return the bytes of the whole table."""
        return self.columns_at(workers) + self.names

    @property
    def cells_at(self) -> int:
        """Where cells begin."""
        return _FIRST + self.slots * HASH_BYTES

    def columns_at(self, worker: int) -> int:
        """Return where the column of a worker begins."""
        return self.cells_at + self.slots * (self.cell + worker * self.column)


class CellTable:
    """The table, as one process uses it.

    ``file`` is the descriptor of its memory, which another process has created by :meth:`create`.
    """

    def __init__(self, file: int, layout: TableLayout, *, workers: int) -> None:
        self.layout = layout
        self.workers = workers
        self.memory = mmap.mmap(file, layout.size(workers))
        self.lock = RobustLock(self.memory)
        self.names = KeyNames(self.memory, layout.columns_at(workers), layout.names)
        self._secret = _HEADER.unpack_from(self.memory, LOCK_BYTES)[0]

    @staticmethod
    def create(file: int, layout: TableLayout, *, workers: int) -> None:
        """Write an empty table to a file.

        Raises:
            OSError: there is no memory for it.
        """
        os.ftruncate(file, layout.size(workers))
        with mmap.mmap(file, _FIRST) as memory:
            _HEADER.pack_into(memory, LOCK_BYTES, os.urandom(32), 0, 0)
        memory = mmap.mmap(file, _FIRST)  # a map with a lock in it cannot be closed
        RobustLock.create(memory)

    def digest(self, key: str) -> bytes:
        """Return what a key is stored as."""
        return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=HASH_BYTES, key=self._secret).digest()

    @property
    def keys(self) -> int:
        """The number of keys."""
        found: int = _COUNTS.unpack_from(self.memory, _KEYS_AT)[0]
        return found

    def named(self, slot: int) -> slice:
        """Return where in the memory the digest of a slot's key is."""
        start = _FIRST + slot * HASH_BYTES
        return slice(start, start + HASH_BYTES)

    def holds(self, slot: int, digest: bytes) -> bool:
        """Return whether a slot is still that of a key."""
        return self.memory[self.named(slot)] == digest

    def find(self, digest: bytes) -> int | None:
        """Return the slot of a key; None where it has none."""
        return self._search(digest, digest)

    def place(self, digest: bytes, *, is_over: Callable[[int], bool]) -> int | None:
        """Give a key that has none a slot, and return it; None where all are taken.

        ``is_over`` says of a slot that what it holds counts no more. The lock must be held. Its cell is empty.
        """
        slot = self._search(digest, _EMPTY)
        if slot is None:
            first = self._first(digest)
            slot = next((each for each in range(first, first + WINDOW) if is_over(each)), None)
            if slot is None:
                return None
            self.remove(slot)
        self._write(slot, digest)
        self._count(1)
        return slot

    def remove(self, slot: int) -> None:
        """Make a slot free, and empty its cell. The lock must be held."""
        self.memory[self.cell(slot) : self.cell(slot + 1)] = bytes(self.layout.cell)
        self._write(slot, _EMPTY)
        self._count(-1)

    def swept(self, count: int) -> Iterator[int]:
        """Yield the next few slots in turn that hold a key. The lock must be held."""
        keys, start = _COUNTS.unpack_from(self.memory, _KEYS_AT)
        _COUNTS.pack_into(self.memory, _KEYS_AT, keys, (start + count) % self.layout.slots)
        for each in range(start, start + count):
            slot = each % self.layout.slots
            if not self.holds(slot, _EMPTY):
                yield slot

    def used(self) -> Iterator[tuple[int, bytes]]:
        """Yield the slots that hold a key, with its digest, at this time.

        The lock is not needed.
        """
        stored = self.memory[_FIRST : self.layout.cells_at]
        for slot, (digest,) in enumerate(_DIGEST.iter_unpack(stored)):
            if digest != _EMPTY:
                yield slot, digest

    def cell(self, slot: int) -> int:
        """Return where the cell of a slot is."""
        return self.layout.cells_at + slot * self.layout.cell

    def column(self, slot: int, worker: int) -> int:
        """Return where what a worker adds to a slot is."""
        return self.layout.columns_at(worker) + slot * self.layout.column

    def empty_column(self, worker: int) -> None:
        """Forget what a worker that has ended added."""
        start, end = self.layout.columns_at(worker), self.layout.columns_at(worker + 1)
        self.memory[start:end] = bytes(end - start)

    def _first(self, digest: bytes) -> int:
        return int.from_bytes(digest[:8], "big") % (self.layout.slots - WINDOW + 1)

    def _search(self, digest: bytes, wanted: bytes) -> int | None:
        """Return the first slot in the window of a digest that holds the wanted one."""
        first = self._first(digest)
        start = _FIRST + first * HASH_BYTES
        window = self.memory[start : start + WINDOW * HASH_BYTES]
        at = window.find(wanted)
        while at >= 0 and at % HASH_BYTES:
            at = window.find(wanted, at + 1)
        return first + at // HASH_BYTES if at >= 0 else None

    def _write(self, slot: int, digest: bytes) -> None:
        self.memory[self.named(slot)] = digest

    def _count(self, change: int) -> None:
        keys, start = _COUNTS.unpack_from(self.memory, _KEYS_AT)
        _COUNTS.pack_into(self.memory, _KEYS_AT, max(0, keys + change), start)
