"""A server of the official Python SDK in the test's own loop, with tools that ask the client back.

At the older revisions they ask on the open call; at 2026-07-28 their answer says what they need (MRTR).

async with asking_server() as url: …
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import uvicorn
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.resolve import Elicit, ListRoots, Resolve, Sample
from mcp.server.streamable_http import EventCallback, EventId, EventMessage, EventStore, StreamId
from mcp.server.transport_security import TransportSecuritySettings
from mcp.types import CreateMessageResult, JSONRPCMessage, ListRootsResult, SamplingMessage, TextContent
from mcp_clients import eventually
from pydantic import BaseModel
from starlette.types import ASGIApp
from waiting import for_ever

from ostiary_operator.demo.mock_server.one_era import pinned
from ostiary_operator.demo.served_eras import ServedEras


class Name(BaseModel):
    """What the user is asked for."""

    name: str


async def _ask_name() -> Elicit[Name]:
    return Elicit("What is your name?", Name)


async def _ask_model() -> Sample:
    return Sample([SamplingMessage(role="user", content=TextContent(type="text", text="Say hello"))], max_tokens=10)


async def _ask_roots() -> ListRoots:
    return ListRoots()


class Events(EventStore):
    """What was sent, so that a stream can be resumed."""

    def __init__(self) -> None:
        self._sent: list[tuple[StreamId, JSONRPCMessage | None]] = []

    async def store_event(self, stream_id: StreamId, message: JSONRPCMessage | None) -> EventId:
        """Keep an event; its id is its place."""
        self._sent.append((stream_id, message))
        return str(len(self._sent))

    async def replay_events_after(self, last_event_id: EventId, send_callback: EventCallback) -> StreamId | None:
        """Send again what came after an event on its stream."""
        place = int(last_event_id)
        stream = self._sent[place - 1][0]
        for number, (of, message) in enumerate(self._sent[place:], start=place + 1):
            if of == stream and message is not None:
                await send_callback(EventMessage(message, str(number)))
        return stream


class Gates:
    """Events that tools of the server wait for and set."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.open = asyncio.Event()
        self.cancelled = asyncio.Event()


def build(gates: Gates) -> MCPServer:
    """The server: what each tool does is in its description."""
    server = MCPServer("asking", version="1")

    @server.tool()
    async def greet(name: Annotated[Name, Resolve(_ask_name)]) -> str:
        """Ask the user."""
        return f"Hello {name.name}"

    @server.tool()
    async def sample(answer: Annotated[CreateMessageResult, Resolve(_ask_model)]) -> str:
        """Ask the client's model."""
        content: Any = answer.content
        return f"The model says {content.text}"

    @server.tool()
    async def roots(found: Annotated[ListRootsResult, Resolve(_ask_roots)]) -> str:
        """Ask for the client's roots."""
        return " ".join(str(root.uri) for root in found.roots)

    @server.tool()
    async def gated(ctx: Context) -> str:
        """Say that it works, then wait for the gate."""
        await ctx.report_progress(1, 2, "working")
        gates.reached.set()
        try:
            await gates.open.wait()
        except asyncio.CancelledError:
            gates.cancelled.set()
            raise
        await ctx.report_progress(2, 2, "done")
        return "passed"

    @server.tool()
    async def drop_stream(ctx: Context) -> str:
        """Close the event stream of this call, so that its answer must be fetched by resumption."""
        await ctx.report_progress(1, 2, "before the drop")
        gates.reached.set()
        await ctx.close_sse_stream()
        await gates.open.wait()
        return "after the drop"

    @server.tool()
    async def grow(ctx: Context) -> str:
        """Add a tool and say that the list changed."""
        server.add_tool(lambda: "new", name="grown", description="Was not there before.")
        await ctx.notify_tools_changed()
        await ctx.session.send_tool_list_changed()
        return "grown"

    _add_meeting(server)
    return server


def _add_meeting(server: MCPServer) -> None:
    waiting: list[asyncio.Event] = []
    cancelled: list[str] = []

    @server.tool()
    async def meet(ctx: Context, size: int, n: int) -> str:
        """Wait until ``size`` calls have arrived, then report the progress n, and answer n."""
        waiting.append(mine := asyncio.Event())
        if len(waiting) == size:
            for each in waiting:
                each.set()
            waiting.clear()
        await mine.wait()
        await ctx.report_progress(n)
        return str(n)

    @server.tool()
    async def wait() -> str:
        """Hang until it is cancelled."""
        try:
            await for_ever()
        finally:
            cancelled.append("")
        return ""

    @server.tool(name="cancelled")
    async def count() -> str:
        """How many of the hanging calls were cancelled."""
        return str(len(cancelled))


@asynccontextmanager
async def asking_server(
    gates: Gates | None = None,
    *,
    json_response: bool = False,
    path: str = "/mcp",
    allowed_hosts: list[str] | None = None,
    eras: ServedEras = ServedEras.BOTH,
) -> AsyncIterator[str]:
    """Serve it on a free port of loopback; yields the URL of ``/mcp``, whatever ``path`` it really has.

    ``allowed_hosts`` are those that it takes in Host, in place of loopback's own. ``eras`` are what it speaks.
    """
    security = TransportSecuritySettings(allowed_hosts=allowed_hosts) if allowed_hosts is not None else None
    app = build(gates or Gates()).streamable_http_app(
        event_store=Events(),
        retry_interval=50,
        json_response=json_response,
        streamable_http_path=path,
        transport_security=security,
    )
    async with serving_app(pinned(app, eras)) as url:
        yield url


@asynccontextmanager
async def serving_app(app: ASGIApp) -> AsyncIterator[str]:
    """Serve the app of a server on the Python SDK; yields the URL of ``/mcp`` at it."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    try:
        await eventually(lambda: server.started)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/mcp"
    finally:
        server.should_exit = True
        await serving
