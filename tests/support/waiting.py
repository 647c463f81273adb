"""Waits without end."""

import asyncio
from typing import Final

#: Without a reference from outside, an event, its waiting task and the connection of that task refer only to each
#: other: the garbage collector may end them while a test waits for them.
_KEPT: Final[set[asyncio.Event]] = set()


async def for_ever() -> None:
    """Wait until cancelled."""
    event = asyncio.Event()
    _KEPT.add(event)
    try:
        await event.wait()
    finally:
        _KEPT.discard(event)
