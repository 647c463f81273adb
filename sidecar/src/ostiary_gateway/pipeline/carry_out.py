"""Carry out the plan of a request: the stages after the selection."""

from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.plans import Fan, Local, One, Plan
from ostiary_gateway.pipeline.send_and_shape import send_and_shape
from ostiary_gateway.pipeline.services import PipelineServices
from ostiary_gateway.server.response import Response
from ostiary_gateway.telemetry import ServerSpan


async def carry_out(plan: Plan, exchange: Exchange, span: ServerSpan, services: PipelineServices) -> Response | None:
    """Carry out a plan, and return the response; None where it was sent as a stream.

    Raises:
        Refusal: no server answered before a response began.
        CallerGone: the caller disconnected.
    """
    if type(plan) is One:
        leg = plan.leg
        if leg.bridge is not None:
            return await leg.bridge.carry_out(exchange, leg, span, services)
        return await send_and_shape(exchange, leg, span, services.shaper, services.request_ids)
    if type(plan) is Fan:
        return await plan.answer(exchange, span, services)
    if type(plan) is Local:
        return await plan.answer(exchange)
    raise NotImplementedError(type(plan).__name__)
