"""Forward: the message to the upstream server, with headers of our own making, and the head of its answer back.

Nothing that the caller sent travels by accident: not his Authorization, cookies, Origin or baggage, only what MCP
defines. The body is what our serializer writes of what was judged.
"""

import asyncio
import math
import re
from typing import Any, Final

from ostiary_core import strict_json
from ostiary_core.errors import StrictJSONError
from ostiary_core.mcp.methods import REPEATABLE
from ostiary_core.mcp.revisions import MODERN
from ostiary_gateway.errors import Refusal, UpstreamFault
from ostiary_gateway.line import mirrored
from ostiary_gateway.line.exchange import Exchange, Message
from ostiary_gateway.line.frame import invalid
from ostiary_gateway.line.headers import encoded, mismatch
from ostiary_gateway.line.identify import session_not_found
from ostiary_gateway.line.limit import release_tree_bytes
from ostiary_gateway.media_types import JSON
from ostiary_gateway.telemetry import ClientSpan
from ostiary_gateway.upstream import faults, redirects
from ostiary_gateway.upstream.health import printable
from ostiary_gateway.upstream.http1 import request as http1
from ostiary_gateway.upstream.http1.answer import Answer

_PARAM_LIMIT: Final = 64
#: What a body of so many bytes was parsed to is not worth letting go of: at most some 20 KiB.
_SMALL: Final = 512
_RETRY_AFTER_LIMIT: Final = 3600
#: Of what a server says with a status that is none of MCP's so much is read, for so many seconds, and told.
_WORDS_BYTES: Final = 2048
_WORDS_SECONDS: Final = 0.5
_WORDS_LENGTH: Final = 160
#: Bad request, conflict, gone, unprocessable: what servers say of a request that they will not take.
_TEXT_STATUSES: Final = frozenset({400, 409, 410, 422})
_TEXT_TYPES: Final = frozenset({"", "text/plain"})
#: What a caller's own header may hold to be passed on.
_PASSABLE: Final = re.compile(r"[\x20-\x7e]{1,2048}")


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
    elif context := span.context:
        body["params"] = {**params, "_meta": context} if params else {"_meta": context}


