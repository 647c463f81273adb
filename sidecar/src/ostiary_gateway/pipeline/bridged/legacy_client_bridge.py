"""Carry a legacy client's request to a modern server.

What the modern era has no method for is answered here; everything else is one request to the server. What a modern
request says of its client is in the sealed session (:mod:`.bridged_session`). A client without a session has declared
nothing, so it cannot be asked for input.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

from ostiary_core import strict_json
from ostiary_core.mcp import codes
from ostiary_gateway.bridge.to_modern import Handling, handling
from ostiary_gateway.errors import Refusal
from ostiary_gateway.pipeline.bridged import bridged_session, bridged_stream
from ostiary_gateway.pipeline.bridged.bridged_call import BridgedCall
from ostiary_gateway.pipeline.bridged.bridged_session import answer_owner, client_of
from ostiary_gateway.pipeline.continuations.continuations import QUESTION
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.leg import Leg
from ostiary_gateway.pipeline.merged_sessions.session_opening import key_of
from ostiary_gateway.pipeline.merged_sessions.session_places import Told
from ostiary_gateway.pipeline.merged_sessions.session_vector import SessionVector
from ostiary_gateway.pipeline.services import PipelineServices
from ostiary_gateway.server.response import Response
from ostiary_gateway.telemetry import ServerSpan

_Answer = Callable[[Exchange, Leg, ServerSpan, PipelineServices], Coroutine[Any, Any, Response]]

#: What the gateway answers itself, by method.
_LOCAL: Final[dict[str, _Answer]] = {
    "initialize": bridged_session.initialize,
    "ping": bridged_session.ping,
    "logging/setLevel": bridged_session.set_log_level,
    "resources/subscribe": bridged_session.subscribe,
    "resources/unsubscribe": bridged_session.unsubscribe,
}
CANCELLED: Final = "notifications/cancelled"


class LegacyClientBridge:
    """The bridge of all legacy clients to modern servers; it has no state of its own."""

    async def carry_out(
        self, exchange: Exchange, leg: Leg, span: ServerSpan, services: PipelineServices
    ) -> Response | None:
        """Return the response to the caller; None where it was sent as a stream.

        Raises:
            Refusal: the server failed before a response began, or the method is not bridged.
            CallerGone: the caller disconnected.
        """
        message = leg.message
        if message is None:
            return await self._without_message(exchange, leg, span, services)
        if message.method is None:
            return await deliver(exchange, services)
        name = message.method.name
        match handling(name):
            case Handling.LOCAL:
                return await _LOCAL[name](exchange, leg, span, services)
            case Handling.ACCEPTED:
                if name == CANCELLED:
                    cancel(exchange, services)
                return Response(202)
            case Handling.REFUSED:
                raise Refusal(200, "MethodNotFound", f"Method not found: {name}", code=codes.METHOD_NOT_FOUND)
            case Handling.FORWARDED:
                return await self.send(exchange, leg, span, services)

    async def send(self, exchange: Exchange, leg: Leg, span: ServerSpan, services: PipelineServices) -> Response | None:
        """Send a request to the server, and go on until it responds.

        Raises:
            Refusal: the server failed before a response began, or the caller has cancelled the request.
            CallerGone: the caller disconnected.
        """
        call = BridgedCall(exchange, leg, span, services, await client_of(exchange, services))
        taken = exchange.taken_id
        if taken is None:
            return await call.run()
        scope = services.cancellable[taken] = asyncio.timeout(None)

        async def cancelled(_: bytes) -> None:
            services.request_ids.cancelled.add(taken)
            _end(scope)

        try:
            async with scope:
                with places_of_call(exchange, services, cancelled):
                    return await call.run()
        except TimeoutError:
            if not scope.expired():
                raise
            await call.cancelled()
            return None
        finally:
            services.cancellable.pop(taken, None)

    async def _without_message(
        self, exchange: Exchange, leg: Leg, span: ServerSpan, services: PipelineServices
    ) -> Response | None:
        if exchange.request.method == "DELETE":
            return await bridged_session.end(exchange, services)
        return await bridged_stream.relay_changes(exchange, leg, span, services)


LEGACY_CLIENT: Final = LegacyClientBridge()


async def deliver(exchange: Exchange, services: PipelineServices) -> Response:
    """Take a client's response to where its question was asked, perhaps in another replica.

    Raises:
        Refusal: nothing waits for it.
    """
    if await was_asked_by_gateway(exchange, services):
        return Response(202)
    words = "No request of this session with this id waits for a response"
    raise Refusal(400, "UnknownResponse", words, code=codes.INVALID_REQUEST)


async def was_asked_by_gateway(exchange: Exchange, services: PipelineServices) -> bool:
    """Take a client's response to where the gateway waits for it, in whichever replica.

    Return whether the response is to a question of the gateway.

    Raises:
        Refusal: it is, and nothing waits for it any more.
    """
    message = exchange.message
    body = message.body if message is not None else {}
    identifier = message.id if message is not None else None
    if not isinstance(identifier, str) or not identifier.startswith(QUESTION.prefix):
        return False
    payload = strict_json.dumps({name: body[name] for name in ("result", "error") if name in body})
    return await services.continuations.deliver(identifier, payload, owner=answer_owner(exchange))


def places_of_call(exchange: Exchange, services: PipelineServices, told: Told) -> AbstractContextManager[None]:
    """Let other replicas find a call in flight, in a block, to cancel it."""
    vector = exchange.session
    if not isinstance(vector, SessionVector):
        return nullcontext()
    return services.places.call(key_of(exchange, vector), exchange.request_id, told)


def cancel(exchange: Exchange, services: PipelineServices) -> None:
    """Cancel the requests in flight that a notification names, here or in another replica."""
    message, session = exchange.message, exchange.session
    if message is None or session is None:
        return
    named = message.params.get("requestId")
    found = [
        scope
        for each in (named, *exchange.cancels_too)
        if (scope := services.cancellable.get((exchange.proxy.uid, session.upstream_id, str(each)))) is not None
    ]
    for scope in found:
        _end(scope)
    if not found and isinstance(session, SessionVector) and type(named) in (int, str):
        services.places.tell_call(key_of(exchange, session), named)


def _end(scope: asyncio.Timeout) -> None:
    if not scope.expired():
        scope.reschedule(asyncio.get_running_loop().time())
