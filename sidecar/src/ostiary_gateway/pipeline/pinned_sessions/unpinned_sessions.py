"""Sessions whose ids do not say which endpoint has them.

Their clients initialized before their server had endpoints. An endpoint that answers HTTP 404 knows no such session,
and has carried out nothing (specification, Session Management). So each endpoint is asked in turn, and the one that
knows the session gets its requests from then on.
"""

from typing import Final

from ostiary_gateway.errors import Refusal
from ostiary_gateway.pipeline.bridged import era_fallback
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.http_checks import is_session_not_found, session_not_found
from ostiary_gateway.pipeline.leg import Leg
from ostiary_gateway.pipeline.pinned_sessions.session_endpoint import lost_with
from ostiary_gateway.pipeline.send_and_shape import send_and_shape
from ostiary_gateway.pipeline.services import PipelineServices
from ostiary_gateway.server.response import Response
from ostiary_gateway.session_ids import UpstreamSession
from ostiary_gateway.telemetry import ServerSpan
from ostiary_gateway.telemetry.session_counts import FORGOTTEN, SESSIONS
from ostiary_gateway.upstream.endpoint import UpstreamEndpoint
from ostiary_gateway.upstream.endpoint_set import EndpointSet

#: The most endpoints that are asked for one request.
MOST_ASKED: Final = 16


async def send_to_any(
    exchange: Exchange,
    leg: Leg,
    endpoints: EndpointSet,
    session: UpstreamSession,
    span: ServerSpan,
    services: PipelineServices,
) -> Response | None:
    """Send a leg in its session to the endpoint that has it, which is looked for.

    Raises:
        Refusal: 404, none of them has the session; or its server failed before a response began.
        CallerGone: the caller disconnected.
    """
    asked: set[UpstreamEndpoint] = set()
    while len(asked) < MOST_ASKED and (chosen := _next(exchange, endpoints, session, asked, services)) is not None:
        asked.add(chosen)
        leg.is_kept = True
        leg.session = UpstreamSession(session.upstream_id, session.revision, endpoint=chosen.key)
        try:
            response = await _send(exchange, leg, span, services)
        except Refusal as refusal:
            if not is_session_not_found(refusal) and not lost_with(refusal, leg.session):
                raise
            continue
        services.found_endpoints.note(exchange.proxy.uid, leg.session)
        return response
    SESSIONS.note_refused(exchange.proxy.identity, FORGOTTEN)
    raise session_not_found()


async def _send(exchange: Exchange, leg: Leg, span: ServerSpan, services: PipelineServices) -> Response | None:
    if era_fallback.is_settled(exchange, leg):
        return await send_and_shape(exchange, leg, span, services.shaper, services.request_ids)
    return await era_fallback.send(exchange, leg, span, services)


def _next(
    exchange: Exchange,
    endpoints: EndpointSet,
    session: UpstreamSession,
    asked: set[UpstreamEndpoint],
    services: PipelineServices,
) -> UpstreamEndpoint | None:
    """Return the next endpoint to ask, None if there is none."""
    known = endpoints.find(services.found_endpoints.of(exchange.proxy.uid, session))
    return known if known is not None and known not in asked else endpoints.another(asked)
