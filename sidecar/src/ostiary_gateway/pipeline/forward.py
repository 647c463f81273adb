"""Forward: refuse loops, and send the message upstream.

Nothing that the caller sent is forwarded by accident: no Authorization, cookies, Origin or baggage, only what MCP
defines. Headers are our own, and the body is our own serialisation of the message that was judged.
"""

import re
import sys
from collections.abc import Awaitable
from functools import lru_cache, partial
from typing import Any, Final

from ostiary_core import strict_json
from ostiary_core.errors import StrictJSONError
from ostiary_core.mcp.methods import REPEATABLE
from ostiary_core.mcp.protocol_revisions import MODERN
from ostiary_gateway.errors import Refusal, UpstreamFault
from ostiary_gateway.limits.checks import release_tree_bytes
from ostiary_gateway.pipeline.content import mirrored_arguments
from ostiary_gateway.pipeline.continuations.server_states import digest_of
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.leg import Leg
from ostiary_gateway.pipeline.message import Message
from ostiary_gateway.pipeline.message_members import invalid
from ostiary_gateway.pipeline.mirrored_headers import encoded
from ostiary_gateway.pipeline.passed_on_credential import passed_on
from ostiary_gateway.pipeline.pinned_sessions.session_endpoint import endpoint_of
from ostiary_gateway.pipeline.response_head import judge_head
from ostiary_gateway.telemetry import ClientSpan
from ostiary_gateway.upstream import faults, via
from ostiary_gateway.upstream.endpoint import UpstreamEndpoint
from ostiary_gateway.upstream.http1 import request_head as http1
from ostiary_gateway.upstream.http1.upstream_response import UpstreamResponse

#: Up to this body size in bytes the parsed tree is not freed early: it takes at most about 20 KiB.
_SMALL: Final = 512
#: The longest id of a session whose headers are remembered, in characters.
_LONGEST_ID: Final = 256
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


def upstream_lines(exchange: Exchange, leg: Leg, span: ClientSpan) -> bytes:
    """Return this request's headers for the upstream, without those of every request.

    Raises:
        Refusal: a header of the caller that would be forwarded is invalid.
    """
    attempts = leg.attempts
    if attempts is None:
        lines = _lines(exchange, leg)
    elif attempts.lines is None:
        lines = attempts.lines = _lines(exchange, leg)
    else:
        lines = attempts.lines  # parameters were compared with the message, which is dropped by now
    context = span.headers()
    if not context:
        return lines
    return lines + (http1.trusted_lines(context) if context is span.context else http1.lines(context))


def _lines(exchange: Exchange, leg: Leg) -> bytes:
    """Return the headers that each attempt to send a leg has."""
    message = leg.message
    upstream_id = leg.session.upstream_id if leg.session is not None else ""
    if message is None or message.era is MODERN or exchange.content is not None or len(upstream_id) > _LONGEST_ID:
        lines = _other_lines(exchange, leg)
    else:
        lines = _legacy_lines(upstream_id, message.revision)
    if (given := passed_on(exchange, leg.server)) is not None:
        lines += http1.private_line("Authorization", given)
    return lines


@lru_cache(maxsize=1024)
def _legacy_lines(upstream_id: str, revision: str) -> bytes:
    """Return the headers of the messages of a legacy session; it has none that are empty."""
    headers = {"Mcp-Session-Id": upstream_id, "MCP-Protocol-Version": revision}
    return http1.lines({name: value for name, value in headers.items() if value})


def _other_lines(exchange: Exchange, leg: Leg) -> bytes:
    """Return the headers of a modern message, of a GET, and of one with headers of its own."""
    request, message, session = exchange.request, leg.message, leg.session
    headers: dict[str, str] = {}
    if session is not None and session.upstream_id:
        headers["Mcp-Session-Id"] = session.upstream_id
    if message is None:
        last = request.headers.get("last-event-id") if leg.last_event_id is None else leg.last_event_id
        if last is not None and leg.last_event_id != "":
            headers["Last-Event-ID"] = _passable(last)
        revision = session.revision if session is not None else request.headers.get("mcp-protocol-version", "")
    else:
        revision = message.revision
        if message.era is MODERN:
            _mirror(exchange, leg, message, headers)
    if revision:
        headers["MCP-Protocol-Version"] = revision
    content = exchange.content
    if content is not None and content.headers is not None and message is not None:
        headers |= content.headers_for(leg.server, request)
    return http1.lines(headers) if headers else b""


def _passable(event_id: str) -> str:
    if _PASSABLE.fullmatch(event_id) is None:
        raise Refusal(400, "InvalidHeader", "The header Last-Event-ID is not the id of an event")
    return event_id


