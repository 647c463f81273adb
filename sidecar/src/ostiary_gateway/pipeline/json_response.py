"""A response as one JSON document, read completely within limits."""

from collections.abc import Mapping
from time import monotonic
from typing import Any, Final

from ostiary_core import strict_json
from ostiary_core.content.content_rules import ItemRules
from ostiary_core.mcp.methods import AuthorizationKind, Method
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.limits.checks import reserve_response_bytes
from ostiary_gateway.media_types import JSON_HEADERS
from ostiary_gateway.pipeline import (
    debug_recording,
    http_error_responses,
    jsonrpc,
    server_revisions,
)
from ostiary_gateway.pipeline.cache_scope import caller_matters, kept_private, may_be_shared
from ostiary_gateway.pipeline.content.shape_content import (
    ShapedContent,
    passes_as_it_is,
    rules_of_response,
    shaping_response,
)
from ostiary_gateway.pipeline.continuations.server_states import with_sealed_state
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.jsonrpc import ResponseSummary
from ostiary_gateway.pipeline.large_messages import LIGHT_BYTES, Steps, limit_of, process_large
from ostiary_gateway.pipeline.leg import Leg
from ostiary_gateway.pipeline.list_cache import LISTS, ListResponse
from ostiary_gateway.pipeline.list_filter import Reading, read_strictly, reading_for
from ostiary_gateway.pipeline.list_observation import observing
from ostiary_gateway.pipeline.loop_stage import with_warning
from ostiary_gateway.pipeline.quota_discovery import showing_quotas
from ostiary_gateway.pipeline.response_head import http_fault
from ostiary_gateway.pipeline.response_limits import check_response_size, note_result, readable_bytes
from ostiary_gateway.pipeline.server_capabilities import with_list_changed
from ostiary_gateway.pipeline.session_header import SealSession, session_header
from ostiary_gateway.pipeline.shown_list import report_list, showing_list
from ostiary_gateway.pipeline.upstream_ids import with_id
from ostiary_gateway.server.response import Response
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.http1.upstream_response import UpstreamResponse

#: A small complete response is sent to the caller in the same loop iteration, so no memory is reserved for it; bytes.
_NOT_HELD: Final = 16 * 1024
_TOO_LARGE: Final = "the answer has %d bytes or more, and a message may have %d (bounds.messageBytes)"
_LIST: Final = AuthorizationKind.LIST
_LIFECYCLE: Final = AuthorizationKind.ALWAYS
_NONE: Final[Mapping[str, str]] = {}


async def read_whole(exchange: Exchange, leg: Leg, response: UpstreamResponse, *, limit: int) -> bytes:
    """Read a body of at most ``limit`` bytes, which are counted as they arrive.

    All of it must arrive within the server's response timeout: a document is not a stream, and one that arrives byte by
    byte would occupy its caller and the gateway's memory for as long as the server likes. That of a later attempt must
    within the time that is left for all of them.

    Raises:
        UpstreamFault: too large, more than the gateway may hold, not complete in time, or broken off.
    """
    chunks: list[bytes] = []
    size = 0
    attempts = leg.attempts
    seconds = exchange.selected.request_seconds if attempts is None else attempts.seconds_of_body
    until = monotonic() + seconds
    while chunk := await _read_some(response, until, seconds) if (ready := response.ready()) is None else ready:
        size += len(chunk)
        if size > limit:
            if exchange.limit_use is not None:
                check_response_size(exchange, size)
            raise UpstreamFault(faults.TOO_LARGE, _TOO_LARGE % (size, limit))
        reserve_response_bytes(exchange.reservation, len(chunk))
        chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def _read_some(response: UpstreamResponse, until: float, seconds: float) -> bytes:
    try:
        return await response.read_some(max(0.0, until - monotonic()))
    except TimeoutError as error:
        raise UpstreamFault(faults.TIMEOUT, f"the answer was not whole {seconds:.3g} s after its head") from error


