"""Forward: refuse loops, send the message upstream, judge the head of the response.

Nothing that the caller sent is forwarded by accident: no Authorization, cookies, Origin or baggage, only what MCP
defines. Headers are our own, and the body is our own serialisation of the message that was judged.
"""

import asyncio
import math
import re
from typing import Any, Final

from ostiary_core import strict_json
from ostiary_core.errors import StrictJSONError
from ostiary_core.mcp.methods import REPEATABLE
from ostiary_core.mcp.protocol_revisions import MODERN
from ostiary_core.policy.principal import PASSTHROUGH
from ostiary_gateway.errors import Refusal, UpstreamFault
from ostiary_gateway.limits.checks import release_tree_bytes
from ostiary_gateway.media_types import JSON
from ostiary_gateway.pipeline import mirrored_parameters
from ostiary_gateway.pipeline.exchange import Exchange, Message
from ostiary_gateway.pipeline.http_checks import session_not_found
from ostiary_gateway.pipeline.message_members import invalid
from ostiary_gateway.pipeline.mirrored_headers import encoded, mismatch
from ostiary_gateway.telemetry import ClientSpan
from ostiary_gateway.upstream import faults, redirects, via
from ostiary_gateway.upstream.health import printable
from ostiary_gateway.upstream.http1 import request_head as http1
from ostiary_gateway.upstream.http1.upstream_response import UpstreamResponse

_PARAM_LIMIT: Final = 64
#: Up to this body size in bytes the parsed tree is not freed early: it takes at most about 20 KiB.
_SMALL: Final = 512
_RETRY_AFTER_LIMIT: Final = 3600
#: Limits for the text that a server sends with a status outside MCP: bytes read, seconds waited, characters reported.
_WORDS_BYTES: Final = 2048
_WORDS_SECONDS: Final = 0.5
_WORDS_LENGTH: Final = 160
#: Bad request, conflict, gone, unprocessable: statuses with which servers refuse a request.
_TEXT_STATUSES: Final = frozenset({400, 409, 410, 422})
_TEXT_TYPES: Final = frozenset({"", "text/plain"})
#: The allowed characters and length of a caller's header that is forwarded.
_PASSABLE: Final = re.compile(r"[\x20-\x7e]{1,2048}")


def check_loop(exchange: Exchange) -> None:
    """Record which proxies a request with the header ``Via`` has passed, and refuse a loop.

    Raises:
        Refusal: this proxy is among them, or there are too many.
    """
    exchange.passed = via.earlier(exchange.request.headers["via"])
    if exchange.proxy.server.mark in exchange.passed:
        raise faults.refusal(UpstreamFault(faults.LOOP, "a request came back to this MCPProxy"))
    if len(exchange.passed) >= via.MOST:
        raise faults.refusal(UpstreamFault(faults.LOOP, f"a request has passed {len(exchange.passed)} proxies"))


def upstream_body(message: Message, span: ClientSpan) -> bytes:
    """Serialise the message with our trace context in ``_meta``, not the caller's (SEP-414).

    Raises:
        Refusal: it holds something that JSON cannot represent.
    """
    if message.method is not None:
        _put_context(message.body, span)
    try:
        return strict_json.dumps(message.body)
    except StrictJSONError as error:
        raise invalid(f"The message cannot be forwarded: {error}") from None


def _put_context(body: dict[str, Any], span: ClientSpan) -> None:
    params = body.get("params")
    meta = params.get("_meta") if params is not None else None
    if meta is not None:
        span.inject(meta)
    elif context := span.context:
        body["params"] = {**params, "_meta": context} if params else {"_meta": context}


