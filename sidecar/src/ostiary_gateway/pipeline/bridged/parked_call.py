"""Goes on with a call that is parked, in this replica or in another."""

from collections.abc import AsyncGenerator

from ostiary_gateway.bridge.server_input import given_inputs
from ostiary_gateway.pipeline.bridged.call_rounds import CallAnswer, CallRound
from ostiary_gateway.pipeline.bridged.made_response import MadeMessage, made_response
from ostiary_gateway.pipeline.circuit_stage import called_tool
from ostiary_gateway.pipeline.continuations.callers import owner_of
from ostiary_gateway.pipeline.continuations.request_states import CallState
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.leg import Leg
from ostiary_gateway.pipeline.send_and_shape import send_and_shape
from ostiary_gateway.pipeline.services import PipelineServices
from ostiary_gateway.server.response import Response
from ostiary_gateway.telemetry import ClientSpan, ServerSpan
from ostiary_gateway.upstream.http1.upstream_response import UpstreamResponse


class ParkedCallBridge:
    """The bridge of a leg whose call is parked, here or at another replica.

    It goes on with the caller's answer.
    """

    def __init__(self, state: CallState) -> None:
        self._state = state

    async def carry_out(
        self, exchange: Exchange, leg: Leg, span: ServerSpan, services: PipelineServices
    ) -> Response | None:
        """Return the response to the caller; None where it was sent as a stream.

        Raises:
            Refusal: nothing is parked any more, or the server failed before a response began.
            CallerGone: the caller disconnected.
        """
        if leg.server.breaker is not None:  # the call was admitted when it began
            leg.permit = leg.server.breaker.admit_anyway(tool=called_tool(leg))

        async def opened(_: ClientSpan) -> UpstreamResponse:
            return await made_response(self._messages(exchange, services))

        return await send_and_shape(exchange, leg, span, services.shaper, services.request_ids, opened=opened)

    async def _messages(self, exchange: Exchange, services: PipelineServices) -> AsyncGenerator[MadeMessage]:
        params = exchange.message.params if exchange.message is not None else {}
        authorization = exchange.request.headers.get("authorization", "")
        answer = CallAnswer(CallRound.of(exchange), given_inputs(params), authorization)
        going_on = services.continuations.resume(self._state.handle, answer.written(), owner=owner_of(exchange))
        try:
            async for text in going_on:
                yield MadeMessage.unpacked(text)
        finally:
            await going_on.aclose()