def upstream_lines(exchange: Exchange, span: ClientSpan) -> bytes:
    """Return the headers of the request to the upstream, beside those that every request has.

    Raises:
        Refusal: a header of the caller that would be passed on cannot be.
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
    context = span.context
    return lines + http1.trusted_lines(context) if context else lines


def _passable(event_id: str) -> str:
    if _PASSABLE.fullmatch(event_id) is None:
        raise Refusal(400, "InvalidHeader", "The header Last-Event-ID is not the id of an event")
    return event_id


def _mirror(exchange: Exchange, message: Message, headers: dict[str, str]) -> None:
    """Write the routing headers from the body, and hand on the parameters that the caller mirrored."""
    caller = exchange.request
    if message.method is not None:
        headers["Mcp-Method"] = message.method.name
    if message.name:
        headers["Mcp-Name"] = encoded(message.name)
    parameters = {name: value for name, value in caller.headers.items() if name.startswith(mirrored.PREFIX)}
    if not parameters:
        return
    if len(parameters) > _PARAM_LIMIT or not caller.repeated.isdisjoint(parameters):
        raise mismatch("Too many, or repeated, Mcp-Param headers")
    mirrored.check(exchange.selected, message, parameters)
    headers.update(parameters)


async def forward(exchange: Exchange, span: ClientSpan) -> Answer:
    """Send the exchange upstream and return the answer's head, judged; the caller closes it.

    Raises:
        Refusal: the message cannot be sent, or the upstream refused what is no request.
        UpstreamFault: the upstream failed.
    """
    try:
        lines = upstream_lines(exchange, span)
    except UpstreamFault as fault:  # a caller's header that cannot be sent says nothing of the server
        raise faults.refusal(fault) from fault
    message = exchange.message
    # It may be sent again where it is not known whether the server has heard it.
    repeatable = message is None or (message.method is not None and message.method.name in REPEATABLE)
    # No name is given to the body: it would be held here until the answer comes.
    answer = await exchange.selected.request(
        exchange.request.method, lines, _body(exchange, span), passed=exchange.passed, repeatable=repeatable
    )
    try:
        await _judge_head(exchange, answer)
    except BaseException:
        answer.close()
        raise
    return answer


def _body(exchange: Exchange, span: ClientSpan) -> bytes | None:
    """Serialise the message, and hold what it was parsed to no longer."""
    message = exchange.message
    if message is None:
        return None
    body = upstream_body(message, span)
    if len(body) > _SMALL:
        message.let_go()
    if exchange.reservation.tree_bytes:
        release_tree_bytes(exchange.reservation)
    return body


async def cancel_too(exchange: Exchange, span: ClientSpan) -> None:
    """Send a cancellation for each further request that the caller calls so, see :mod:`.request_ids`.

    Raises:
        Refusal, UpstreamFault: as :func:`forward`.
    """
    params = exchange.message.params if exchange.message is not None else {}
    first = params["requestId"]
    for params["requestId"] in exchange.cancels_too:
        (await forward(exchange, span)).close()
    params["requestId"] = first


async def _judge_head(exchange: Exchange, answer: Answer) -> None:
    """Sort out the answers that are none.

    Raises:
        Refusal: 404 for a session that the upstream has forgotten, and the upstream's own status for what is no
            request and cannot be answered otherwise.
        UpstreamFault: anything else that is not MCP.
    """
    status = answer.status
    if answer.encoded:
        raise UpstreamFault(faults.INVALID, "the answer is compressed although none was asked for")
    if status < 300:
        return
    if status == 404 and exchange.session is not None:
        raise session_not_found()
    if status < 400:
        where = redirects.shown(answer.header("location"))
        raise UpstreamFault(faults.REDIRECTED, f"the upstream answered HTTP {status} and redirects to {where}")
    if status in (401, 407) or (status == 403 and answer.header("www-authenticate") is not None):
        # Its challenge would send the client to somebody else's authorization server.
        raise UpstreamFault(faults.UNAUTHORIZED, f"the upstream answered HTTP {status}")
    if status in (403, 421):
        words = await _words(answer)
        host = f"(the gateway sends Host: {exchange.selected.host})"
        raise UpstreamFault(faults.HOST_REFUSED, f"the upstream answered HTTP {status}{words} {host}")
    if exchange.awaits_answer and (answer.content_type == JSON or refuses_in_text(answer)):
        return  # perhaps a JSON-RPC error with the status that the specification gives it
    if not exchange.awaits_answer and not _is_overload(status):
        raise _passed_on(exchange, status)
    raise http_fault(answer)


async def _words(answer: Answer) -> str:
    """Return the beginning of what an answer says, for the operator's side; a server that dawdles says nothing.

    Whatever it says becomes one harmless line (:func:`ostiary_gateway.upstream.health.printable`).
    """
    found = b""
    try:
        async with asyncio.timeout(_WORDS_SECONDS):
            while len(found) < _WORDS_BYTES and (piece := await answer.read_some(_WORDS_SECONDS)):
                found += piece
    except (TimeoutError, UpstreamFault):
        pass  # what has come is what there is to say
    words = printable(found[:_WORDS_BYTES].decode("utf-8", "replace"), limit=_WORDS_LENGTH)
    return f": {words}" if words else ""


def _passed_on(exchange: Exchange, status: int) -> Refusal:
    """Return the refusal of an upstream of a GET, a DELETE or a notification.

    A GET is a stream or exactly 405: other statuses end real clients, so what means "not here" becomes that.
    """
    if exchange.message is None and status in (404, 405, 501):
        return no_stream()
    return Refusal(status, "UpstreamRefused", f"The MCP server refused this with HTTP {status}")


def no_stream() -> Refusal:
    """Return the answer where a server offers no GET or DELETE."""
    return Refusal(405, "MethodNotAllowed", "The MCP server offers no such thing here", headers={"Allow": "POST"})


def refuses_in_text(answer: Answer) -> bool:
    """Say whether an answer to a request is a server's refusal in plain text, labelled so or not at all.

    404 is not among the statuses: without a session it means that no MCP server is where it was looked for.
    """
    return answer.status in _TEXT_STATUSES and answer.content_type in _TEXT_TYPES


def _is_overload(status: int) -> bool:
    return status == 429 or (status >= 500 and status != 501)


def http_fault(answer: Answer) -> UpstreamFault:
    """Return the fault of an HTTP status that came without a JSON-RPC answer."""
    words = f"the upstream answered HTTP {answer.status}"
    if _is_overload(answer.status):
        return UpstreamFault(faults.UNAVAILABLE, words, retry_after_ms=retry_after_ms(answer))
    return UpstreamFault(faults.INVALID, words)


def retry_after_ms(answer: Answer) -> int | None:
    """Return the milliseconds of a Retry-After in seconds, the form that servers use for overload."""
    text = answer.header("retry-after") or ""
    if not (text.isascii() and text.isdecimal()) or len(text) > 9:
        return None
    return math.ceil(min(int(text), _RETRY_AFTER_LIMIT) * 1000)
