"""The state of the Python everything-server: subscriptions, added tools, cancelled calls."""

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from anyio import BrokenResourceError, ClosedResourceError
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.session import ServerSession
from mcp.server.streamable_http import EventCallback, EventId, EventMessage, EventStore, StreamId
from mcp.server.subscriptions import InMemorySubscriptionBus, PromptsListChanged, ResourceUpdated, ToolsListChanged
from mcp.types import EmptyResult, JSONRPCMessage, SubscribeRequestParams, UnsubscribeRequestParams

Request = ServerRequestContext[Any, Any]


@dataclass(slots=True)
class State:
    """The state of one server. Changes go to listen streams (2026-07-28) and GET streams of sessions (before)."""

    bus: InMemorySubscriptionBus = field(default_factory=InMemorySubscriptionBus)
    tool_added: bool = False
    prompt_added: bool = False
    cancelled: int = 0
    _watchers: dict[tuple[str, str], ServerSession] = field(default_factory=dict)
    _sessions: dict[str, ServerSession] = field(default_factory=dict)

    async def __call__(self, ctx: Request, call_next: CallNext) -> HandlerResult:
        """Remember the session of a message, as a middleware of the server."""
        if session_id := _session_id(ctx):
            self._sessions[session_id] = ctx.session
        return await call_next(ctx)

    async def subscribe(self, ctx: Request, params: SubscribeRequestParams) -> EmptyResult:
        """Answer `resources/subscribe`."""
        self._watchers[_session_id(ctx), params.uri] = ctx.session
        return EmptyResult()

    async def unsubscribe(self, ctx: Request, params: UnsubscribeRequestParams) -> EmptyResult:
        """Answer `resources/unsubscribe`."""
        self._watchers.pop((_session_id(ctx), params.uri), None)
        return EmptyResult()

    async def touch(self, uri: str) -> None:
        """Notify every subscriber of this resource that it changed."""
        await self.bus.publish(ResourceUpdated(uri=uri))
        for (_, watched), channel in list(self._watchers.items()):
            if watched == uri:
                await channel.send_resource_updated(uri)

    async def change_tools(self) -> None:
        """Add a tool or remove it, and send the notice to every session."""
        self.tool_added = not self.tool_added
        await self.bus.publish(ToolsListChanged())
        for session in list(self._sessions.values()):
            with suppress(ClosedResourceError, BrokenResourceError):
                await session.send_tool_list_changed()

    async def change_prompts(self) -> None:
        """Add a prompt or remove it, and send the notice to every session."""
        self.prompt_added = not self.prompt_added
        await self.bus.publish(PromptsListChanged())
        for session in list(self._sessions.values()):
            with suppress(ClosedResourceError, BrokenResourceError):
                await session.send_prompt_list_changed()


def _session_id(ctx: Request) -> str:
    return "" if ctx.request is None else str(ctx.request.headers.get("mcp-session-id", ""))


class Events(EventStore):
    """Every event of every stream, so that any of them can be resumed."""

    def __init__(self) -> None:
        self._events: list[tuple[StreamId, JSONRPCMessage | None]] = []

    async def store_event(self, stream_id: StreamId, message: JSONRPCMessage | None) -> EventId:
        """Keep an event; its id is its place."""
        self._events.append((stream_id, message))
        return str(len(self._events))

    async def replay_events_after(self, last_event_id: EventId, send_callback: EventCallback) -> StreamId | None:
        """Send again what came after this event on its stream; None if there never was such an event."""
        place = int(last_event_id) if last_event_id.isdecimal() else 0
        if not 1 <= place <= len(self._events):
            return None
        stream = self._events[place - 1][0]
        for later, (owner, message) in enumerate(self._events[place:], place + 1):
            if owner == stream and message is not None:
                await send_callback(EventMessage(message, str(later)))
        return stream
