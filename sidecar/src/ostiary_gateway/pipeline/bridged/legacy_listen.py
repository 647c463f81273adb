"""Tells a modern client what changes at a legacy server (``subscriptions/listen``).

The stream of a session of its own gives the changes, and ``resources/subscribe`` in it those of single resources. It
ends with the session. A server without such a stream announces nothing, so nothing of the filter is honoured.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from typing import Any, Final

from ostiary_core import strict_json
from ostiary_gateway.bridge.from_modern import COMPLETE, META_SUBSCRIPTION
from ostiary_gateway.bridge.legacy_changes import acknowledged, change, honoured, subscribed_uris
from ostiary_gateway.bridge.server_input import own_answer
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.media_types import EVENT_STREAM
from ostiary_gateway.pipeline.bridged.legacy_messages import MessageLimits, messages_of
from ostiary_gateway.pipeline.bridged.legacy_sessions import LegacySession, LegacySessions
from ostiary_gateway.pipeline.bridged.made_response import MadeMessage, made_response
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.leg import Leg
from ostiary_gateway.pipeline.server_request import OwnRequest, ask
from ostiary_gateway.pipeline.services import PipelineServices
from ostiary_gateway.telemetry import ClientSpan, ServerSpan
from ostiary_gateway.upstream.http1.upstream_response import UpstreamResponse

#: The most resources that one listen subscribes to at a legacy server: each takes a request.
MOST_SUBSCRIPTIONS: Final = 64
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
    session = await services.legacy_sessions.acquire_single(exchange, leg.server, span)
    try:
        stream = await _stream(session)
        filter_ = honoured(wanted if isinstance(wanted, dict) else {}, session.capabilities) if stream else {}
        filter_ = await _subscribed(exchange, session, filter_, span)
    except BaseException:
        services.legacy_sessions.release(session)
        raise
    identifier = exchange.upstream_id if exchange.upstream_id is not None else ""
    listening = _Listening(session, services.legacy_sessions, identifier, filter_)
    return await made_response(listening.messages(stream, limits=MessageLimits.of(exchange)), is_quick=False)


async def _stream(session: LegacySession) -> UpstreamResponse | None:
    """Return the stream of a session's changes; None where the server has none."""
    response = await session.link.send(
        "GET", None, session_id=session.session_id, revision=session.revision, repeatable=True
    )
    if response.status < 300 and response.content_type == EVENT_STREAM:
        return response
    response.close()
    return None


async def _subscribed(
    exchange: Exchange, session: LegacySession, filter_: dict[str, Any], span: ServerSpan
) -> dict[str, Any]:
    """Subscribe to the resources of a filter; return it with those of which that succeeded."""
    uris = subscribed_uris(filter_)[:MOST_SUBSCRIPTIONS]
    if not uris:
        return filter_
    done = []
    for uri in uris:
        request = OwnRequest(_SUBSCRIBE, {"uri": uri}, session.revision, session.session_id)
        answer = await ask(
            exchange, session.link.server, request, span=span, seconds=session.link.server.request_seconds
        )
        if answer.result is not None:
            done.append(uri)
    return {**filter_, "resourceSubscriptions": done}


class _Listening:
    """One listen, while it lasts."""

    def __init__(
        self, session: LegacySession, sessions: LegacySessions, identifier: str | int, filter_: Mapping[str, Any]
    ) -> None:
        self._session = session
        self._sessions = sessions
        self._id = identifier
        self._filter = filter_

    async def messages(self, stream: UpstreamResponse | None, *, limits: MessageLimits) -> AsyncGenerator[MadeMessage]:
        """Yield the acknowledgement, then the changes, and when the server ends the result."""
        try:
            yield MadeMessage(acknowledged(self._id, self._filter))
            if stream is None:
                await asyncio.get_running_loop().create_future()  # nothing will ever come: the caller ends it
                return
            async for message in _changes(messages_of(stream, self._session.link.server, limits, may_idle=True)):
                if "id" in message and "method" in message:
                    await self._refuse(message)
                    continue
                text = change(message, subscription=self._id, filter_=self._filter)
                if text is not None:
                    yield MadeMessage(text)
            yield MadeMessage(self._end(), is_last=True)
        finally:
            if stream is not None:
                stream.close()
            self._sessions.release(self._session)

    async def _refuse(self, message: dict[str, Any]) -> None:
        """Answer a request of the server: it belongs to no call, so there is no caller to ask."""
        session = self._session
        await session.link.tell(own_answer(message), session_id=session.session_id, revision=session.revision)

    def _end(self) -> bytes:
        result = {"resultType": COMPLETE, "_meta": {META_SUBSCRIPTION: self._id}}
        return strict_json.dumps({"jsonrpc": "2.0", "id": self._id, "result": result})


async def _changes(messages: AsyncGenerator[tuple[bytes, dict[str, Any]]]) -> AsyncGenerator[dict[str, Any]]:
    """Yield what a stream tells until it ends or breaks off: then its caller listens again."""
    with suppress(UpstreamFault):
        async for _, message in messages:
            yield message
