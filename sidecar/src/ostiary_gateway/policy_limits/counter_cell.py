"""The bytes of counters in the table that the workers of a pod share."""

import struct
from collections.abc import Iterator, Mapping
from typing import Final

from ostiary_core.limits.charge import limit_of
from ostiary_core.limits.compiled_limit import CompiledLimit
from ostiary_gateway.pod_state.cell_table import CellTable
from ostiary_gateway.policy_limits.key_counter import KeyCounter
from ostiary_gateway.policy_limits.key_counters import new_counter

#: A cell: its state, until when that counts, and whose it is: a part of the key's digest, and the kind of its counter.
CELL: Final = struct.Struct("=ddddQ")
read_cell: Final = CELL.unpack_from
write_cell: Final = CELL.pack_into
write_state: Final = struct.Struct("=dddd").pack_into
#: After that, where the key's name is.
_NAME: Final = struct.Struct("=I")
_KIND: Final = 0xFF
_IN_FLIGHT: Final = struct.Struct("=I")


class CounterCell:
    """Where a key lies, and the counter that its state is read into."""

    __slots__ = ("at", "counter", "digest", "in_flight", "is_read", "key", "owner", "slot")

    def __init__(self, key: str, slot: int, digest: bytes, counter: KeyCounter, table: CellTable) -> None:
        self.key = key
        self.slot = slot
        self.digest = digest
        self.counter = counter
        #: Where its state is, and what stands there as long as the slot is that of this key and kind of counter.
        self.at = table.cell(slot)
        self.owner = owner_of(digest, counter)
        #: The requests in flight of all workers when it was read.
        self.in_flight = 0
        #: Whether it holds what the table does, in the operation of now.
        self.is_read = False


def restore(table: CellTable, slot: int, counter: KeyCounter) -> None:
    """Have a counter go on from the state of a slot."""
    used, start, end, _, owner = read_cell(table.memory, table.cell(slot))
    if owner & _KIND != counter.kind:  # of an earlier or later version of the limit
        used = start = end = 0.0
    counter.restore(used, start, end)


def in_flight(table: CellTable, slot: int) -> int:
    """Return the requests in flight of all workers."""
    places = (table.column(slot, worker) for worker in range(table.workers))
    return sum(_IN_FLIGHT.unpack_from(table.memory, place)[0] for place in places)


def add_in_flight(table: CellTable, slot: int, *, worker: int, change: int) -> None:
    """Count more or fewer requests in flight of a worker."""
    place = table.column(slot, worker)
    own = _IN_FLIGHT.unpack_from(table.memory, place)[0] + change
    _IN_FLIGHT.pack_into(table.memory, place, max(0, own))


def name_of(table: CellTable, slot: int) -> str:
    """Return the name of a slot's key, as a worker wrote it; any text where it was overwritten."""
    return table.names.at(_NAME.unpack_from(table.memory, table.cell(slot) + CELL.size)[0])


def write_name(table: CellTable, cell: CounterCell) -> None:
    """Write the name of a key. The lock of the table must be held."""
    _NAME.pack_into(table.memory, cell.at + CELL.size, table.names.add(cell.key))


def stored_counters(
    table: CellTable, *, known: Mapping[int, str], limits: Mapping[str, CompiledLimit], after: str
) -> Iterator[tuple[str, KeyCounter]]:
    """Yield copies of the counters of these limits in a table, by their keys.

    ``known`` are keys by their slots, as this process knows them. The lock is not needed.
    """
    for slot, digest in table.used():
        key = known.get(slot) or name_of(table, slot)
        limit = limits.get(limit_of(key))
        if limit is not None and key > after and table.digest(key) == digest:
            copy = new_counter(limit)
            restore(table, slot, copy)
            copy.in_flight = in_flight(table, slot)
            yield key, copy


def owner_of(digest: bytes, counter: KeyCounter) -> int:
    """Return what a cell holds as long as it is of a key, and of a kind of counter."""
    return int.from_bytes(digest[:7], "big") << 8 | counter.kind
