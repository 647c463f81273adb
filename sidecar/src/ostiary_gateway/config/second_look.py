"""A second look at what was refused for the clock: no source brings it again once the clock is right."""

import asyncio

from ostiary_gateway.config.store import ConfigStore


class SecondLook:
    """Lets the store judge again what it refused for the clock. ``period`` is in seconds."""

    def __init__(self, store: ConfigStore, *, period: float = 5.0) -> None:
        self._store = store
        self._period = period

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(self._period)
            await self._store.reconsider()