def _mirror(exchange: Exchange, leg: Leg, message: Message, headers: dict[str, str]) -> None:
    """Write the routing headers from the body, and forward mirrored parameters."""
    if message.method is not None:
        headers["Mcp-Method"] = message.method.name
    if message.name:
        headers["Mcp-Name"] = encoded(message.name)
    if leg.parameters is not None:
        headers.update(leg.parameters)
        return
    headers.update(mirrored_arguments.parameters_for(exchange, leg.server, message))


async def forward(exchange: Exchange, leg: Leg, span: ClientSpan) -> UpstreamResponse:
    """Send a leg to its server, check the head of the response and return it.

    The caller must close it.

    Raises:
        Refusal: the message cannot be sent, or the upstream refused something that is not a request.
        UpstreamFault: the upstream failed.
    """
    try:
        lines = upstream_lines(exchange, leg, span)
    except UpstreamFault as fault:  # an invalid header of the caller is not a fault of the server
        raise faults.refusal(fault) from fault
    message = leg.message
    response = await _sent(exchange, leg, span, lines)
    try:
        if response.endpoint is not None:
            span.reach(response.endpoint.peer)
            leg.preferred = response.endpoint.key
        if leg.instead is not None and message is not None:
            _free(exchange, message)
        judging = judge_head(exchange, leg, response)
        if judging is not None:
            await judging
    except BaseException:
        response.close()
        raise
    return response


def _sent(exchange: Exchange, leg: Leg, span: ClientSpan, lines: bytes) -> Awaitable[UpstreamResponse]:
    """Send a leg, and return what to await for the response with its head."""
    message, server, attempts = leg.message, leg.server, leg.attempts
    method = "POST" if message is not None else exchange.request.method  # a GET may be bridged to a POST
    caller = exchange.upstream_caller if server.needs_caller else None
    # The body gets no name: that would keep it in memory until the response arrives.
    if attempts is not None:
        return attempts.request(method, lines, _body(exchange, leg, span), passed=exchange.passed, caller=caller)
    return server.request(
        method,
        lines,
        _body(exchange, leg, span),
        passed=exchange.passed,
        # It may be sent again although the server may already have received it.
        repeatable=message is None or (message.method is not None and message.method.name in REPEATABLE),
        caller=caller,
        transmission=exchange.limit_use,
        endpoint=_endpoint(leg),
    )


def _endpoint(leg: Leg) -> UpstreamEndpoint | None:
    """Return the endpoint that gets a leg; None where the server chooses.

    Raises:
        UpstreamFault: the one that has the session is gone.
    """
    server = leg.server
    if leg.session is not None:
        return endpoint_of(server, leg.session.endpoint)
    return server.endpoints.pick(leg.preferred) if leg.preferred and server.endpoints is not None else None


def _body(exchange: Exchange, leg: Leg, span: ClientSpan) -> bytes | None:
    """Serialise the message, and free its parsed tree unless another server may get it."""
    message, attempts = leg.message, leg.attempts
    if message is None:
        return None
    if attempts is not None and attempts.body is not None:
        return attempts.body_in(span)
    if leg.sent is not None:
        return leg.sent
    body = upstream_body(message, span)
    if leg.is_kept:
        leg.sent = body
    if attempts is not None:
        attempts.keep(body, span)
    if leg.instead is None:
        if attempts is not None and attempts.is_opened:
            attempts.on_final = partial(_free, exchange, message, size=len(body))
        else:
            _free(exchange, message, size=len(body))
    return body


def _free(exchange: Exchange, message: Message, *, size: int = sys.maxsize) -> None:
    """Free the parsed tree of a message that need not be sent again."""
    if exchange.content is not None:
        exchange.content.free()
    if size > _SMALL:
        leg = exchange.leg
        if leg is not None and leg.states is not None and not leg.digest:
            leg.digest = digest_of(exchange)  # a state that the server may send is bound to the params
        message.drop_body()
        if exchange.message is not None and exchange.message is not message:
            exchange.message.drop_body()
    if exchange.reservation.tree_bytes:
        release_tree_bytes(exchange.reservation)


async def cancel_duplicates(exchange: Exchange, leg: Leg, span: ClientSpan) -> None:
    """Cancel each further request in flight with the same id, see :mod:`.request_ids`.

    Raises:
        Refusal, UpstreamFault: see :func:`forward`.
    """
    params = leg.message.params if leg.message is not None else {}
    first, attempts = params["requestId"], leg.attempts
    leg.attempts = None  # each is a request of its own
    for params["requestId"] in exchange.cancels_too:
        (await forward(exchange, leg, span)).close()
    params["requestId"], leg.attempts = first, attempts
