"""One replica of a server on the official Python SDK, as a process: its sessions are in its memory only.

    python counting_server.py NAME PORT [--era legacy|modern|both]

After SIGTERM it accepts no connection, answers what it has, ends its streams and exits. So it answers calls with
documents: the SDK's library for event streams breaks them off at SIGTERM, whatever they still had to say. Every result
names the replica, and says how often its tool was called in this session there.
"""

import argparse
import asyncio
from collections import Counter
from pathlib import Path
from typing import Annotated

import uvicorn
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.resolve import Elicit, Resolve
from pydantic import BaseModel

from ostiary_operator.demo.mock_server.one_era import pinned
from ostiary_operator.demo.served_eras import ServedEras

_GRACE_SECONDS = 20


class Name(BaseModel):
    """What the user is asked for."""

    name: str


async def _ask_name() -> Elicit[Name]:
    return Elicit("What is your name?", Name)


def build(name: str) -> MCPServer:
    """The server of one replica."""
    server = MCPServer("counting", version="1", log_level="CRITICAL")
    calls: Counter[str] = Counter()

    @server.tool()
    async def count(ctx: Context, seconds: float = 0.0) -> str:
        """Say who answers, and how often it was called in this session there."""
        request = ctx.request_context.request
        session = request.headers.get("mcp-session-id", "") if request is not None else ""
        calls[session] += 1
        await asyncio.sleep(seconds)
        return f"{name} {calls[session]}"

    @server.tool()
    async def hold(path: str) -> str:
        """Make a file, and answer once it is gone."""
        await asyncio.to_thread(Path(path).touch)
        while await asyncio.to_thread(Path(path).exists):  # noqa: ASYNC110  another process removes it
            await asyncio.sleep(0.01)
        return name

    @server.tool()
    async def greet(name: Annotated[Name, Resolve(_ask_name)]) -> str:
        """Ask the user."""
        return f"Hello {name.name}"

    @server.tool()
    async def announce(ctx: Context) -> str:
        """Say on the session's stream that the list of tools has changed."""
        await ctx.notify_tools_changed()
        await ctx.session.send_tool_list_changed()
        return name

    @server.resource("counting://replica")
    def replica() -> str:
        """Which replica this is."""
        return name

    return server


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("port", type=int)
    parser.add_argument("--era", type=ServedEras, default=ServedEras.BOTH)
    options = parser.parse_args()
    app = pinned(build(options.name).streamable_http_app(json_response=True), options.era)
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=options.port,
        log_level="critical",
        timeout_graceful_shutdown=_GRACE_SECONDS,
        backlog=1024,
    )


if __name__ == "__main__":
    main()
