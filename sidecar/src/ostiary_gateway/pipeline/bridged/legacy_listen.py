"""Tells a modern client what changes at a legacy server (``subscriptions/listen``).

The stream of its session gives the changes, and ``resources/subscribe`` in it those of single resources. A server
without such a stream announces nothing, so nothing of the filter is honoured.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Any, Final

from ostiary_core import strict_json
from ostiary_core.mcp.meta_keys import META_SUBSCRIPTION
from ostiary_gateway.bridge.from_modern import COMPLETE
from ostiary_gateway.bridge.legacy_changes import acknowledged, change, honoured, subscribed_uris
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.pipeline.bridged.legacy_messages import MessageLimits
from ostiary_gateway.pipeline.bridged.legacy_session import LegacySession
from ostiary_gateway.pipeline.bridged.legacy_sessions import LegacySessions
from ostiary_gateway.pipeline.bridged.made_response import MadeMessage, made_response
from ostiary_gateway.pipeline.bridged.session_changes import ChangeListener, unsubscribe
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.leg import Leg
from ostiary_gateway.pipeline.pinned_sessions.session_endpoint import is_lost
from ostiary_gateway.pipeline.server_request import ask
from ostiary_gateway.pipeline.services import PipelineServices
from ostiary_gateway.telemetry import ClientSpan, ServerSpan
from ostiary_gateway.upstream.http1.upstream_response import UpstreamResponse

#: The most resources that one listen subscribes to at a legacy server: each takes a request.
MOST_SUBSCRIPTIONS: Final = 64
#: The status of a server that does not know a session.
_GONE: Final = 404
_SUBSCRIBE: Final = "resources/subscribe"


async def listen(
    exchange: Exchange, leg: Leg, span: ServerSpan, services: PipelineServices, _: ClientSpan
) -> UpstreamResponse:
    """Open the stream of a listen.

    Raises:
        UpstreamFault: the server opens no session.
        Refusal: the caller's credential cannot be sent.
    """
    params = leg.message.params if leg.message is not None else {}
    wanted = params.get("notifications")
    session = await _living_session(exchange, leg, span, services)
    listening = _Listening(exchange, session, services.legacy_sessions)
    try:
        await listening.begin(wanted if isinstance(wanted, dict) else {}, span)
    except BaseException:
        listening.end()
        raise
    return await made_response(listening.messages(), is_quick=False)


async def _living_session(exchange: Exchange, leg: Leg, span: ServerSpan, services: PipelineServices) -> LegacySession:
    """Return a session that its server still knows.

    A stream of one that it has forgotten would be silent for ever, as one is that it does not offer.

    Raises:
        UpstreamFault: the server opens none, or does not answer.
        Refusal: the caller's credential cannot be sent.
    """
    sessions = services.legacy_sessions
    session = await sessions.acquire(exchange, leg.server, span)
    try:
        if session.session_id is None or not await _is_forgotten(exchange, session, span):
            return session
    except BaseException:
        sessions.release(session)
        raise
    sessions.lose(session)
    sessions.release(session)
    return await sessions.acquire(exchange, leg.server, span)


async def _is_forgotten(exchange: Exchange, session: LegacySession, span: ServerSpan) -> bool:
    server = session.link.server
    try:
        answer = await ask(exchange, server, session.request("ping"), span=span, seconds=server.request_seconds)
    except UpstreamFault as fault:
        if not is_lost(fault, session.at_server):
            raise
        return True
    return answer.status == _GONE


class _Listening:
    """One listen, while it lasts."""

    def __init__(self, exchange: Exchange, session: LegacySession, sessions: LegacySessions) -> None:
        self._exchange = exchange
        self._session = session
        self._sessions = sessions
        self._listener = ChangeListener()
        self._id: str | int = exchange.upstream_id if exchange.upstream_id is not None else ""
        self._filter: dict[str, Any] = {}
        self._is_joined = False

    async def begin(self, wanted: Mapping[str, Any], span: ServerSpan) -> None:
        """Join those that listen in the session, and subscribe.

        Raises:
            UpstreamFault: the server failed.
        """
        session = self._session
        limits = MessageLimits.of(self._exchange)
        changes = session.changes
        self._is_joined = await changes.join(self._listener, session.link, session.at_server, limits)
        if self._is_joined:
            self._filter = honoured(wanted, session.capabilities)
            await self._subscribe(span)

    async def _subscribe(self, span: ServerSpan) -> None:
        """Subscribe to the resources of the filter; those for which it fails are not honoured."""
        uris = subscribed_uris(self._filter)[:MOST_SUBSCRIPTIONS]
        if not uris:
            return
        done: list[str] = []
        self._filter["resourceSubscriptions"] = done
        for uri in dict.fromkeys(uris):
            done.append(uri)
            if self._session.changes.subscribe(uri) and not await self._is_subscribed(uri, span):
                done.remove(uri)
                self._session.changes.forget(uri)

    async def _is_subscribed(self, uri: str, span: ServerSpan) -> bool:
        session, server = self._session, self._session.link.server
        request = session.request(_SUBSCRIBE, {"uri": uri})
        answer = await ask(self._exchange, server, request, span=span, seconds=server.request_seconds)
        return answer.result is not None

    async def messages(self) -> AsyncGenerator[MadeMessage]:
        """Yield the acknowledgement, then the changes, and when the server ends the result."""
        try:
            yield MadeMessage(acknowledged(self._id, self._filter))
            if not self._is_joined:
                await asyncio.get_running_loop().create_future()  # nothing will ever come: the caller ends it
            async for message in self._listener.taken():
                text = change(message, subscription=self._id, filter_=self._filter)
                if text is not None:
                    yield MadeMessage(text)
            yield MadeMessage(self._result(), is_last=True)
        finally:
            self.end()

    def _result(self) -> bytes:
        result = {"resultType": COMPLETE, "_meta": {META_SUBSCRIPTION: self._id}}
        return strict_json.dumps({"jsonrpc": "2.0", "id": self._id, "result": result})

    def end(self) -> None:
        """Listen no more, and release the session."""
        session = self._session
        left = session.changes.leave(self._listener, subscribed_uris(self._filter))
        if left and session.session_id is not None:
            self._sessions.run(unsubscribe(session.link, session.at_server, left))
        self._sessions.release(session)
