"""The memory that the workers of one pod share.

The supervisor makes it, and each worker inherits it. It has no name in any file system, and is gone with the last
process that has it.
"""

import os
from collections.abc import Mapping
from typing import Final

from ostiary_gateway.pod_state.cell_table import CellTable, TableLayout

#: The names of the tables among what workers inherit.
LIMITS: Final = "limits"
BOUNDS: Final = "bounds"
#: A file to lock while standard output is written.
STDOUT: Final = "stdout"
#: Counters of policies' limits: two or three times as many slots as there may be keys, 18 MiB if all are used; and as
#: much for the names of keys: as many as may have a counter, at 160 bytes each.
LIMIT_LAYOUT: Final = TableLayout(slots=1 << 18, cell=48, column=4, names=16 << 20)
#: What each worker was granted of the bounds of each source, principal and proxy: a number for each bound.
BOUND_LAYOUT: Final = TableLayout(slots=1 << 16, cell=0, column=32)
_LAYOUTS: Final = {LIMITS: LIMIT_LAYOUT, BOUNDS: BOUND_LAYOUT}


def create_shared_state(*, workers: int) -> dict[str, int]:
    """Return new descriptors by name, for :meth:`.CellTable.__init__` in each worker.

    They are closed on exec, unless the caller passes them on by number.

    Raises:
        OSError: there is no memory, or the system cannot share any.
    """
    found = {}
    for name, layout in _LAYOUTS.items():
        found[name] = file = os.memfd_create(f"ostiary-{name}")
        CellTable.create(file, layout, workers=workers)
    found[STDOUT] = os.memfd_create(f"ostiary-{STDOUT}")
    return found


def attach(shared: Mapping[str, int], name: str, *, workers: int) -> CellTable:
    """Return a table that the supervisor has created."""
    return CellTable(shared[name], _LAYOUTS[name], workers=workers)


def worker_ended(shared: Mapping[str, int], *, index: int, workers: int) -> None:
    """Free what a worker held that has ended.

    Those are its requests in flight, connections, streams and bytes. Call it before another worker with this index
    starts.
    """
    for name in _LAYOUTS:
        if name in shared:  # before the first start there is none
            attach(shared, name, workers=workers).empty_column(index)