async def relay_document(
    exchange: Exchange, leg: Leg, response: UpstreamResponse, *, seal: SealSession
) -> tuple[Response, ResponseSummary]:
    """Return the response to a request for a JSON document, and its summary.

    Raises:
        UpstreamFault: the document is not the response to the request.
        LimitError: it is larger than a limit of a policy allows.
        InputAsked: the server of a bridged leg asks for input.
    """
    limit = _readable(exchange)
    found = response.at_hand(min(limit, _NOT_HELD))
    text = found if found is not None else await read_whole(exchange, leg, response, limit=limit)
    rules = rules_of_response(exchange, leg) if exchange.proxy.visibility.content is not None else None
    rejected = http_error_responses.rejection(exchange, leg, response, text) if response.status >= 400 else None
    if rejected is not None:
        return rejected if rules is None else await _shaped_rejection(exchange, rules, *rejected)
    method = exchange.message.method if exchange.message is not None else None
    if method is not None and method.authorization is _LIST:
        known = await _list(exchange, leg, response, method, text)
        return Response(response.status, known.body, _headers(response)), known.outcome
    is_tame = rules is not None and leg.translation is None and await passes_as_it_is(rules, text)
    if len(text) <= LIGHT_BYTES:
        message = _read(exchange, response, text, is_judged=rules is not None, is_tame=is_tame)
    else:
        checked = _checked(exchange, response, text, method, is_tame=is_tame)
        message = (await process_large(checked, text=text, proxy=exchange.proxy.uid)).message
    refused = None
    use = exchange.limit_use
    if leg.translation is not None or rules is not None or (use is not None and use.reads_response):
        shaping = None if is_tame else rules
        text, message, refused = await _translated(exchange, leg, shaping, text, message)
    # Comparing by identity suffices for the same object, such as small integers.
    if message["id"] is not exchange.request_id or leg.states is not None:
        text = with_own_id_and_state(exchange, leg, text, message)
    if exchange.captured is not None or exchange.debug is not None or exchange.audited is not None:
        report_response(exchange, message)
    if exchange.repetition is not None:
        text = with_warning(exchange, text, message)
    if caller_matters(exchange.proxy) and may_be_shared(message):
        text = await process_large(kept_private(exchange, text, message), text=text, proxy=exchange.proxy.uid)
    headers: Mapping[str, str] = JSON_HEADERS
    if method is None or method.authorization is _LIFECYCLE or "error" in message or response.status >= 400:
        session = session_header(exchange, leg, response, message, seal)
        server_revisions.learn(exchange, message)
        text = with_list_changed(exchange, text, message, in_session=bool(session))
        headers = _headers(response, session)
    return Response(response.status, text, headers), refused or jsonrpc.outcome(message)


def _readable(exchange: Exchange) -> int:
    """Return how many bytes of a response are read."""
    use, most = exchange.limit_use, exchange.snapshot.settings.bounds.message_bytes
    return most if use is None or not use.sizes else readable_bytes(use, most)


async def _translated(
    exchange: Exchange, leg: Leg, rules: ItemRules | None, text: bytes, message: dict[str, Any]
) -> ShapedContent:
    """Return a response in the form and with the contents that the caller gets.

    What it costs is counted before.
    """
    if leg.translation is not None:
        text = leg.translation.response(text, message)
    if exchange.limit_use is not None:
        note_result(exchange, message, len(text))
    if rules is None:
        return ShapedContent(text, message)
    return await process_large(
        shaping_response(exchange, leg, rules, text, message), text=text, proxy=exchange.proxy.uid
    )


async def _shaped_rejection(
    exchange: Exchange, rules: ItemRules, rejected: Response, outcome: ResponseSummary
) -> tuple[Response, ResponseSummary]:
    """Return the response where a server refuses its request, as its caller may read it."""
    message = strict_json.loads(rejected.body)
    is_in_words = jsonrpc.outcome(message) != outcome  # of a text that the caller does not get
    steps = shaping_response(exchange, None, rules, rejected.body, message)
    body, message, refused = await process_large(steps, text=rejected.body, proxy=exchange.proxy.uid)
    shaped = refused or (outcome if is_in_words else jsonrpc.outcome(message))
    return Response(rejected.status, body, rejected.headers), shaped


def with_own_id_and_state(exchange: Exchange, leg: Leg, text: bytes, message: dict[str, Any]) -> bytes:
    """Return a response with the caller's own id, and with a state as the caller gets it."""
    if jsonrpc.needs_own_id(message, exchange.request_id):
        text = with_own_id(exchange, text, message)
    return text if leg.states is None else with_sealed_state(exchange, leg, text, message)


