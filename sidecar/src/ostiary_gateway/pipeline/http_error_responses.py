"""Turn a server's refusal by HTTP status into a JSON-RPC error with the same status.

Servers refuse some requests (one outside a session, an unknown revision) before they read the id. They answer with a
JSON-RPC error without an id, or with an id of the server's own ("server-error"), or with plain text. Each arrives on
the connection of the request that it refuses, so it gets that request's id. Plain text goes into our telemetry only:
proxies answer in that way, too, and their text may describe a network.
"""

from collections.abc import Mapping
from typing import Any, Final

from ostiary_core import strict_json
from ostiary_core.errors import StrictJSONError
from ostiary_core.mcp import codes
from ostiary_core.mcp.protocol_revisions import LEGACY
from ostiary_gateway.errors import Refusal, UpstreamFault
from ostiary_gateway.media_types import JSON_HEADERS
from ostiary_gateway.pipeline import jsonrpc, server_revisions
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.jsonrpc import ResponseSummary
from ostiary_gateway.pipeline.large_messages import is_light
from ostiary_gateway.pipeline.leg import Leg
from ostiary_gateway.pipeline.refusal_responses import error_message
from ostiary_gateway.pipeline.response_head import refuses_in_text, retry_after_ms
from ostiary_gateway.server.response import Response
from ostiary_gateway.upstream.health import printable
from ostiary_gateway.upstream.http1.upstream_response import UpstreamResponse

#: The number of bytes of a server's text that are read.
_WORDS_BYTES: Final = 2048


def rejection(
    exchange: Exchange, leg: Leg, response: UpstreamResponse, text: bytes
) -> tuple[Response, ResponseSummary] | None:
    """Return the response where a server refuses its request, and its summary.

    It is None for any other response. The HTTP status of ``response`` must be an error.
    """
    if refuses_in_text(response):
        return _of_text(exchange, response, text)
    message = _error_of_no_request(exchange, response, text)
    if message is None:
        return None
    server_revisions.learn(exchange, message)
    message = {**message, "id": exchange.request_id}
    try:
        body = strict_json.dumps(message)
    except StrictJSONError:
        return None
    if leg.translation is not None:
        body = leg.translation.response(body, message)
    return Response(response.status, body, headers(response)), jsonrpc.outcome(message)


def _error_of_no_request(exchange: Exchange, response: UpstreamResponse, text: bytes) -> dict[str, Any] | None:
    """Return an error that does not have the id of its request.

    From HTTP 500 on it must have no id at all.
    """
    if not is_light(text):
        return None  # no error is that large, and parsing it here would delay other requests
    try:
        message = jsonrpc.read(text)
    except UpstreamFault:
        return None
    is_error = "method" not in message and "result" not in message and jsonrpc.is_error(message.get("error"))
    if not is_error or jsonrpc.is_response_to(message, exchange.upstream_id):
        return None
    return message if message.get("id") is None or response.status < 500 else None


def _of_text(exchange: Exchange, response: UpstreamResponse, text: bytes) -> tuple[Response, ResponseSummary]:
    refusal = Refusal(
        response.status, "UpstreamRefused", _refusal_text(exchange, response.status), code=codes.INVALID_REQUEST
    )
    error = error_message(refusal, exchange.request_id)
    server_revisions.learn(exchange, error)
    words = f"HTTP {response.status}: {printable(text[:_WORDS_BYTES].decode('utf-8', 'replace'))}"
    return Response(response.status, strict_json.dumps(error), headers(response)), ResponseSummary(
        codes.INVALID_REQUEST, words
    )


def _refusal_text(exchange: Exchange, status: int) -> str:
    words = f"The MCP server refused this request with HTTP {status}"
    message = exchange.message
    outside = exchange.session is None and message is not None and message.era is LEGACY
    return f"{words}; it may require initialize first, and the session that this opens" if outside else words


def headers(response: UpstreamResponse) -> Mapping[str, str]:
    """Return the headers of a document with an HTTP error status.

    They are its type, and when to retry at an overloaded server.
    """
    wait = retry_after_ms(response) if response.status in (429, 503) else None
    return {**JSON_HEADERS, "Retry-After": str(wait // 1000)} if wait is not None else JSON_HEADERS
