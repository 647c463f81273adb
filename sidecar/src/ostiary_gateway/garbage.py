"""Garbage collection while no request is served, so that none is needed in a burst.

Requests free what they make: their objects are in trees, and reference counts free those. What is left for the
collector comes from connections, tasks and errors, slowly. It runs by itself after many new objects (the threshold of
:func:`ostiary_gateway.process.tune_collector`, which bounds the memory under a load that never pauses). Before that,
the process collects in a pause.

A new config is many objects that live long. In the first pause after each swap everything is collected once, and what
is left is excluded from further collections: later ones have only new objects to look at. What building it has freed
goes back to the system then, where the C library can do that (glibc): the documents of 1,000 proxies are some MiB.
"""

import asyncio
import ctypes
import gc
from collections.abc import Callable
from typing import Final

from ostiary_gateway.config.snapshot import Snapshot

#: Seconds between two looks.
INTERVAL_SECONDS: Final = 0.5
#: New objects from which on it is worth to collect in a pause: a tenth of the threshold.
WORTH: Final = 2_000


class PauseCollector:
    """Collects in pauses.

    ``is_idle`` returns whether no request is served now, and none was a moment ago.
    """

    def __init__(self, is_idle: Callable[[], bool]) -> None:
        self._is_idle = is_idle
        self._has_new_config = True

    def on_swap(self, _snapshot: Snapshot, _changed: frozenset[str]) -> None:
        """Freeze the new config in the next pause."""
        self._has_new_config = True

    async def run(self) -> None:
        """Look for pauses for ever."""
        while True:
            await asyncio.sleep(INTERVAL_SECONDS)
            if self._is_idle():
                self.collect()

    def collect(self) -> None:
        """Collect what is worth it now."""
        if self._has_new_config:
            self._has_new_config = False
            gc.unfreeze()  # what is frozen is never collected: look at what earlier configs have left
            gc.collect()
            gc.freeze()
            return_free_memory()
        elif gc.get_count()[0] >= WORTH:
            gc.collect(1)


def return_free_memory() -> None:
    """Return free memory to the system.

    It takes about a millisecond for each MiB; in a pause no request waits.
    """
    trim = getattr(_C_LIBRARY, "malloc_trim", None)  # glibc has it, musl and others have not
    if trim is not None:
        trim(0)


#: The functions of this process.
_C_LIBRARY: Final = ctypes.CDLL(None)
