"""A list of one server as its caller may see it, in a document or a stream."""

from dataclasses import replace

from ostiary_core import strict_json
from ostiary_core.mcp.methods import Method
from ostiary_gateway.config.observed_items import OFFERED
from ostiary_gateway.pipeline import debug_recording, jsonrpc
from ostiary_gateway.pipeline.cache_scope import kept_private
from ostiary_gateway.pipeline.content.shaped_lists import shaping_definitions
from ostiary_gateway.pipeline.empty_list_causes import cause_of_empty, explained, listed_items, note_empty
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.jsonrpc import ResponseSummary
from ostiary_gateway.pipeline.large_messages import LIGHT_BYTES, Steps
from ostiary_gateway.pipeline.leg import Leg
from ostiary_gateway.pipeline.list_cache import LISTS, ListResponse
from ostiary_gateway.pipeline.list_filter import Reading, Shaped, shaping
from ostiary_gateway.pipeline.pinned_definitions.pinned_lists import approving
from ostiary_gateway.telemetry.dropped_items import DROPPED


def showing_list(
    exchange: Exchange, leg: Leg, method: Method, text: bytes, reading: Reading, *, is_kept: bool
) -> Steps[ListResponse]:
    """Return a list that was not seen before as its caller may see it, in steps.

    ``text`` has the caller's own id, and ``reading`` is what was read of it; it is changed. ``is_kept`` where it may be
    kept for others who get the same list.

    Raises:
        UpstreamFault: it must be filtered, and does not have the specified shape.
    """
    visibility = exchange.visibility  # the same one for all steps: the policy may change after any of them
    OFFERED.learn(exchange.proxy, exchange.message, method, reading.message)
    if len(text) > LIGHT_BYTES:
        yield
    listed, pinned = listed_items(method, reading.message), text
    if visibility.definitions is not None and visibility.definitions.locks:
        pinned, is_approved = yield from approving(exchange, leg.server, method, text, reading)
        is_kept = is_kept and is_approved  # else a later list of the same text would not be reported
    shaped = yield from shaping(method, pinned, reading, visibility)
    if shaped.dropped:
        DROPPED.note(exchange.proxy.identity, shaped.dropped)
    if visibility.content is not None or visibility.definitions is not None:
        shaped = yield from _with_content(exchange, leg, method, reading, shaped)
    empty = cause_of_empty(exchange, method, reading.message, listed=listed)
    shown = explained(shaped.body, reading.message, empty)
    body = yield from kept_private(exchange, shown, reading.message)
    outcome = jsonrpc.outcome(reading.message, dropped=len(shaped.dropped), empty=empty)
    if shaped.findings:
        outcome = replace(outcome, findings=shaped.findings, is_of_caller=shaped.is_of_caller)
    known = ListResponse(body, outcome)
    if len(text) > LIGHT_BYTES:
        yield
    if is_kept and not outcome.is_of_caller:
        LISTS.keep(method, text, known, visibility, exchange.request_id)
    return known


def _with_content(exchange: Exchange, leg: Leg, method: Method, reading: Reading, shaped: Shaped) -> Steps[Shaped]:
    """Return what rules about content leave of a filtered list."""
    found = yield from shaping_definitions(exchange, leg.server.name, method, reading.message)
    body = strict_json.dumps(reading.message) if found.is_changed else shaped.body
    return Shaped(body, shaped.dropped, found.findings, found.is_of_caller)


def report_list(exchange: Exchange, shown: bytes | tuple[bytes, ...], outcome: ResponseSummary) -> None:
    """Tell span, debug capture and audit a list as the caller sees it.

    One that is empty is counted.
    """
    exchange.note_findings(outcome.findings)
    if outcome.empty:
        note_empty(exchange, outcome.empty)
    if exchange.debug is None and exchange.audited is None:
        return  # pieces are joined only where that is kept
    text = shown if isinstance(shown, bytes) else b"".join(shown)
    if exchange.debug is not None:
        debug_recording.answered_text(exchange, exchange.debug, text)
    if exchange.audited is not None:
        exchange.audited.listed(text, outcome.dropped)
