"""Forward: the message to the upstream server, with headers of our own making, and the head of its answer back.

Nothing that the caller sent travels by accident: not his Authorization, cookies, Origin or baggage, only what MCP
defines. The body is what our serializer writes of what was judged.
"""

import math
from collections.abc import Mapping
from typing import Any, Final

import aiohttp

from ostiary_core import strict_json
from ostiary_core.errors import StrictJSONError
from ostiary_core.mcp.revisions import Era
from ostiary_gateway.errors import Refusal, UpstreamFault
from ostiary_gateway.line.exchange import Exchange, Message
from ostiary_gateway.line.frame import invalid
from ostiary_gateway.line.headers import encoded
from ostiary_gateway.line.identify import session_not_found
from ostiary_gateway.telemetry import ClientSpan
from ostiary_gateway.upstream import faults

JSON: Final = "application/json"
EVENT_STREAM: Final = "text/event-stream"
_BOTH: Final = f"{JSON}, {EVENT_STREAM}"
_PARAM_PREFIX: Final = "mcp-param-"
_PARAM_LIMIT: Final = 64
_RETRY_AFTER_LIMIT: Final = 3600


def upstream_body(message: Message, span: ClientSpan) -> bytes:
    """Serialise the message, with the trace context of our own span in ``_meta`` in place of the caller's (SEP-414).

    Raises:
        Refusal: it holds what JSON cannot carry.
    """
    if message.method is not None:
        _put_context(message.body, span)
    try:
        return strict_json.dumps(message.body)
    except StrictJSONError as error:
        raise invalid(f"The message cannot be passed on: {error}") from None


def _put_context(body: dict[str, Any], span: ClientSpan) -> None:
    params = body.get("params")
    meta = params.get("_meta") if params is not None else None
    if meta is not None:
        span.inject(meta)
    elif span.traceparent is not None:
        meta = {}
        span.inject(meta)
        body["params"] = {**(params or {}), "_meta": meta}


def upstream_headers(exchange: Exchange, span: ClientSpan) -> dict[str, str]:
    """Return the headers of the request to the upstream."""
    request, message, session = exchange.request, exchange.message, exchange.session
    headers = {"Accept-Encoding": "identity"}
    span.inject(headers)
    if session is not None:
        headers["Mcp-Session-Id"] = session.upstream_id
    if message is None:
        headers["Accept"] = EVENT_STREAM if request.method == "GET" else _BOTH
        _copy(request.headers, headers, "Last-Event-ID")
        revision = session.revision if session is not None else request.headers.get("MCP-Protocol-Version", "")
    else:
        headers["Accept"] = _BOTH
        headers["Content-Type"] = JSON
        revision = message.revision
        if message.era is Era.MODERN:
            _mirror(message, request.headers, headers)
    if revision:
        headers["MCP-Protocol-Version"] = revision
    return headers


def _copy(source: Mapping[str, str], target: dict[str, str], name: str) -> None:
    if name in source:
        target[name] = source[name]


def _mirror(message: Message, caller: Mapping[str, str], headers: dict[str, str]) -> None:
    """Write the routing headers from the body, and hand on the parameters that the caller mirrored."""
    if message.method is not None:
        headers["Mcp-Method"] = message.method.name
    if message.name:
        headers["Mcp-Name"] = encoded(message.name)
    mirrored = [(name, value) for name, value in caller.items() if name.lower().startswith(_PARAM_PREFIX)]
    if len(mirrored) > _PARAM_LIMIT or len({name.lower() for name, _ in mirrored}) != len(mirrored):
        raise Refusal(400, "HeaderMismatch", "Too many, or repeated, Mcp-Param headers", code=-32020)
    headers.update(dict(mirrored))


async def forward(exchange: Exchange, span: ClientSpan) -> aiohttp.ClientResponse:
    """Send the exchange upstream and return the answer's head, judged; the caller closes the response.

    Raises:
        Refusal: the message cannot be sent, or the upstream does not know the session.
        UpstreamFault: the upstream failed.
    """
    headers = upstream_headers(exchange, span)
    body = upstream_body(exchange.message, span) if exchange.message is not None else None
    response = await exchange.selected.request(exchange.request.method, headers, body)
    try:
        _judge_head(exchange, response)
    except BaseException:
        response.close()
        raise
    return response


def _judge_head(exchange: Exchange, response: aiohttp.ClientResponse) -> None:
    """Sort out the answers that are none.

    Raises:
        Refusal: 404 for a session that the upstream has forgotten, 405 where it offers no stream.
        UpstreamFault: anything else that is not MCP.
    """
    status = response.status
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UpstreamFault(faults.INVALID, "the answer is compressed although none was asked for")
    if status < 300:
        return
    if status == 404 and exchange.session is not None:
        raise session_not_found()
    if status == 405 and exchange.request.method != "POST":
        raise Refusal(405, "MethodNotAllowed", "The MCP server offers no stream here", headers={"Allow": "POST"})
    if status in (401, 403):
        raise UpstreamFault(faults.UNAUTHORIZED, f"the upstream answered HTTP {status}")
    if exchange.message is not None and content_type(response) == JSON and status >= 400:
        return  # perhaps a JSON-RPC error with the status that the specification gives it
    if status == 429 or status >= 500:
        raise UpstreamFault(faults.UNAVAILABLE, f"the upstream answered HTTP {status}", retry_after_ms=_wait(response))
    raise UpstreamFault(faults.INVALID, f"the upstream answered HTTP {status}")


def content_type(response: aiohttp.ClientResponse) -> str:
    """Return the media type of an answer, without its parameters."""
    return response.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def _wait(response: aiohttp.ClientResponse) -> int | None:
    """Return the milliseconds of a Retry-After in seconds, the form that servers use for overload."""
    text = response.headers.get("Retry-After", "")
    if not text.isdecimal() or len(text) > 9:
        return None
    return math.ceil(min(int(text), _RETRY_AFTER_LIMIT) * 1000)
