"""Write refusals as HTTP responses that the caller can read.

A refusal becomes a JSON-RPC error, or a small JSON object where it has no code.
"""

import logging
from typing import Any, Final

from ostiary_core import strict_json
from ostiary_core.mcp import codes
from ostiary_core.mcp.protocol_revisions import MODERN, Era
from ostiary_gateway.errors import Refusal
from ostiary_gateway.media_types import JSON, JSON_HEADERS
from ostiary_gateway.server.response import Response

_log = logging.getLogger(__name__)

#: Where no response can carry a JSON-RPC error (GET, DELETE, notifications), the HTTP status reports it.
_PLAIN_STATUS: Final = {
    codes.UPSTREAM_UNAVAILABLE: 503,
    codes.UPSTREAM_TIMEOUT: 504,
    codes.UPSTREAM_INVALID: 502,
    codes.TOO_LARGE: 502,
    codes.POLICY_INVALID: 503,
    codes.DENIED: 403,
}


def response_for(refusal: Refusal, request_id: str | int | None) -> Response:
    """Return the HTTP response to a refused request.

    It is a JSON-RPC error, or a small JSON object where the refusal has no code.

    ``request_id`` is the id of the refused request; None where it has none. A refusal with a ``result`` is answered
    with that result.
    """
    status = refusal.status
    if refusal.code is None:
        body = strict_json.dumps({"error": refusal.reason, "message": refusal.message})
    else:
        body = strict_json.dumps(message_for(refusal, request_id))
        if status == 200 and request_id is None:
            status = _PLAIN_STATUS.get(refusal.code, 400)
    headers = {"Content-Type": JSON, **refusal.headers} if refusal.headers else JSON_HEADERS
    return Response(status, body, headers, close=refusal.close)


def message_for(refusal: Refusal, request_id: str | int | None) -> dict[str, Any]:
    """Return the JSON-RPC message of a refusal that has a code: its result, or an error."""
    if refusal.result is not None:
        return {"jsonrpc": "2.0", "id": request_id, "result": refusal.result}
    return error_message(refusal, request_id)


def tool_error(words: str, era: Era) -> dict[str, Any]:
    """Return the result of a failed tool.

    ``words`` are for the model (specification, Tools, Error Handling).
    """
    result: dict[str, Any] = {"content": [{"type": "text", "text": words}], "isError": True}
    return {"resultType": "complete", **result} if era is MODERN else result


def error_message(refusal: Refusal, request_id: str | int | None) -> dict[str, Any]:
    """Return the JSON-RPC error of a refusal that has a code."""
    error: dict[str, Any] = {"code": refusal.code, "message": refusal.message}
    if refusal.data is not None:
        error["data"] = refusal.data
    return {"jsonrpc": "2.0", "id": request_id, "error": error}


def internal_error(error: Exception, request_id: str | int | None) -> Response:
    """Log a bug of ours, and return a response that the caller understands."""
    _log.error("a request failed: this is a bug of the gateway", exc_info=error)
    bug = Refusal(500, "InternalError", "Internal error", code=codes.INTERNAL_ERROR)
    return response_for(bug, request_id)


def draining() -> Refusal:
    """Return the refusal of new work while the gateway shuts down."""
    return _retry_later("Draining", "This gateway is shutting down")


def not_ready() -> Refusal:
    """Return the refusal of every request before the first config."""
    return _retry_later("NotReady", "This gateway has no config yet")


def _retry_later(reason: str, words: str) -> Refusal:
    return Refusal(503, reason, words, headers={"Retry-After": "1"}, close=True)
