"""Carries a modern client's message to a legacy server.

The server's answer becomes a response in the modern era (:mod:`.made_response`), and passes the same stages as every
other one.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from functools import partial
from typing import Final

from ostiary_core.mcp import codes
from ostiary_core.mcp.protocol_revisions import LEGACY
from ostiary_core.upstream_faults import GATEWAY_ERRORS
from ostiary_gateway.bridge.client_input import ASKING_METHODS
from ostiary_gateway.bridge.from_modern import written
from ostiary_gateway.bridge.legacy_changes import discover_result
from ostiary_gateway.bridge.to_legacy import (
    LegacyHandling,
    is_lower,
    legacy_client_capabilities,
    legacy_handling,
    legacy_params,
)
from ostiary_gateway.errors import Refusal, UpstreamFault
from ostiary_gateway.pipeline import mirrored_parameters
from ostiary_gateway.pipeline.bridged.call_rounds import CallRound
from ostiary_gateway.pipeline.bridged.legacy_call import LegacyCall, SentCall
from ostiary_gateway.pipeline.bridged.legacy_listen import listen
from ostiary_gateway.pipeline.bridged.legacy_messages import MessageLimits
from ostiary_gateway.pipeline.bridged.legacy_session import LegacySession
from ostiary_gateway.pipeline.bridged.made_response import MadeMessage, made_response
from ostiary_gateway.pipeline.content.mirrored_arguments import checked_parameters
from ostiary_gateway.pipeline.continuations.callers import owner_of, share_of
from ostiary_gateway.pipeline.continuations.continuations import ANSWER_SECONDS
from ostiary_gateway.pipeline.continuations.request_states import request_digest
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.forward import forward
from ostiary_gateway.pipeline.http_checks import session_not_found
from ostiary_gateway.pipeline.leg import Leg
from ostiary_gateway.pipeline.message import Message
from ostiary_gateway.pipeline.message_members import invalid
from ostiary_gateway.pipeline.mirrored_headers import mismatch
from ostiary_gateway.pipeline.own_request import own_id
from ostiary_gateway.pipeline.pinned_sessions.session_endpoint import is_lost
from ostiary_gateway.pipeline.response_head import http_fault
from ostiary_gateway.pipeline.send_and_shape import send_and_shape
from ostiary_gateway.pipeline.server_request import ask
from ostiary_gateway.pipeline.services import PipelineServices
from ostiary_gateway.server.response import Response
from ostiary_gateway.telemetry import ClientSpan, ServerSpan
from ostiary_gateway.upstream.http1.upstream_response import UpstreamResponse

_TOOLS_CALL: Final = "tools/call"
_SESSION_NOT_FOUND: Final = session_not_found().reason


class LegacyServerBridge:
    """The bridge of a leg whose caller is modern and whose server is legacy."""

    async def carry_out(
        self, exchange: Exchange, leg: Leg, span: ServerSpan, services: PipelineServices
    ) -> Response | None:
        """Return the response to the caller; None where it was sent as a stream.

        Raises:
            Refusal: the server failed before a response began, or what was asked for is not bridged.
            CallerGone: the caller disconnected.
        """
        leg.states = None  # only modern servers have states of their own
        method = _method(leg)
        handling = legacy_handling(method)
        if handling is LegacyHandling.ACCEPTED:
            return Response(202)
        if handling is LegacyHandling.REFUSED:
            raise invalid(f"Method not found: {method}", code=codes.METHOD_NOT_FOUND, status=404)
        opened = partial(_OPENERS[handling], exchange, leg, span, services)
        return await send_and_shape(
            exchange,
            leg,
            span,
            services.shaper,
            services.request_ids,
            opened=opened,
            opens_again=handling is LegacyHandling.FORWARDED,
        )


#: There is nothing to distinguish two of them.
LEGACY_SERVER: Final = LegacyServerBridge()


async def _discover(
    exchange: Exchange, leg: Leg, span: ServerSpan, services: PipelineServices, _: ClientSpan
) -> UpstreamResponse:
    """Answer ``server/discover`` with what the server said when it opened a session."""
    session = await services.legacy_sessions.acquire(exchange, leg.server, span)
    services.legacy_sessions.release(session)
    result = discover_result(session.handshake)

    async def told() -> AsyncGenerator[MadeMessage]:
        yield MadeMessage(written({"jsonrpc": "2.0", "id": exchange.upstream_id, "result": result}), is_last=True)

    return await made_response(told())


async def _call(
    exchange: Exchange, leg: Leg, span: ServerSpan, services: PipelineServices, client: ClientSpan
) -> UpstreamResponse:
    """Send a request in a session, and return what its caller gets.

    A session that the server has forgotten is opened again: a request that is answered so was not carried out.
    """
    round_ = CallRound.of(exchange)
    _check_parameters(exchange, leg)
    sent = _sent(exchange, leg, services)
    session = await services.legacy_sessions.acquire(exchange, leg.server, span)
    inner = _inner_leg(leg, session, sent)
    try:
        await _set_level(exchange, session, round_.level, span)
        response = await _send(exchange, inner, session, client)
    except (Refusal, UpstreamFault) as failure:
        services.legacy_sessions.release(session)
        if not _lost_session(failure, session):
            raise
        session, response = await _send_again(exchange, inner, span, services, client, session)
    except BaseException:
        services.legacy_sessions.release(session)
        raise
    call = LegacyCall(sent, session=session, sessions=services.legacy_sessions, response=response)
    return await made_response(call.messages(round_))


def _lost_session(failure: Refusal | UpstreamFault, session: LegacySession) -> bool:
    """Return whether the server, or the endpoint that had it, has lost a session."""
    if isinstance(failure, UpstreamFault):
        return is_lost(failure, session.at_server)
    return failure.reason == _SESSION_NOT_FOUND


def _check_parameters(exchange: Exchange, leg: Leg) -> None:
    """Check mirrored parameters as the modern server would that the caller believes to call.

    Raises:
        Refusal: -32020 for one that contradicts the body, or is missing for a tool that the server has listed.
    """
    message, content = leg.message, exchange.content
    if message is None or _method(leg) != _TOOLS_CALL or (content is not None and content.is_compared):
        return
    given = checked_parameters(exchange.request, leg.server, message)
    expected = mirrored_parameters.headers(leg.server, message.name, message.params.get("arguments"))
    for name in expected:
        if name not in given:
            raise mismatch(f"The header {name} is missing: the tool mirrors this argument in it")


async def _send_again(
    exchange: Exchange,
    inner: Leg,
    span: ServerSpan,
    services: PipelineServices,
    client: ClientSpan,
    lost: LegacySession,
) -> tuple[LegacySession, UpstreamResponse]:
    services.legacy_sessions.lose(lost)
    session = await services.legacy_sessions.acquire(exchange, inner.server, span)
    try:
        return session, await _send(exchange, inner, session, client)
    except BaseException:
        services.legacy_sessions.release(session)
        raise


async def _send(exchange: Exchange, inner: Leg, session: LegacySession, client: ClientSpan) -> UpstreamResponse:
    inner.session = session.at_server if session.session_id is not None else None
    if inner.message is not None:
        inner.message.revision = session.revision
    if inner.attempts is not None:
        inner.attempts.open(session.endpoint)
    response = await forward(exchange, inner, client)
    if response.status in GATEWAY_ERRORS and inner.attempts is not None and inner.attempts.repeats:
        response.close()
        raise http_fault(response)
    return response


def _inner_leg(leg: Leg, session: LegacySession, sent: SentCall) -> Leg:
    """Return the leg with the message as the server gets it.

    Its text is kept until the response begins, since the session may be lost.
    """
    message = leg.message
    if message is None:
        raise AssertionError("a modern caller sends a message")
    params = legacy_params(message.params, token=sent.token)
    body = {"jsonrpc": "2.0", "id": sent.identifier, "method": sent.method, **({"params": params} if params else {})}
    legacy = Message(body, LEGACY, session.revision, message.method, sent.identifier, message.name)
    return Leg(leg.server, legacy, None, is_kept=True, attempts=leg.attempts)


async def _set_level(exchange: Exchange, session: LegacySession, level: str, span: ServerSpan) -> None:
    """Let the server send log messages from a level on, if a call is the first to want them."""
    if not is_lower(level, than=session.level) or "logging" not in session.capabilities:
        return
    request = session.request("logging/setLevel", {"level": level})
    await ask(exchange, session.link.server, request, span=span, seconds=session.link.server.request_seconds)
    session.level = level


def _sent(exchange: Exchange, leg: Leg, services: PipelineServices) -> SentCall:
    method, identifier = _method(leg), own_id()
    params = exchange.message.params if exchange.message is not None else {}
    meta = params.get("_meta")
    capabilities = legacy_client_capabilities(meta if isinstance(meta, dict) else {})
    # The params are dropped once they are sent, so their digest is taken now where it may be needed.
    digest = request_digest(method, params) if capabilities and method in ASKING_METHODS else b""
    owner, share, server = owner_of(exchange), share_of(exchange), leg.server.name

    def park(call: LegacyCall) -> str:
        handle = services.continuations.park(call, owner=owner, share=share)
        return services.states.seal_parked(handle, server=server, digest=digest, owner=owner, seconds=ANSWER_SECONDS)

    return SentCall(
        method=method,
        identifier=identifier,
        token=identifier,
        capabilities=capabilities,
        limits=MessageLimits.of(exchange),
        park=park,
    )


def _method(leg: Leg) -> str:
    return leg.message.method_name if leg.message is not None else ""


_Opener = Callable[[Exchange, Leg, ServerSpan, PipelineServices, ClientSpan], Awaitable[UpstreamResponse]]
_OPENERS: Final[dict[LegacyHandling, _Opener]] = {
    LegacyHandling.DISCOVERED: _discover,
    LegacyHandling.FORWARDED: _call,
    LegacyHandling.LISTENED: listen,
}
