"""Hands what is recorded of a request to the audit.

That is before it is forwarded, and once it has ended.

The cost for a request of which nothing is recorded is one lookup. Nothing here waits, and nothing here fails a request,
except where a policy demands that what cannot be recorded is refused.
"""

import logging
from time import time_ns
from typing import Any, Final

from ostiary_core.mcp import codes
from ostiary_core.mcp.methods import AuthorizationKind
from ostiary_gateway.audit.audit_events import COMPLETE, RECEIVED, RequestEvent
from ostiary_gateway.audit.audit_plan import AuditPlan
from ostiary_gateway.audit.auditor import Auditor
from ostiary_gateway.audit.record_encoder import NUMBERS
from ostiary_gateway.errors import Refusal
from ostiary_gateway.pipeline.audited_request import request_event, usual_record
from ostiary_gateway.pipeline.authorize import DeniedError
from ostiary_gateway.pipeline.exchange import AuditedExchange, Exchange
from ostiary_gateway.pipeline.read_only_tools import READ_ONLY
from ostiary_gateway.pipeline.refusal_responses import tool_error
from ostiary_gateway.server.request import Request
from ostiary_gateway.telemetry import ServerSpan
from ostiary_gateway.telemetry.throttled_warning import WarningLimiter

_log = logging.getLogger(__name__)
_warner: Final = WarningLimiter(_log, level=logging.ERROR)
#: Of these methods there is a record only where they are refused: they decide nothing.
_SILENT: Final = frozenset({"ping", "logging/setLevel"})
_ALWAYS: Final = AuthorizationKind.ALWAYS
#: Members of the params that the record has elsewhere, or must not have.
_NO_ARGUMENTS: Final = frozenset({"_meta", "name", "uri", "taskId"})
_UNAVAILABLE: Final = "This call cannot be recorded now, and it must not be made unrecorded; try again later"
_RETRY_AFTER_MS: Final = 5000


def receive(auditor: Auditor, exchange: Exchange, span: ServerSpan) -> None:
    """Record a request before it is forwarded, if it gets such a record.

    Raises:
        Refusal: it cannot be recorded, and a policy refuses such requests.
    """
    plan = auditor.plans.get(exchange.proxy.identity)
    if plan is None or not _is_recorded(exchange):
        return
    if plan.fails and auditor.unavailable() is not None:
        raise _unavailable(exchange)
    exchange.audited = audited = AuditedExchange(plan, next(NUMBERS), auditor)
    message = exchange.message
    if plan.fails:
        auditor.queue.reserve()
        audited.is_reserved = True
    if plan.arguments != "None" and message is not None:
        audited.arguments = _arguments(exchange)
    if _records_reception(plan, exchange):
        _put(auditor, exchange, span, audited, RECEIVED)


def next_round(exchange: Exchange, span: ServerSpan) -> None:
    """Record that a call is sent to its server once more, with what its caller has answered.

    Raises:
        Refusal: it cannot be recorded, and a policy refuses such requests.
    """
    audited = exchange.audited
    if audited is None:
        return
    if audited.plan.fails and audited.auditor.unavailable() is not None:
        raise _unavailable(exchange)
    audited.round += 1
    if audited.plan.received is not False:
        _put(audited.auditor, exchange, span, audited, RECEIVED)


def _records_reception(plan: AuditPlan, exchange: Exchange) -> bool:
    if plan.received is not None:
        return plan.received
    if exchange.stays_open:
        return True  # a stream may last for days
    message, leg = exchange.message, exchange.leg
    if message is None or message.method is None:
        return False
    only_reads = (
        message.method.name == "tools/call"
        and leg is not None
        and leg.message is not None
        and READ_ONLY.has(leg.server, leg.message.name)
    )
    return plan.records_reception(message.method, only_reads=only_reads)


def _is_recorded(exchange: Exchange) -> bool:
    """Return whether a request that passed is recorded."""
    message = exchange.message
    if message is None:
        return exchange.request.method != "OPTIONS"
    method = message.method
    if method is None:
        return True  # a client's answer to what its server asked: it may hold anything
    return not (method.notification or method.name in _SILENT)


