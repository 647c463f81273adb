"""Record: write the telemetry of every request, however it ends.

It never waits, and cannot fail a request.
"""

from typing import TypeGuard

from ostiary_core.mcp import codes
from ostiary_core.mcp.methods import AuthorizationKind
from ostiary_core.policy.decision import Decision
from ostiary_gateway.debug_capture.captures import DebugCaptures
from ostiary_gateway.errors import CallerGone, Refusal, UpstreamFault
from ostiary_gateway.pipeline import debug_recording
from ostiary_gateway.pipeline.authorize import DeniedError, call_of
from ostiary_gateway.pipeline.blocks import BlockedError
from ostiary_gateway.pipeline.content_capture import start_capture
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.jsonrpc import GOOD, ResponseSummary
from ostiary_gateway.pipeline.leg import Leg
from ostiary_gateway.pipeline.limit_refusal import LimitError, reason_of
from ostiary_gateway.pipeline.loop_stage import LoopError
from ostiary_gateway.policy_limits.store import Exhaustion
from ostiary_gateway.server.request import Request
from ostiary_gateway.server.response import Response
from ostiary_gateway.telemetry import ClientSpan, ServerSpan, semantic_conventions
from ostiary_gateway.telemetry.denials import ACCESS_DENIALS, SHADOW_DENIALS
from ostiary_gateway.telemetry.span import exception_type


def routed(span: ServerSpan, exchange: Exchange, captures: DebugCaptures) -> None:
    """Report the proxy of the request, and capture the exchange where the proxy asks for it."""
    proxy = exchange.proxy
    span.routed(proxy.evidence, revision=exchange.snapshot.revision, masks=proxy.record_masks)
    if proxy.debug_capture is not None:
        debug_recording.begin(exchange, captures)


def decoded(span: ServerSpan, exchange: Exchange) -> None:
    """Report the message; from here on the span has its parent and its name."""
    message = exchange.message
    if exchange.debug is not None:
        debug_recording.decoded(exchange, exchange.debug)
    if message is None or message.method is None:
        return
    exchange.request_bytes = exchange.reservation.bytes - exchange.reservation.tree_bytes
    span.message(
        method=message.method.name,
        target=message.name or None,
        request_id=message.id,
        protocol_version=message.revision or None,
        session_id=exchange.sealed_session if exchange.session is not None else None,
        carrier_meta=message.params.get("_meta"),
    )
    if span.sampled and span.content_limit:
        exchange.captured = start_capture(message, limit=span.content_limit, masks=exchange.proxy.record_masks)


def authorized(span: ServerSpan, exchange: Exchange) -> None:
    """Report which rule allowed the message, and what policies in Shadow mode would deny."""
    decision = exchange.decision
    if decision is None:
        return
    if decision.rule:
        span.allow(policy=decision.policy, rule=decision.rule, generation=decision.generation)
    if exchange.proxy.visibility.shadow is not None:
        _shadowed(span, exchange)


def _shadowed(span: ServerSpan, exchange: Exchange) -> None:
    denial, message = _shadow_denial(exchange), exchange.message
    if denial is None or message is None or message.method is None:
        return
    exchange.shadow_denial = denial
    span.set(semantic_conventions.OSTIARY_ACCESS_SHADOW_DECISION, semantic_conventions.DENY)
    span.set(semantic_conventions.OSTIARY_ACCESS_SHADOW_POLICY, denial.policy or None)
    span.set(semantic_conventions.OSTIARY_ACCESS_SHADOW_RULE, denial.rule or None)
    span.set(semantic_conventions.OSTIARY_ACCESS_SHADOW_GENERATION, denial.generation or None)
    span.set(semantic_conventions.OSTIARY_ACCESS_SHADOW_REASON, denial.reason.value)
    SHADOW_DENIALS.note(exchange.proxy.identity, message.method.name, exchange.shown_name, denial)


def _shadow_denial(exchange: Exchange) -> Decision | None:
    """Return the refusal that policies in Shadow mode would cause, of an allowed request.

    Only requests that name one tool, resource or prompt are judged: lists are not.
    """
    message, visibility = exchange.message, exchange.visibility
    method = message.method if message is not None else None
    if message is None or method is None or method.authorization is not AuthorizationKind.NAME:
        return None
    if visibility.shadow is None or method.primitive is None or method.verb is None:
        return None
    try:
        call = call_of(exchange, message) if visibility.shadow.needs_call else None
    except Refusal:
        return None  # arguments that are no object: the enforced policies do not read them, so the server answers
    return visibility.would_deny(method.primitive, method.verb, message.name, call)


def refused(span: ServerSpan, exchange: Exchange | None, refusal: Refusal) -> None:
    """Report a response of our own."""
    if exchange is not None:
        exchange.refusal = refusal
    if isinstance(refusal, DeniedError):
        _denied(span, exchange, refusal.decision)
    elif isinstance(refusal, BlockedError):
        span.deny(reason=refusal.reason)
    elif isinstance(refusal, LimitError):
        _limit(span, refusal.found, semantic_conventions.LIMITED)
    if exchange is not None and exchange.debug is not None:
        debug_recording.refused(exchange.debug, refusal)
    words = _words(refusal)
    if refusal.result is not None:
        span.fail(str(refusal.code), words)  # the response is a result, but still a refusal
    else:
        span.respond(code=refusal.code, message=words, http_status=refusal.status)


