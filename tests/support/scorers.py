"""A scorer for tests, which answers as a test says, and what a gateway needs to ask it.

async with scorer() as served:
    served.answer = lambda request: {"verdict": "Flag"}
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from web_application import serving_application

#: Tests serve on loopback, which the default forbids.
LOOPBACK = ("127.0.0.0/8",)


class ScorerOfTests:
    """What was asked, and what is answered."""

    def __init__(self) -> None:
        self.answer: Callable[[Any], Any] = lambda _: {"verdict": "Pass"}
        self.asked: list[Any] = []
        self.url = ""

    @property
    def texts(self) -> list[str]:
        """All texts that it was asked about."""
        return [each["text"] for asked in self.asked for each in asked["texts"]]

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Keep what is asked, and answer it."""
        asked = await request.json()
        self.asked.append(asked)
        made = self.answer(asked)
        if asyncio.iscoroutine(made):
            made = await made
        return made if isinstance(made, web.StreamResponse) else web.json_response(made)


@asynccontextmanager
async def scorer() -> AsyncIterator[ScorerOfTests]:
    """Serve until the block ends."""
    served = ScorerOfTests()
    application = web.Application()
    application.router.add_post("/score", served.serve)
    async with serving_application(application) as url:
        served.url = f"{url}/score"
        yield served
