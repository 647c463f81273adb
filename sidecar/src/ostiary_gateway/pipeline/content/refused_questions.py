"""Tells a server that what it asks its client does not reach it.

A server of an earlier revision sends requests of its own: it asks for input, a completion, or roots. One that must not
pass is dropped, and its server would wait for a response that the client cannot give. So it gets an error from here.
"""

import asyncio
from typing import Any, Final

from ostiary_core import strict_json
from ostiary_core.mcp import codes
from ostiary_core.mcp.protocol_revisions import LEGACY_REVISIONS
from ostiary_core.steps import Awaited
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.large_messages import Steps
from ostiary_gateway.pipeline.leg import Leg
from ostiary_gateway.pipeline.merged_sessions.leg_translation import LegTranslation
from ostiary_gateway.pipeline.merged_sessions.server_message_ids import own_id
from ostiary_gateway.pipeline.own_request import OwnRequest
from ostiary_gateway.pipeline.server_request import own_span, report_fault, send_own
from ostiary_gateway.telemetry import ServerSpan
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.server import UpstreamServer

#: Seconds within which the server takes the error: its stream waits so long.
_SECONDS: Final = 5.0
_WITHHELD: Final = "This request holds something that must not reach the client, so it was not sent on"


def refusing_question(exchange: Exchange, leg: Leg, message: dict[str, Any]) -> Steps[None]:
    """Answer a request of a server with an error in place of its client, in steps.

    ``message`` is the request as the client would have got it. A server that cannot be told is left to its own time
    limit.
    """
    content = exchange.content
    request = _own_request(exchange, leg, message)
    if leg.bridge is not None or request is None or content is None or content.span is None:
        return
    span, error = content.span, {"code": codes.DENIED, "message": _WITHHELD}
    text = strict_json.dumps({"jsonrpc": "2.0", "id": _id(leg, message), "error": error})
    yield Awaited(lambda: _tell(exchange, leg.server, request, text, span))


def _own_request(exchange: Exchange, leg: Leg, message: dict[str, Any]) -> OwnRequest | None:
    """Return how the error is sent; None to a server whose revision has no such requests."""
    if leg.session is not None:
        revision, session_id, endpoint = leg.session.revision, leg.session.upstream_id or None, leg.session.endpoint
    else:
        revision, session_id, endpoint = exchange.message.revision if exchange.message is not None else "", None, b""
    if revision not in LEGACY_REVISIONS:
        return None
    return OwnRequest(str(message.get("method")), {}, revision, session_id, endpoint)


def _id(leg: Leg, message: dict[str, Any]) -> Any:
    """Return the id of a request as its server knows it."""
    found = own_id(message["id"]) if isinstance(leg.translation, LegTranslation) else None
    return found[1] if found is not None else message["id"]


async def _tell(exchange: Exchange, server: UpstreamServer, request: OwnRequest, text: bytes, span: ServerSpan) -> None:
    with own_span(span, server, request, None) as client:
        try:
            async with asyncio.timeout(_SECONDS):
                response = await send_own(exchange, server, request, text, client)
        except TimeoutError:
            words = f"the server did not take an error for {request.method} within {_SECONDS:g} s"
            report_fault(server, client, UpstreamFault(faults.TIMEOUT, words))
        except UpstreamFault as found:
            report_fault(server, client, found)
        else:
            response.close()
            client.respond(http_status=response.status)
