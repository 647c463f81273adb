"""Limit: the bounds of one gateway process, from its settings. At a bound the caller gets a clear refusal and nobody
else notices. Counted in plain integers: everything happens in one event loop.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from ostiary_core.contract.documents import Bounds
from ostiary_core.mcp import codes
from ostiary_gateway.errors import Refusal

_RETRY_AFTER_MS = 1000


@dataclass(slots=True)
class Occupancy:
    """What is in flight now: requests that await an answer, and streams that stay open."""

    requests: int = 0
    streams: int = 0
    _freed: asyncio.Event = field(default_factory=asyncio.Event)

    async def empty(self) -> None:
        """Wait until nothing is in flight."""
        while self.requests or self.streams:
            self._freed.clear()
            await self._freed.wait()

    @contextmanager
    def request(self, bounds: Bounds) -> Iterator[None]:
        """Count a request for as long as it lasts.

        Raises:
            Refusal: the bound is reached.
        """
        if self.requests >= bounds.requests_in_flight:
            raise _full("requests in flight")
        self.requests += 1
        try:
            yield
        finally:
            self.requests -= 1
            self._freed.set()

    @contextmanager
    def stream(self, bounds: Bounds) -> Iterator[None]:
        """Count a stream (GET, or a listen) for as long as it is open.

        Raises:
            Refusal: the bound is reached.
        """
        if self.streams >= bounds.streams:
            raise _full("open streams")
        self.streams += 1
        try:
            yield
        finally:
            self.streams -= 1
            self._freed.set()


def _full(what: str) -> Refusal:
    return Refusal(
        503,
        "GatewayFull",
        f"This gateway has as many {what} as it is allowed; try again in a moment",
        code=codes.LIMITED,
        data={"retryAfterMs": _RETRY_AFTER_MS},
        headers={"Retry-After": str(_RETRY_AFTER_MS // 1000)},
    )
