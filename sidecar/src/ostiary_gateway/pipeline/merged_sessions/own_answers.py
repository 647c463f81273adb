"""Answers that the gateway makes itself for an endpoint of several servers."""

from collections.abc import Mapping
from typing import Any

from ostiary_core import strict_json
from ostiary_core.errors import StrictJSONError
from ostiary_core.mcp.protocol_revisions import MODERN
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.media_types import JSON_HEADERS
from ostiary_gateway.pipeline import jsonrpc
from ostiary_gateway.pipeline.content.shape_content import shaped_own_answer
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.json_response import report_response
from ostiary_gateway.server.response import Response
from ostiary_gateway.telemetry import ServerSpan
from ostiary_gateway.upstream import faults


def result_of_ours(
    exchange: Exchange, span: ServerSpan, result: Mapping[str, Any], *, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a result as the response to the caller's request.

    Raises:
        UpstreamFault: it holds something of a server that JSON cannot represent.
    """
    return _response(exchange, span, {"result": dict(result)}, headers or {})


def error_of_server(exchange: Exchange, span: ServerSpan, error: Mapping[str, Any]) -> Response:
    """Return the JSON-RPC error of a server as the response to the caller's request.

    Raises:
        UpstreamFault: it holds something that JSON cannot represent.
    """
    return _response(exchange, span, {"error": dict(error)}, {})


def modern_result(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return a result of our own as the newest revision wants it."""
    return {"resultType": "complete", **result}


def accepted() -> Response:
    """Return the response to a notification."""
    return Response(202)


def _response(exchange: Exchange, span: ServerSpan, payload: dict[str, Any], headers: Mapping[str, str]) -> Response:
    message = {"jsonrpc": "2.0", "id": exchange.request_id, **payload}
    try:
        message = shaped_own_answer(exchange, message)
        text = strict_json.dumps(message)
    except StrictJSONError as error:
        raise UpstreamFault(faults.INVALID, f"its answer cannot be written: {error}") from None
    report_response(exchange, message)
    outcome = jsonrpc.outcome(message)
    span.respond(code=outcome.code, message=outcome.message, is_error=outcome.tool_error)
    return Response(200, text, {**JSON_HEADERS, **headers})


def is_modern(exchange: Exchange) -> bool:
    """Return whether the caller's message is of the newest revision, which has no sessions."""
    return exchange.message is not None and exchange.message.era is MODERN