def report_response(exchange: Exchange, message: dict[str, Any]) -> None:
    """Tell span, debug capture and audit the response that the caller gets."""
    if exchange.captured is not None or exchange.debug is not None:
        debug_recording.answered(exchange, message)
    if exchange.audited is not None:
        exchange.audited.answered(message)


async def _list(exchange: Exchange, leg: Leg, response: UpstreamResponse, method: Method, text: bytes) -> ListResponse:
    """Return a list as the caller may see it."""
    known = None
    if leg.translation is None:  # what is translated differs with the caller's era
        known = LISTS.recall(method, text, exchange.visibility, exchange.request_id, sent_id=exchange.sent_id)
    if known is None:
        judging = _judged(exchange, leg, response, method, text)
        known = await process_large(judging, text=text, proxy=exchange.proxy.uid)
    use = exchange.limit_use
    if use is not None:
        check_response_size(exchange, len(text))
    if use is not None and use.find_exhausted is not None:
        steps = showing_quotas(known.body, use.find_exhausted, use.taken_at)
        body = await process_large(steps, text=known.body, proxy=exchange.proxy.uid)
        known = ListResponse(body, known.outcome)
    report_list(exchange, known.body, known.outcome)
    return known


def _judged(
    exchange: Exchange, leg: Leg, response: UpstreamResponse, method: Method, text: bytes
) -> Steps[ListResponse]:
    """Filter a list that was not seen before."""
    reading = yield from _checked(exchange, response, text, method)
    server_revisions.learn(exchange, reading.message)
    if jsonrpc.needs_own_id(reading.message, exchange.request_id):
        text = with_own_id(exchange, text, reading.message)
    teaches = yield from observing(exchange, leg.server, method, text, reading.message)
    if leg.translation is not None:
        text = leg.translation.response(text, reading.message)
    is_kept = not teaches and leg.translation is None
    return (yield from showing_list(exchange, leg, method, text, reading, is_kept=is_kept))


def _checked(
    exchange: Exchange, response: UpstreamResponse, text: bytes, method: Method | None, *, is_tame: bool = False
) -> Steps[Reading]:
    """Read a response, and check that it answers the request.

    Raises:
        UpstreamFault: it does not answer the request, or holds more than it may.
    """
    limit = limit_of(exchange.snapshot.settings.bounds)
    try:
        reading = yield from reading_for(method, text, exchange.visibility, limit=limit, is_tame=is_tame)
    except UpstreamFault as fault:
        raise _or_http(response, fault) from fault
    if not jsonrpc.is_response_to(reading.message, exchange.upstream_id):
        raise _no_response(response)
    return reading


def _read(
    exchange: Exchange, response: UpstreamResponse, text: bytes, *, is_judged: bool, is_tame: bool
) -> dict[str, Any]:
    """Read a response as :func:`_checked` does, in one step.

    It is for short responses that are not lists.
    """
    try:
        message = jsonrpc.read(text) if not is_judged else read_strictly(text, is_tame=is_tame)
    except UpstreamFault as fault:
        raise _or_http(response, fault) from fault
    if not jsonrpc.is_response_to(message, exchange.upstream_id):
        raise _no_response(response)
    return message


def _or_http(response: UpstreamResponse, fault: UpstreamFault) -> UpstreamFault:
    """Return the fault of an HTTP error status, if there is one: it says more than ``fault``."""
    return http_fault(response) if response.status >= 400 else fault


def with_own_id(exchange: Exchange, text: bytes, message: dict[str, Any]) -> bytes:
    """Return a response with the caller's own id; ``message`` is changed in the same way."""
    own = exchange.request_id
    if own is None:
        return text
    text = with_id(text, message["id"], own)
    message["id"] = own
    return text


def _no_response(response: UpstreamResponse) -> UpstreamFault:
    if response.status >= 400:
        return http_fault(response)
    return UpstreamFault(faults.INVALID, "the response does not answer the request")


def _headers(response: UpstreamResponse, session: Mapping[str, str] = _NONE) -> Mapping[str, str]:
    """Return the headers of a document: its type, its session, and those of an HTTP error."""
    if response.status < 400 and not session:
        return JSON_HEADERS
    return {**http_error_responses.headers(response), **session}
