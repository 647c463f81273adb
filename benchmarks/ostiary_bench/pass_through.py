"""A minimal pass-through proxy of aiohttp's server and client.

It shows the cost of a gateway without any function.
"""

import asyncio
import sys

import aiohttp
from aiohttp import web


async def serve(request: web.BaseRequest) -> web.Response:
    """Forward one request, and return its response."""
    body = await request.read()
    headers = {"Content-Type": "application/json", "Accept": request.headers.get("Accept", "*/*")}
    async with _session().post(sys.argv[2] + request.path, data=body, headers=headers) as answer:
        text = await answer.read()
        return web.Response(body=text, status=answer.status, headers={"Content-Type": answer.headers["Content-Type"]})


_SESSIONS: list[aiohttp.ClientSession] = []


def _session() -> aiohttp.ClientSession:
    if not _SESSIONS:
        _SESSIONS.append(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
    return _SESSIONS[0]


async def main() -> None:
    """Listen until the process is ended."""
    server = web.Server(serve, access_log=None)
    runner = web.ServerRunner(server)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(sys.argv[1]), backlog=1024).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
