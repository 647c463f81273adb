"""Refusals on the wire: an answer of our own in the form that its caller can read."""

from typing import Any, Final

from ostiary_core import strict_json
from ostiary_core.mcp import codes
from ostiary_gateway.errors import Refusal
from ostiary_gateway.media_types import JSON
from ostiary_gateway.server.response import Response

#: Where no answer can carry a JSON-RPC error (GET, DELETE, notifications) the HTTP status tells.
_PLAIN_STATUS: Final = {
    codes.UPSTREAM_UNAVAILABLE: 503,
    codes.UPSTREAM_TIMEOUT: 504,
    codes.UPSTREAM_INVALID: 502,
    codes.TOO_LARGE: 502,
    codes.POLICY_INVALID: 503,
    codes.DENIED: 403,
}


def response_for(refusal: Refusal, request_id: str | int | None) -> Response:
    """Return the HTTP answer of a refusal: a JSON-RPC error, or a small JSON object where it has no code.

    ``request_id`` is the id of the request that is refused; None where there is none to answer.
    """
    status = refusal.status
    if refusal.code is None:
        body = strict_json.dumps({"error": refusal.reason, "message": refusal.message})
    else:
        body = strict_json.dumps(error_message(refusal, request_id))
        if status == 200 and request_id is None:
            status = _PLAIN_STATUS.get(refusal.code, 400)
    return Response(status, body, {"Content-Type": JSON, **refusal.headers}, close=refusal.close)


def error_message(refusal: Refusal, request_id: str | int | None) -> dict[str, Any]:
    """Return the JSON-RPC error of a refusal that has a code."""
    error: dict[str, Any] = {"code": refusal.code, "message": refusal.message}
    if refusal.data is not None:
        error["data"] = refusal.data
    return {"jsonrpc": "2.0", "id": request_id, "error": error}
