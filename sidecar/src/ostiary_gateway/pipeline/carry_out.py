"""Carry out the plan of a request: the stages after the selection."""

from collections.abc import Awaitable

from ostiary_core.mcp.protocol_revisions import MODERN
from ostiary_gateway.errors import Refusal
from ostiary_gateway.pipeline.bridged import era_fallback
from ostiary_gateway.pipeline.bridged.parked_call import ParkedCallBridge
from ostiary_gateway.pipeline.continuations.continuation_errors import continuation_lost
from ostiary_gateway.pipeline.continuations.request_states import StateKind
from ostiary_gateway.pipeline.continuations.server_states import leg_of_state, may_ask, opened_state, with_own_state
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.leg import Bridge, Leg
from ostiary_gateway.pipeline.merged_sessions.session_legs import send_in_session
from ostiary_gateway.pipeline.merged_sessions.session_vector import SessionVector
from ostiary_gateway.pipeline.pinned_sessions.pinned_legs import follow_endpoints, send_to_endpoint
from ostiary_gateway.pipeline.plans import Fan, One, Plan
from ostiary_gateway.pipeline.routing.server_preference import was_not_sent
from ostiary_gateway.pipeline.send_and_shape import send_and_shape
from ostiary_gateway.pipeline.services import PipelineServices
from ostiary_gateway.server.response import Response
from ostiary_gateway.telemetry import ServerSpan


def carry_out(
    plan: Plan, exchange: Exchange, span: ServerSpan, services: PipelineServices
) -> Awaitable[Response | None]:
    """Carry out a plan, and return what to await for the response.

    That is None where the response was sent as a stream. This is no coroutine of its own, nor is :func:`_send`: every
    call passes here.

    Raises:
        Refusal: no server answered before a response began.
        CallerGone: the caller disconnected.
    """
    if isinstance(plan, One):
        leg = plan.leg
        if exchange.message is not None and exchange.message.era is MODERN and may_ask(exchange):
            leg = exchange.leg = _in_its_round(exchange, leg, services)
        return _send(leg, exchange, span, services)
    if isinstance(plan, Fan):
        return plan.answer(exchange, span, services)
    return plan.answer(exchange)


def _send(leg: Leg, exchange: Exchange, span: ServerSpan, services: PipelineServices) -> Awaitable[Response | None]:
    """Send a leg to its server."""
    if leg.instead is not None:
        return _send_to_first_reachable(leg, exchange, span, services)
    if exchange.proxy.names is not None:  # of several servers
        return send_in_session(exchange, leg, span, services)
    if leg.bridge is not None:
        return _send_over(leg.bridge, leg, exchange, span, services)
    is_settled = era_fallback.is_settled(exchange, leg)
    if _concerns_endpoint(exchange, leg, is_settled=is_settled):
        return send_to_endpoint(exchange, leg, span, services)
    if not is_settled:
        return era_fallback.send(exchange, leg, span, services)
    return send_and_shape(exchange, leg, span, services.shaper, services.request_ids)


def _concerns_endpoint(exchange: Exchange, leg: Leg, *, is_settled: bool) -> bool:
    """Return whether a leg is in a session at an endpoint, or may open one or a stream."""
    if leg.server.endpoints is None:
        return isinstance(leg.session, SessionVector)
    return leg.session is not None or exchange.stays_open or not is_settled


def _send_over(
    bridge: Bridge, leg: Leg, exchange: Exchange, span: ServerSpan, services: PipelineServices
) -> Awaitable[Response | None]:
    """Send a leg to a server of the other era than its caller's."""
    follow_endpoints(exchange, leg, span, services)
    if era_fallback.is_outdated(leg):
        return era_fallback.send_again(exchange, leg, span, services)
    return bridge.carry_out(exchange, leg, span, services)


def _in_its_round(exchange: Exchange, leg: Leg, services: PipelineServices) -> Leg:
    """Return the leg of a call that may be asked for input, or brings what it was asked for.

    Raises:
        Refusal: its state is not one of this caller's for this request, or its server is of another era by now.
    """
    state = opened_state(exchange, services.states)
    if state is not None:
        leg = leg_of_state(state, leg)
        if state.kind is StateKind.PARKED:
            leg.bridge = ParkedCallBridge(state)
        elif leg.bridge is not None:
            raise continuation_lost()
        else:
            with_own_state(leg, state)
    each: Leg | None = leg
    while each is not None:
        each.states = services.states if each.bridge is None else None
        each = each.instead
    return leg


async def _send_to_first_reachable(
    leg: Leg, exchange: Exchange, span: ServerSpan, services: PipelineServices
) -> Response | None:
    """Send a leg, or the one that takes its place where its server cannot be connected to."""
    while leg.instead is not None:
        try:
            return await send_in_session(exchange, leg, span, services)
        except Refusal as refusal:
            if not was_not_sent(refusal):
                raise
        leg = exchange.leg = leg.instead
    return await send_in_session(exchange, leg, span, services)
