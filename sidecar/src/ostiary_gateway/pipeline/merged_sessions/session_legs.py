"""Send a leg to one of several servers, in the caller's session with that server."""

from collections.abc import Callable
from itertools import count
from typing import Final

from ostiary_core.mcp.protocol_revisions import LEGACY, MODERN_REVISIONS
from ostiary_gateway.errors import Refusal, UpstreamFault
from ostiary_gateway.pipeline.bridged import era_fallback
from ostiary_gateway.pipeline.bridged.bridge_choice import set_bridge
from ostiary_gateway.pipeline.bridged.era_discovery import find_eras
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.http_checks import is_session_not_found
from ostiary_gateway.pipeline.leg import Leg
from ostiary_gateway.pipeline.merged_sessions.event_ids import EventIds, no_event_id, stream_of
from ostiary_gateway.pipeline.merged_sessions.leg_translation import translation_for
from ostiary_gateway.pipeline.merged_sessions.session_vector import SessionVector
from ostiary_gateway.pipeline.merged_sessions.subscriptions import SUBSCRIBE, UNSUBSCRIBE, subscribe
from ostiary_gateway.pipeline.pinned_sessions.session_endpoint import is_gone, lost_with
from ostiary_gateway.pipeline.retries.driver import may_send_again
from ostiary_gateway.pipeline.send_and_shape import send_and_shape
from ostiary_gateway.pipeline.services import PipelineServices
from ostiary_gateway.server.response import Response
from ostiary_gateway.telemetry import ServerSpan
from ostiary_gateway.upstream import faults

_SUBSCRIPTIONS: Final = frozenset({SUBSCRIBE, UNSUBSCRIBE})
#: How many other sessions one request tries: one that another replica has noted may be lost, too.
_MOST_RENEWALS: Final = 2


async def send_in_session(
    exchange: Exchange, leg: Leg, span: ServerSpan, services: PipelineServices
) -> Response | None:
    """Send a leg in the caller's session with its server, and return the shaped response.

    The session is opened where there is none yet. A server that has forgotten it, and so has carried out nothing, is
    initialized again, and gets the leg once more.

    Raises:
        Refusal: the server failed before a response began.
        CallerGone: the caller disconnected.
    """
    leg.translation = translation_for(exchange, leg, services.sealer)
    leg.event_ids = _event_ids(leg)
    method = leg.message.method if leg.message is not None else None
    if method is not None and method.name in _SUBSCRIPTIONS:
        return await subscribe(exchange, leg, span, services)
    if isinstance(exchange.session, SessionVector):
        await enter(exchange, leg, span, services)
    else:
        leg.session = None
    if leg.session is None and leg.server.eras.only is not None and not leg.server.eras.is_fresh:
        await find_eras(exchange, leg.server, span=span)
    _choose_bridge(leg)
    if leg.bridge is not None:
        return await leg.bridge.carry_out(exchange, leg, span, services)
    if leg.session is None and not era_fallback.is_settled(exchange, leg):
        return await era_fallback.send(exchange, leg, span, services)
    if leg.session is None or not leg.session.upstream_id:
        return await send_and_shape(exchange, leg, span, services.shaper, services.request_ids)
    return await send_and_renew(exchange, leg, span, services)


def _event_ids(leg: Leg) -> Callable[[bytes], bytes | None]:
    """Return how the caller knows events of a leg, in an era that resumes no stream not at all."""
    message = leg.message
    stream = leg.resumes
    if stream is None and message is not None and message.era is LEGACY:
        stream = stream_of(message.body)
    return EventIds(leg.server.name, stream) if stream is not None else no_event_id


def _choose_bridge(leg: Leg) -> None:
    """Set the bridge of a leg whose server speaks only the other era than its caller."""
    message, session, only = leg.message, leg.session, leg.server.eras.only
    if message is None or leg.bridge is not None:
        return
    if only not in (None, message.era) if session is None else session.revision in MODERN_REVISIONS:
        set_bridge(leg, message.era)


async def send_and_renew(
    exchange: Exchange,
    leg: Leg,
    span: ServerSpan,
    services: PipelineServices,
    *,
    on_renewed: Callable[[], None] | None = None,
) -> Response | None:
    """Send a leg in its session, and again in another one if the server has forgotten it.

    It has, too, where the endpoint with the session is not there any more. The other one may be lost as well: another
    replica of the gateway has noted it before. ``on_renewed`` is called before the leg is sent in the other one.

    Raises:
        Refusal: the server failed before a response began.
        CallerGone: the caller disconnected.
    """
    leg.is_kept = True
    for renewals in count(1):
        try:
            return await send_and_shape(exchange, leg, span, services.shaper, services.request_ids)
        except Refusal as refusal:
            is_forgotten = is_session_not_found(refusal)
            if not is_forgotten and not _moves(leg, refusal):
                raise
            if renewals > _MOST_RENEWALS:
                if not is_forgotten:
                    raise
                break
        await _enter_again(exchange, leg, span, services)
        _check_wanted(exchange, services)
        if on_renewed is not None:
            on_renewed()
        leg.is_kept = renewals < _MOST_RENEWALS
    # The client's session is good: to tell it otherwise would make it initialize all servers again.
    words = "it forgets sessions as soon as it has opened them"
    raise faults.refusal(UpstreamFault(faults.UNAVAILABLE, words))


def _check_wanted(exchange: Exchange, services: PipelineServices) -> None:
    """Check that a request was not cancelled while another session was opened for it.

    Raises:
        Refusal: it was, so it goes nowhere.
    """
    if services.request_ids.cancelled and services.request_ids.is_cancelled(exchange):
        raise faults.refusal(UpstreamFault(faults.UNAVAILABLE, "the caller has cancelled it before it was sent"))


def _moves(leg: Leg, refusal: Refusal) -> bool:
    """Return whether a leg goes to another endpoint than that which has its session and fails.

    One that was sent does if its connection broke and it may be sent again: an endpoint that answers, however badly,
    still has the session.
    """
    if lost_with(refusal, leg.session):
        return True
    is_pinned = leg.session is not None and bool(leg.session.endpoint)
    return is_pinned and refusal.reason == faults.RESET and may_send_again(leg, refusal)


async def enter(exchange: Exchange, leg: Leg, span: ServerSpan, services: PipelineServices) -> None:
    """Give a leg its session, and the revision of that.

    Raises:
        Refusal: it could not be opened, or the client has ended it.
    """
    leg.session = services.sessions.at_hand(exchange, leg.server)
    if leg.session is None or is_gone(leg.server, leg.session):
        try:
            leg.session = await services.sessions.obtain(exchange, leg.server, span=span)
        except UpstreamFault as fault:
            raise faults.refusal(fault) from fault
    _take_revision(leg)


async def _enter_again(exchange: Exchange, leg: Leg, span: ServerSpan, services: PipelineServices) -> None:
    """Give a leg a new session in place of one that its server has forgotten."""
    forgotten, leg.is_kept = leg.session, False
    if forgotten is None:
        return
    try:
        leg.session = await services.sessions.renewed(exchange, leg.server, forgotten, span=span)
    except UpstreamFault as fault:
        raise faults.refusal(fault) from fault
    _take_revision(leg)


def _take_revision(leg: Leg) -> None:
    if leg.session is not None and leg.message is not None:
        leg.message.revision = leg.session.revision
