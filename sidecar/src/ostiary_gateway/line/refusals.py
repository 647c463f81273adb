"""Refusals on the wire: an answer of our own in the form that its caller can read."""

from typing import Final

from aiohttp import web

from ostiary_core import strict_json
from ostiary_core.mcp import codes
from ostiary_gateway.errors import Refusal
from ostiary_gateway.line.exchange import Message
from ostiary_gateway.line.forward import JSON

#: Where no answer can carry a JSON-RPC error (GET, DELETE, notifications) the HTTP status tells.
_PLAIN_STATUS: Final = {
    codes.UPSTREAM_UNAVAILABLE: 503,
    codes.UPSTREAM_TIMEOUT: 504,
    codes.UPSTREAM_INVALID: 502,
    codes.TOO_LARGE: 502,
    codes.POLICY_INVALID: 503,
    codes.DENIED: 403,
}


def response_for(refusal: Refusal, message: Message | None) -> web.Response:
    """Return the HTTP answer of a refusal: a JSON-RPC error for a request, else a small JSON object."""
    status = refusal.status
    if refusal.code is None:
        body = strict_json.dumps({"error": refusal.reason, "message": refusal.message})
    else:
        is_request = message is not None and message.is_request
        if status == 200 and not is_request:
            status = _PLAIN_STATUS.get(refusal.code, 400)
        error = {"code": refusal.code, "message": refusal.message}
        if refusal.data is not None:
            error["data"] = refusal.data
        body = strict_json.dumps({"jsonrpc": "2.0", "id": message.id if message is not None else None, "error": error})
    return web.Response(body=body, status=status, headers={"Content-Type": JSON, **refusal.headers})