def upstream_lines(exchange: Exchange, span: ClientSpan) -> bytes:
    """Return this request's headers for the upstream, without those of every request.

    Raises:
        Refusal: a header of the caller that would be forwarded is invalid.
    """
    request, message, session = exchange.request, exchange.message, exchange.session
    headers: dict[str, str] = {}
    if session is not None:
        headers["Mcp-Session-Id"] = session.upstream_id
    if message is None:
        if "last-event-id" in request.headers:
            headers["Last-Event-ID"] = _passable(request.headers["last-event-id"])
        revision = session.revision if session is not None else request.headers.get("mcp-protocol-version", "")
    else:
        revision = message.revision
        if message.era is MODERN:
            _mirror(exchange, message, headers)
    if revision:
        headers["MCP-Protocol-Version"] = revision
    lines = http1.lines(headers) if headers else b""
    if (
        exchange.principal is PASSTHROUGH
        and "authorization" in request.headers
        and not exchange.selected.credential.is_set  # which the server gets in its place
    ):
        lines += http1.private_line("Authorization", request.headers["authorization"])
    context = span.context
    return lines + http1.trusted_lines(context) if context else lines


def _passable(event_id: str) -> str:
    if _PASSABLE.fullmatch(event_id) is None:
        raise Refusal(400, "InvalidHeader", "The header Last-Event-ID is not the id of an event")
    return event_id


def _mirror(exchange: Exchange, message: Message, headers: dict[str, str]) -> None:
    """Write the routing headers from the body, and forward mirrored parameters."""
    caller = exchange.request
    if message.method is not None:
        headers["Mcp-Method"] = message.method.name
    if message.name:
        headers["Mcp-Name"] = encoded(message.name)
    parameters = {name: value for name, value in caller.headers.items() if name.startswith(mirrored_parameters.PREFIX)}
    if not parameters:
        return
    if len(parameters) > _PARAM_LIMIT or not caller.repeated.isdisjoint(parameters):
        raise mismatch("Too many, or repeated, Mcp-Param headers")
    mirrored_parameters.check(exchange.selected, message, parameters)
    headers.update(parameters)


async def forward(exchange: Exchange, span: ClientSpan) -> UpstreamResponse:
    """Send the exchange upstream, check the head of the response and return it.

    The caller must close it.

    Raises:
        Refusal: the message cannot be sent, or the upstream refused something that is not a request.
        UpstreamFault: the upstream failed.
    """
    try:
        lines = upstream_lines(exchange, span)
    except UpstreamFault as fault:  # an invalid header of the caller is not a fault of the server
        raise faults.refusal(fault) from fault
    message = exchange.message
    # It may be sent again although the server may already have received it.
    repeatable = message is None or (message.method is not None and message.method.name in REPEATABLE)
    # The body gets no name: that would keep it in memory until the response arrives.
    response = await exchange.selected.request(
        exchange.request.method, lines, _body(exchange, span), passed=exchange.passed, repeatable=repeatable
    )
    try:
        await _judge_head(exchange, response)
    except BaseException:
        response.close()
        raise
    return response


def _body(exchange: Exchange, span: ClientSpan) -> bytes | None:
    """Serialise the message, and free its parsed tree."""
    message = exchange.message
    if message is None:
        return None
    body = upstream_body(message, span)
    if len(body) > _SMALL:
        message.drop_body()
    if exchange.reservation.tree_bytes:
        release_tree_bytes(exchange.reservation)
    return body


async def cancel_duplicates(exchange: Exchange, span: ClientSpan) -> None:
    """Cancel each further request in flight with the same id, see :mod:`.request_ids`.

    Raises:
        Refusal, UpstreamFault: see :func:`forward`.
    """
    params = exchange.message.params if exchange.message is not None else {}
    first = params["requestId"]
    for params["requestId"] in exchange.cancels_too:
        (await forward(exchange, span)).close()
    params["requestId"] = first