def complete(auditor: Auditor, exchange: Exchange, span: ServerSpan) -> None:
    """Record how a request ended. It never raises."""
    try:
        _complete(auditor, exchange, span)
    except Exception as error:  # noqa: BLE001  the response has been made: it must not be lost for this
        if exchange.audited is not None and exchange.audited.is_reserved:
            auditor.queue.unreserve()
        _warner.warn("a request could not be recorded: this is a bug", error=error)


def _complete(auditor: Auditor, exchange: Exchange, span: ServerSpan) -> None:
    audited = exchange.audited
    if audited is None:
        audited = _late(auditor, exchange)
        if audited is None:
            return
    elif not audited.plan.completes:
        if audited.is_reserved:
            auditor.queue.unreserve()
        return
    _put(auditor, exchange, span, audited, COMPLETE)


def _late(auditor: Auditor, exchange: Exchange) -> AuditedExchange | None:
    """Return the state of a request that ended before it could be forwarded.

    None where nothing is recorded.
    """
    plan = auditor.plans.get(exchange.proxy.identity)
    refusal = exchange.refusal
    if plan is None or (refusal is None and not _is_recorded(exchange)) or exchange.request.method == "OPTIONS":
        return None
    # Anyone can send what is refused before a decision, a million times.
    is_unknown = not isinstance(refusal, DeniedError) and not exchange.principal.authenticated
    if refusal is not None and is_unknown and not auditor.admits(plan.proxy, refusal.reason):
        return None
    audited = AuditedExchange(plan, next(NUMBERS), auditor)
    if plan.arguments != "None" and exchange.message is not None:
        audited.arguments = _arguments(exchange)
    return audited


def _put(auditor: Auditor, exchange: Exchange, span: ServerSpan, audited: AuditedExchange, stage: str) -> None:
    is_end = stage is COMPLETE
    line = usual_record(auditor.encoder, exchange, span, audited, stage) if auditor.encoder is not None else None
    if line is not None:
        auditor.queue.put(line, reserved=is_end and audited.is_reserved)
        return
    size = exchange.request_bytes if audited.arguments is not None else 0
    if is_end and audited.result is not None:
        size += span.response_bytes
    event = request_event(exchange, span, audited, stage)
    auditor.queue.put(event, size=size, reserved=is_end and audited.is_reserved)


def _arguments(exchange: Exchange) -> Any:
    message = exchange.message
    if message is None:
        return None
    if message.method is None:
        return {key: message.body[key] for key in ("result", "error") if key in message.body}
    params = message.params
    if message.method.name in {"tools/call", "prompts/get"}:
        return params.get("arguments", {})
    return {key: value for key, value in params.items() if key not in _NO_ARGUMENTS}


def _unavailable(exchange: Exchange) -> Refusal:
    """Return the refusal of a request that cannot be recorded.

    For tools it is a result that a model understands.
    """
    refusal = Refusal(
        200,
        "AuditUnavailable",
        _UNAVAILABLE,
        code=codes.UPSTREAM_UNAVAILABLE,
        data={"retryAfterMs": _RETRY_AFTER_MS},
    )
    message = exchange.message
    is_call = message is not None and message.method is not None and message.method.name == "tools/call"
    if message is not None and is_call and "task" not in message.params:
        refusal.result = tool_error(f"{_UNAVAILABLE}.", message.era)
    return refusal


def unrouted(auditor: Auditor, request: Request, refusal: Refusal, span: ServerSpan) -> None:
    """Record a request that reached no proxy, where the settings demand it.

    Of many only some are recorded.
    """
    plan = auditor.gateway_plan
    if plan is None or not auditor.admits("", refusal.reason):
        return
    auditor.queue.put(
        RequestEvent(
            plan=plan,
            stage=COMPLETE,
            number=next(NUMBERS),
            received_ns=span.start_ns,
            stage_ns=time_ns(),
            principal=None,
            address=request.connection.peer,
            user_agent=request.headers.get("user-agent", ""),
            http_method=request.method,
            method="",
            name=request.path,
            request_id=None,
            protocol="",
            session=None,
            decision=None,
            shadow=None,
            limit=None,
            refusal=(refusal.reason, refusal.code, refusal.status),
            error_type=span.error_type or "",
            code=span.rpc_code,
            shown=b"",
            dropped=0,
            sizes=(request.declared_length, span.response_bytes),
            arguments=None,
            result=None,
            client=None,
            trace=(span.trace_id, span.span_id if span.sampled else "", span.sampled),
            revision=0,
        )
    )
