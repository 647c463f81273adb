"""An application of aiohttp on a free port of loopback.

async with serving_application(app) as origin:
    await client.get(f"{origin}/mcp")
"""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web


@asynccontextmanager
async def serving_application(app: web.Application, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Serve it until the block ends, over https with ``tls``; give its origin."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        yield f"{'http' if tls is None else 'https'}://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
