"""Keeps log level and resource subscriptions of sessions, and notifies subscribers.

The SDK manages the sessions of revisions before 2026-07-28, but handles neither `logging/setLevel` nor
`resources/subscribe`, and has no event for the end of a session. So this module keeps a record for each session id,
and drops the oldest when there are too many. In 2026-07-28 clients subscribe with `subscriptions/listen` instead.
"""

import warnings
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, Final, get_args

import anyio
from mcp.server.context import ServerRequestContext
from mcp.server.mcpserver import Context
from mcp.server.session import ServerSession
from mcp.server.subscriptions import ResourceUpdated, SubscriptionBus
from mcp.shared.exceptions import MCPDeprecationWarning, MCPError
from mcp.types import (
    INVALID_PARAMS,
    EmptyResult,
    LoggingLevel,
    SetLevelRequestParams,
    SubscribeRequestParams,
    UnsubscribeRequestParams,
)
from mcp.types.version import MODERN_PROTOCOL_VERSIONS

_LEVELS: Final[tuple[LoggingLevel, ...]] = get_args(LoggingLevel)
"""From the least to the most severe (RFC 5424), as the specification lists them."""
_SESSION_HEADER = "mcp-session-id"
_MAX_SUBSCRIPTIONS = 100
"""How many resources one session may subscribe to."""
_SEND_SECONDS = 1.0
"""A session that does not accept a notification in this time loses its subscriptions: it must not delay others."""
USERS_URI = "mock://users"
POSTS_URI = "mock://posts"


@dataclass(slots=True)
class _Session:
    level: LoggingLevel = "debug"
    subscriptions: set[str] = field(default_factory=set)
    channel: ServerSession | None = None
    """The SDK's session, which sends on the GET stream."""


class Sessions:
    """The records of at most `limit` sessions."""

    def __init__(self, *, limit: int) -> None:
        self._limit = limit
        self._sessions: OrderedDict[str, _Session] = OrderedDict()

    async def set_level(self, ctx: ServerRequestContext[Any, Any], params: SetLevelRequestParams) -> EmptyResult:
        """Handle `logging/setLevel`."""
        self._touch(ctx).level = params.level
        return EmptyResult()

    async def subscribe(self, ctx: ServerRequestContext[Any, Any], params: SubscribeRequestParams) -> EmptyResult:
        """Handle `resources/subscribe`.

        Raises:
            MCPError: the session has the maximum number of subscriptions.
        """
        session = self._touch(ctx)
        if len(session.subscriptions) >= _MAX_SUBSCRIPTIONS and params.uri not in session.subscriptions:
            raise MCPError(INVALID_PARAMS, f"A session may have {_MAX_SUBSCRIPTIONS} subscriptions")
        session.subscriptions.add(params.uri)
        session.channel = ctx.session
        return EmptyResult()

    async def unsubscribe(self, ctx: ServerRequestContext[Any, Any], params: UnsubscribeRequestParams) -> EmptyResult:
        """Handle `resources/unsubscribe`. A subscription that does not exist is no error."""
        self._touch(ctx).subscriptions.discard(params.uri)
        return EmptyResult()

    async def resource_updated(self, uri: str) -> None:
        """Notify the sessions that are subscribed to this resource."""
        for session in list(self._sessions.values()):
            if uri in session.subscriptions and session.channel is not None:
                await _notify(session, session.channel, uri)

    async def log(self, ctx: Context, level: LoggingLevel, data: Any, *, logger: str) -> None:
        """Send a log message on the stream of the client's request, if its log level allows."""
        request = ctx.request_context
        session = self._sessions.get(_session_id(request) or "")
        if session is not None and _LEVELS.index(level) < _LEVELS.index(session.level):
            return
        # Logging is deprecated in 2026-07-28, but clients use it, and a gateway must relay it, which the tool tests.
        # The warning is raised when the coroutine is created, so no other task runs inside the filter.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MCPDeprecationWarning)
            sending = request.session.send_log_message(level, data, logger, related_request_id=request.request_id)
        await sending

    def _touch(self, ctx: ServerRequestContext[Any, Any]) -> _Session:
        key = _session_id(ctx)
        if key is None:
            raise MCPError(INVALID_PARAMS, "This method needs a session")
        session = self._sessions.setdefault(key, _Session())
        self._sessions.move_to_end(key)
        while len(self._sessions) > self._limit:
            self._sessions.popitem(last=False)
        return session


class Updates:
    """Publishes to `subscriptions/listen` streams (2026-07-28) and to sessions (before)."""

    def __init__(self, *, bus: SubscriptionBus, sessions: Sessions) -> None:
        self._bus = bus
        self._sessions = sessions

    async def publish(self, *uris: str) -> None:
        """Notify subscribers that these resources changed."""
        for uri in uris:
            await self._bus.publish(ResourceUpdated(uri=uri))
            await self._sessions.resource_updated(uri)


def user_uri(user_id: int) -> str:
    """Return the URI of a user's resource."""
    return f"{USERS_URI}/{user_id}"


def _session_id(ctx: ServerRequestContext[Any, Any]) -> str | None:
    """Return the session id that the transport accepted.

    Return None in 2026-07-28, which has no sessions.
    """
    if ctx.protocol_version in MODERN_PROTOCOL_VERSIONS or ctx.request is None:
        return None
    value = ctx.request.headers.get(_SESSION_HEADER)
    return value if isinstance(value, str) else None


async def _notify(session: _Session, channel: ServerSession, uri: str) -> None:
    delivered = False
    try:
        with anyio.move_on_after(_SEND_SECONDS):
            await channel.send_resource_updated(uri)
            delivered = True
    except (anyio.ClosedResourceError, anyio.BrokenResourceError):
        pass
    if not delivered:
        session.subscriptions.clear()