def limited(span: ServerSpan, exchange: Exchange) -> None:
    """Report what limits in Shadow mode would refuse."""
    use = exchange.limit_use
    if use is not None and use.shadow is not None:
        _limit(span, use.shadow, semantic_conventions.SHADOW)


def _limit(span: ServerSpan, found: Exhaustion, decision: str) -> None:
    limit = found.charge.limit
    span.set(semantic_conventions.OSTIARY_LIMIT_DECISION, decision)
    span.set(semantic_conventions.OSTIARY_LIMIT_POLICY, limit.policy)
    span.set(semantic_conventions.OSTIARY_LIMIT_NAME, limit.name)
    span.set(semantic_conventions.OSTIARY_LIMIT_REASON, reason_of(found))


def _denied(span: ServerSpan, exchange: Exchange | None, decision: Decision) -> None:
    span.deny(
        policy=decision.policy or None,
        rule=decision.rule or None,
        generation=decision.generation or None,
        reason=decision.reason.value,
    )
    message = exchange.message if exchange is not None else None
    if exchange is not None and message is not None and message.method is not None:
        exchange.decision = decision
        caller = exchange.principal.consumer or exchange.principal.id
        ACCESS_DENIALS.note(exchange.proxy.identity, caller, message.method.name, exchange.shown_name, decision)


def _words(refusal: Refusal) -> str:
    """Return the span's status text for a refusal.

    Operators read it, so it may name policy and rule, and the setting that limits the size of a message.
    """
    if refusal.code == codes.TOO_LARGE and not isinstance(refusal, LimitError):
        return f"{refusal.reason}: {refusal.message}"
    if isinstance(refusal, LimitError):
        limit = refusal.found.charge.limit
        return f"{refusal.reason} by policy {limit.policy}, limit {limit.name}"
    if isinstance(refusal, LoopError):
        return f"{refusal.reason} by policy {refusal.found.rule.policy}"
    if not isinstance(refusal, DeniedError) or not refusal.decision.policy:
        return refusal.reason
    rule = f", rule {refusal.decision.rule}" if refusal.decision.rule else ""
    return f"{refusal.reason} by policy {refusal.decision.policy}{rule}"


def begin_client_span(span: ServerSpan, exchange: Exchange, leg: Leg) -> ClientSpan:
    """Begin the span of the request to the server of a leg.

    One that is not recorded gets no attributes.
    """
    if leg.message is not None and not span.sampled:
        return span.client()
    message, session, server = leg.message, leg.session, leg.server
    return span.client(
        server_name=server.name,
        address=server.address,
        port=server.port,
        target=message.name or None if message is not None else None,
        request_id=exchange.sent_id or message.id if message is not None else None,
        protocol_version=message.revision or None if message is not None else None,
        session_id=session.upstream_id if session is not None else None,
    )


def failed(span: ClientSpan, fault: UpstreamFault) -> None:
    """Report that the upstream failed."""
    span.reach(fault.peer)
    span.fail(fault.kind, fault.message)


def is_failure(error: BaseException) -> TypeGuard[Exception]:
    """Return whether an exception is a failure, and not only a caller that disconnected."""
    return isinstance(error, Exception) and not isinstance(error, CallerGone)


def report_exception(server: ServerSpan, exchange: Exchange | None, error: BaseException) -> None:
    """Report an unexpected exception, or that the caller disconnected.

    Metrics are written before the span ends.

    A caller may disconnect once it has its response, or close a stream that it opened: neither is an error.
    """
    if not is_failure(error) and exchange is not None and (exchange.is_answered or exchange.stays_open):
        server.settle()
    else:
        server.fail(exception_type(error))


def report_disconnect(client: ClientSpan, exchange: Exchange) -> None:
    """Report the same for the request to the server."""
    if exchange.is_answered or exchange.stays_open:
        client.settle()


def cancelled(span: ServerSpan | ClientSpan) -> None:
    """Report that the caller cancelled the request, if it was not answered with a result."""
    if span.error_type is not None or span.rpc_code is not None:
        span.fail(semantic_conventions.CANCELLED)


def answered(
    server: ServerSpan, client: ClientSpan, outcome: ResponseSummary | None, fault: UpstreamFault | None = None
) -> None:
    """Report how the response ended, on both spans.

    With a fault it broke off, and ``outcome`` is what we answered. Of a result there is nothing to report.
    """
    if outcome is not None and outcome is not GOOD:
        server.respond(code=outcome.code, message=outcome.message, is_error=outcome.tool_error)
        if outcome.dropped:
            server.set(semantic_conventions.OSTIARY_LIST_DROPPED_ITEMS, outcome.dropped)
        if fault is None:
            client.respond(code=outcome.code, message=outcome.message, is_error=outcome.tool_error)
    if fault is not None:
        failed(client, fault)


def responded(span: ServerSpan, request: Request, response: Response | None) -> Response | None:
    """Report a response, None where it was sent as a stream; return it."""
    if response is not None:
        span.http_status, span.response_bytes = response.status, response.size
    elif (stream := request.connection.stream) is not None:
        span.http_status, span.response_bytes = 200, stream.sent
    return response
