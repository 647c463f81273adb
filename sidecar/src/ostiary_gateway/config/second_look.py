"""Re-check configs that were rejected because of the clock.

No source offers them again once the clock is right.
"""

import asyncio

from ostiary_gateway.config.store import ConfigStore


class RejectionRecheck:
    """Makes the store re-check rejected configs periodically. ``period`` is in seconds."""

    def __init__(self, store: ConfigStore, *, period: float = 5.0) -> None:
        self._store = store
        self._period = period

    async def run(self) -> None:
        """Re-check until cancelled."""
        while True:
            await asyncio.sleep(self._period)
            await self._store.recheck()