async def _judge_head(exchange: Exchange, response: UpstreamResponse) -> None:
    """Raise for a response that is not MCP.

    Raises:
        Refusal: 404 for a session that the upstream has forgotten, and the upstream's own status for something that is
            not a request and cannot be answered otherwise.
        UpstreamFault: anything else that is not MCP.
    """
    status = response.status
    if response.encoded:
        raise UpstreamFault(faults.INVALID, "the response is compressed, which was not requested")
    if status < 300:
        return
    if status == 404 and exchange.session is not None:
        raise session_not_found()
    if status < 400:
        where = redirects.shown(response.header("location"))
        raise UpstreamFault(faults.REDIRECTED, f"the upstream answered HTTP {status} and redirects to {where}")
    if status in (401, 407) or (status == 403 and response.header("www-authenticate") is not None):
        relayed = _relayed(exchange, response)
        if relayed is not None:
            raise relayed
        # Its challenge would send the client to another party's authorization server.
        raise UpstreamFault(exchange.selected.credential.refused_by(status), f"the upstream answered HTTP {status}")
    if status in (403, 421):
        words = await _response_text(response)
        host = f"(the gateway sends Host: {exchange.selected.host})"
        raise UpstreamFault(faults.HOST_REFUSED, f"the upstream answered HTTP {status}{words} {host}")
    if exchange.awaits_response and (response.content_type == JSON or refuses_in_text(response)):
        return  # it may be a JSON-RPC error with the HTTP status that the specification gives it
    if not exchange.awaits_response and not _is_overload(status):
        raise _passed_on(exchange, status)
    raise http_fault(response)


def _relayed(exchange: Exchange, response: UpstreamResponse) -> Refusal | None:
    """Return the refusal of a server that authenticates the callers of this proxy itself."""
    authenticator = exchange.proxy.authenticator
    if authenticator is None or response.status == 407:
        return None
    challenge = response.header("www-authenticate") or ""
    return authenticator.relay_challenge(exchange.request, exchange.snapshot, response.status, challenge)


async def _response_text(response: UpstreamResponse) -> str:
    """Return the start of a response's text for the operator.

    It is empty if the server sends none in time.

    The text becomes one harmless line (:func:`ostiary_gateway.upstream.health.printable`).
    """
    found = b""
    try:
        async with asyncio.timeout(_WORDS_SECONDS):
            while len(found) < _WORDS_BYTES and (piece := await response.read_some(_WORDS_SECONDS)):
                found += piece
    except (TimeoutError, UpstreamFault):
        pass  # use what has arrived
    words = printable(found[:_WORDS_BYTES].decode("utf-8", "replace"), limit=_WORDS_LENGTH)
    return f": {words}" if words else ""


def _passed_on(exchange: Exchange, status: int) -> Refusal:
    """Return the refusal for an upstream's error status on a GET, a DELETE or a notification.

    A GET must give a stream or exactly 405: other statuses end real clients, so statuses that mean "not here" become
    405.
    """
    if exchange.message is None and status in (404, 405, 501):
        return no_stream()
    return Refusal(status, "UpstreamRefused", f"The MCP server refused this with HTTP {status}")


def no_stream() -> Refusal:
    """Return the refusal where a server offers no GET or DELETE."""
    return Refusal(
        405, "MethodNotAllowed", "The MCP server does not support this HTTP method here", headers={"Allow": "POST"}
    )


def refuses_in_text(response: UpstreamResponse) -> bool:
    """Return whether a response is a server's refusal in plain text, typed so or untyped.

    404 is not among the statuses: without a session it means that there is no MCP server at this URL.
    """
    return response.status in _TEXT_STATUSES and response.content_type in _TEXT_TYPES


def _is_overload(status: int) -> bool:
    return status == 429 or (status >= 500 and status != 501)


def http_fault(response: UpstreamResponse) -> UpstreamFault:
    """Return the fault for an HTTP error status that came without a JSON-RPC response."""
    words = f"the upstream answered HTTP {response.status}"
    if _is_overload(response.status):
        return UpstreamFault(faults.UNAVAILABLE, words, retry_after_ms=retry_after_ms(response))
    return UpstreamFault(faults.INVALID, words)


def retry_after_ms(response: UpstreamResponse) -> int | None:
    """Return a Retry-After in milliseconds; None unless it is given in seconds."""
    text = response.header("retry-after") or ""
    if not (text.isascii() and text.isdecimal()) or len(text) > 9:
        return None
    return math.ceil(min(int(text), _RETRY_AFTER_LIMIT) * 1000)
