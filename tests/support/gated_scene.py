"""A server whose calls wait while a gate is closed, for tests that need requests in flight."""

import asyncio

from aiohttp import web
from upstreams import Arrived, answer, document

RESULT = {"content": [{"type": "text", "text": "done"}]}


class GatedScene:
    """Answers each request with :data:`RESULT`, once the gate is open."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()

    async def script(self, _: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        """Answer one request."""
        await self.gate.wait()
        return document(answer(arrived, RESULT))
