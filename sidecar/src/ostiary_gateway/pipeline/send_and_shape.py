"""The last stages of the pipeline: send a request to its server, and shape the response."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from ostiary_core.upstream_faults import GATEWAY_ERRORS
from ostiary_gateway.errors import AttemptFailed, CallerGone, InputAsked, UpstreamFault
from ostiary_gateway.pipeline import circuit_stage, record
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.forward import cancel_duplicates, forward
from ostiary_gateway.pipeline.leg import Leg
from ostiary_gateway.pipeline.limit_refusal import LimitError
from ostiary_gateway.pipeline.request_ids import RequestIds
from ostiary_gateway.pipeline.response_head import http_fault
from ostiary_gateway.pipeline.retries.attempts import Attempts
from ostiary_gateway.pipeline.retries.driver import (
    attempts_of,
    before_next,
    has_begun,
    next_attempt,
    number_attempt,
)
from ostiary_gateway.pipeline.shape import ResponseShaper
from ostiary_gateway.server.response import Response
from ostiary_gateway.telemetry import ClientSpan, ServerSpan
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.http1.upstream_response import UpstreamResponse

#: Opens a response that a bridge makes, in place of the server's own.
Opened: TypeAlias = Callable[[ClientSpan], Awaitable[UpstreamResponse]]


def send_and_shape(
    exchange: Exchange,
    leg: Leg,
    span: ServerSpan,
    shaper: ResponseShaper,
    request_ids: RequestIds,
    opened: Opened | None = None,
    *,
    opens_again: bool = False,
) -> Awaitable[Response | None]:
    """Send a leg to its server, and return what to await for the shaped response.

    That is None where it was sent as a stream. ``opened`` sends it where the message itself is not forwarded,
    and can do so again if ``opens_again``. This is no coroutine of its own: every call passes here.

    Raises:
        Refusal: the server failed before a response began.
        CallerGone: the caller disconnected.
        InputAsked: the server of a bridged leg asks for input.
    """
    if leg.server.breaker is not None:
        circuit_stage.enter(leg.server.breaker, exchange, leg, span)
    policy = leg.server.retry
    if policy is None or (opened is not None and not opens_again):
        leg.attempts = None
        return _attempt(exchange, leg, span, shaper, request_ids, opened)
    leg.attempts = attempts_of(exchange, leg, policy)
    leg.attempts.is_opened = opened is not None
    return _send_until_answered(exchange, leg, span, shaper, request_ids, opened)


async def _send_until_answered(
    exchange: Exchange,
    leg: Leg,
    span: ServerSpan,
    shaper: ResponseShaper,
    request_ids: RequestIds,
    opened: Opened | None,
) -> Response | None:
    try:
        while True:
            try:
                return await _attempt(exchange, leg, span, shaper, request_ids, opened)
            except AttemptFailed as failed:
                last = failed
            await before_next(exchange, last, request_ids)
    finally:
        if leg.permit is not None:
            circuit_stage.leave(leg)


async def _attempt(
    exchange: Exchange,
    leg: Leg,
    span: ServerSpan,
    shaper: ResponseShaper,
    request_ids: RequestIds,
    opened: Opened | None = None,
) -> Response | None:
    """Send a leg once.

    Raises:
        AttemptFailed: it failed, and is sent again.
        Refusal, CallerGone, InputAsked: see :func:`send_and_shape`.
    """
    request = exchange.request
    response: UpstreamResponse | None = None
    if exchange.ends_with_caller:
        request.bind_to_caller()
    with record.begin_client_span(span, exchange, leg) as client:
        number_attempt(client, leg.attempts)
        try:
            response = await _sending(exchange, leg, client, opened)
            leg.is_answered_here = response.is_made_here
            if leg.attempts is not None and response.status in GATEWAY_ERRORS:
                _repeat(exchange, leg, leg.attempts, client, response)
            # Awaited in this very frame: a stream may wait here for days, with thousands of others.
            return await shaper.shape(exchange, leg, response, span, client)
        except UpstreamFault as found:
            raised, cause = _failed(exchange, leg, client, found)
            raise raised from cause
        except InputAsked:
            leg.succeeded()
            client.settle()
            raise
        except LimitError:  # of the response: its server did all that was asked
            leg.succeeded()
            client.settle()
            raise
        except (asyncio.CancelledError, CallerGone):
            record.report_disconnect(client, exchange)
            raise
        finally:
            if response is not None:
                response.close()
            request.release_from_caller()
            if leg.permit is not None and leg.attempts is None:  # all attempts have one
                circuit_stage.leave(leg)
            if request_ids.cancelled and request_ids.is_cancelled(exchange):
                record.cancelled(client)


def _sending(exchange: Exchange, leg: Leg, client: ClientSpan, opened: Opened | None) -> Awaitable[UpstreamResponse]:
    """Send a leg, and return what to await for the response once its head has come."""
    if leg.reopening is not None:
        leg.reopening.opened = opened
    if exchange.cancels_too:
        return _send_after_duplicates(exchange, leg, client, opened)
    return forward(exchange, leg, client) if opened is None else opened(client)


async def _send_after_duplicates(
    exchange: Exchange, leg: Leg, client: ClientSpan, opened: Opened | None
) -> UpstreamResponse:
    await cancel_duplicates(exchange, leg, client)
    return await forward(exchange, leg, client) if opened is None else await opened(client)


def _repeat(exchange: Exchange, leg: Leg, attempts: Attempts, client: ClientSpan, response: UpstreamResponse) -> None:
    """Raise for the status of a server that is not there, if the request is sent again.

    Else its caller gets it.

    Raises:
        AttemptFailed: it is.
    """
    fault = http_fault(response)
    failed = next_attempt(leg.server, client, attempts, fault, has_begun=has_begun(exchange))
    if failed is not None:
        raise failed from fault


def _failed(exchange: Exchange, leg: Leg, client: ClientSpan, found: UpstreamFault) -> tuple[Exception, UpstreamFault]:
    """Report a fault of the server; return what to raise, and the fault that is its cause."""
    attempts = leg.attempts
    if attempts is not None:
        failed = next_attempt(leg.server, client, attempts, found, has_begun=has_begun(exchange))
        if failed is not None:
            return failed, found
    fault = leg.server.as_seen(found)
    fault.message = leg.server.credential.redacted(fault.message)
    record.failed(client, fault)
    leg.failed(fault)
    if attempts is not None:
        fault = attempts.told_to_caller(fault)
    return faults.refusal(fault), fault
