"""Record, once a request has ended: the last attributes of its span, metrics, and evidence.

It never waits, and cannot fail a request.
"""

from ostiary_core.limits.loop_detection import Repetition
from ostiary_gateway.evidence.ended_requests import EndedRequests
from ostiary_gateway.pipeline import debug_recording
from ostiary_gateway.pipeline.content_capture import CapturedContent
from ostiary_gateway.pipeline.evidence_recording import ended_call
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.telemetry import ServerSpan, semantic_conventions
from ostiary_gateway.telemetry.content_findings import report_findings


def counted(span: ServerSpan, exchange: Exchange | None, ended: EndedRequests | None) -> None:
    """Have the message counted, whether or not its trace is sampled, and keep evidence of it."""
    if exchange is not None:
        _complete(span, exchange)
    if ended is None:
        return
    call = ended_call(span, exchange, in_full=ended.keeps_calls)
    uid, size = (exchange.proxy.uid, exchange.request_bytes) if exchange is not None else ("", 0)
    ended.add((uid, size, span.response_bytes, span.span_id if span.sampled else "", call))


def _complete(span: ServerSpan, exchange: Exchange) -> None:
    """Report what was learned of a request after its message was read."""
    span.client_address = exchange.reservation.client_address
    if exchange.captured is not None:
        _content(span, exchange.captured)
    if exchange.debug is not None:
        debug_recording.finished(span, exchange, exchange.debug)
    if exchange.repetition is not None:
        _repeated(span, exchange.repetition)
    if exchange.findings is not None:
        report_findings(span, exchange.findings)
    if exchange.route is not None:
        span.set(semantic_conventions.OSTIARY_ROUTE_RULE, exchange.route.rule or None)


def _content(span: ServerSpan, found: CapturedContent) -> None:
    span.content(arguments=found.arguments, result=found.result)
    if found.words and span.error_type == semantic_conventions.TOOL_ERROR:
        span.fail(semantic_conventions.TOOL_ERROR, found.words)


def _repeated(span: ServerSpan, found: Repetition) -> None:
    """Report a call that repeats others."""
    span.set(semantic_conventions.OSTIARY_LOOP_POLICY, found.rule.policy)
    span.set(semantic_conventions.OSTIARY_LOOP_ACTION, "Shadow" if found.rule.shadow else found.rule.action)
    span.set(semantic_conventions.OSTIARY_LOOP_REPEATS, found.rule.repeats + found.beyond)
