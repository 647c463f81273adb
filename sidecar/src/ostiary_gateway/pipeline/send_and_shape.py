"""The last stages of the pipeline: send a request to its server, and shape the response."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from ostiary_gateway.errors import CallerGone, InputAsked, Refusal, UpstreamFault
from ostiary_gateway.pipeline import circuit_stage, record
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.forward import cancel_duplicates, forward
from ostiary_gateway.pipeline.leg import Leg
from ostiary_gateway.pipeline.limit_refusal import LimitError
from ostiary_gateway.pipeline.request_ids import RequestIds
from ostiary_gateway.pipeline.shape import ResponseShaper
from ostiary_gateway.server.response import Response
from ostiary_gateway.telemetry import ClientSpan, ServerSpan
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.http1.upstream_response import UpstreamResponse

#: Opens a response that a bridge makes, in place of the server's own.
Opened: TypeAlias = Callable[[ClientSpan], Awaitable[UpstreamResponse]]


async def send_and_shape(
    exchange: Exchange,
    leg: Leg,
    span: ServerSpan,
    shaper: ResponseShaper,
    request_ids: RequestIds,
    opened: Opened | None = None,
) -> Response | None:
    """Send a leg to its server, and return the shaped response.

    None where it was sent as a stream. ``opened`` sends it where the message itself is not forwarded.

    Raises:
        Refusal: the server failed before a response began.
        CallerGone: the caller disconnected.
        InputAsked: the server of a bridged leg asks for input.
    """
    request = exchange.request
    if leg.server.breaker is not None:
        circuit_stage.enter(leg.server.breaker, exchange, leg, span)
    if exchange.ends_with_caller:
        request.bind_to_caller()
    with record.begin_client_span(span, exchange, leg) as client:
        try:
            return await _send(exchange, leg, span, client, shaper, opened)
        except UpstreamFault as found:
            raise _failed(leg, client, found) from found
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
            request.release_from_caller()
            if leg.permit is not None:
                circuit_stage.leave(leg)
            if request_ids.cancelled and request_ids.is_cancelled(exchange):
                record.cancelled(client)


async def _send(
    exchange: Exchange,
    leg: Leg,
    span: ServerSpan,
    client: ClientSpan,
    shaper: ResponseShaper,
    opened: Opened | None,
) -> Response | None:
    if exchange.cancels_too:
        await cancel_duplicates(exchange, leg, client)
    response = await forward(exchange, leg, client) if opened is None else await opened(client)
    try:
        return await shaper.shape(exchange, leg, response, span, client)
    finally:
        response.close()


def _failed(leg: Leg, client: ClientSpan, found: UpstreamFault) -> Refusal:
    """Report a fault of the server, and return the refusal that its caller gets."""
    fault = leg.server.as_seen(found)
    fault.message = leg.server.credential.redacted(fault.message)
    record.failed(client, fault)
    leg.failed(fault)
    return faults.refusal(fault)
