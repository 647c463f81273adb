"""What the audit records of a request: an event, or at once a line of a usual request."""

from collections.abc import Hashable
from time import time_ns
from typing import Any

from ostiary_core.mcp.meta_keys import META_CLIENT_INFO
from ostiary_core.policy.principal import ANONYMOUS, Principal
from ostiary_gateway.audit.audit_events import COMPLETE, LIMITED, SHADOW, RequestEvent
from ostiary_gateway.audit.audit_plan import AuditPlan
from ostiary_gateway.audit.record_encoder import MOST_BYTES, RecordEncoder
from ostiary_gateway.audit.record_template import client_key
from ostiary_gateway.errors import Refusal
from ostiary_gateway.pipeline.authorize import DeniedError
from ostiary_gateway.pipeline.exchange import AuditedExchange, Exchange
from ostiary_gateway.pipeline.message import Message
from ostiary_gateway.telemetry import ServerSpan


def usual_record(
    encoder: RecordEncoder, exchange: Exchange, span: ServerSpan, audited: AuditedExchange, stage: str
) -> bytes | None:
    """Return the record of a usual request: without an error, and without content.

    It is what becomes of its :func:`request_event`. None for every other request.
    """
    message, use = exchange.message, exchange.limit_use
    if (
        message is None
        or message.method is None
        or not _is_usual(exchange, span, audited)
        or (use is not None and use.shadow is not None)
    ):
        return None
    request, client = exchange.request, _client(exchange)
    if client is not None:
        client = client_key(client)
        if client is None:
            return None
    agent = request.headers.get("user-agent", "")
    # All that the record shows, but for what `filled` gets.
    key: Hashable = (
        id(_plan_of_server(audited.plan, exchange) if audited.plan.by_server else audited.plan),
        exchange.usual or _what(exchange, message),
        stage,
        message.revision,
        client,
        exchange.sealed_session is None,
        not agent,
        not span.trace_id,
        span.sampled,
        audited.round,
    )
    template = encoder.template(key) or encoder.learn(key, request_event(exchange, span, audited, stage))
    if template is None:
        return None
    own = (
        audited.number,
        span.start_ns,
        time_ns(),
        exchange.principal,
        exchange.reservation.client_address,
        agent,
        exchange.request_id,
        exchange.sealed_session,
        span.trace_id,
        span.span_id if span.sampled else "",
        exchange.request_bytes,
        span.response_bytes,
    )
    line = encoder.filled(template, own)
    return line if len(line) <= MOST_BYTES else None


def _what(exchange: Exchange, message: Message) -> Hashable:
    """Return what was asked and how it was decided, where :attr:`Exchange.usual` says nothing."""
    return (
        id(exchange.decision),
        message.method_name,
        message.name,
        exchange.snapshot.revision,
        exchange.request.method,
        exchange.request_id is None,
        id(exchange.proxy.record_masks),
    )


def _is_usual(exchange: Exchange, span: ServerSpan, audited: AuditedExchange) -> bool:
    return (
        exchange.refusal is None
        and span.error_type is None
        and span.rpc_code is None
        and audited.arguments is None
        and audited.result is None
        and not audited.shown
        and not audited.dropped
        and exchange.findings is None
        and exchange.shadow_denial is None
        and not exchange.is_whoami
    )


def request_event(exchange: Exchange, span: ServerSpan, audited: AuditedExchange, stage: str) -> RequestEvent:
    """Return one stage of a request."""
    request, message, refusal = exchange.request, exchange.message, exchange.refusal
    is_end = stage is COMPLETE
    return RequestEvent(
        plan=_plan_of_server(audited.plan, exchange),
        stage=stage,
        number=audited.number,
        received_ns=span.start_ns,
        stage_ns=time_ns(),
        principal=_caller(exchange, refusal),
        address=exchange.reservation.client_address,
        user_agent=request.headers.get("user-agent", ""),
        http_method="whoami" if exchange.is_whoami else request.method,
        method=message.method_name if message is not None else "",
        name=message.name if message is not None else "",
        request_id=exchange.request_id,
        protocol=message.revision if message is not None else "",
        session=exchange.sealed_session,
        decision=refusal.decision if isinstance(refusal, DeniedError) else exchange.decision,
        shadow=exchange.shadow_denial,
        limit=_limit(exchange, refusal),
        refusal=(refusal.reason, refusal.code, refusal.status) if refusal is not None else None,
        error_type=span.error_type or "",
        code=span.rpc_code,
        shown=audited.shown if is_end else b"",
        dropped=audited.dropped,
        sizes=(exchange.request_bytes, span.response_bytes),
        arguments=audited.arguments,
        result=audited.result if is_end else None,
        client=_client(exchange),
        trace=(span.trace_id, span.span_id if span.sampled else "", span.sampled),
        revision=exchange.snapshot.revision,
        round=audited.round,
        findings=exchange.findings,
        masks=exchange.proxy.record_masks,
    )


def _plan_of_server(plan: AuditPlan, exchange: Exchange) -> AuditPlan:
    """Return the plan that names the one of several servers that got a request."""
    return plan.by_server.get(exchange.leg.server.name, plan) if exchange.leg is not None else plan


def _limit(exchange: Exchange, refusal: Refusal | None) -> tuple[str, str, str] | None:
    """Return the limit that refused a request, or would refuse it in Shadow mode."""
    if refusal is not None and refusal.limit is not None:
        return (*refusal.limit, LIMITED)
    use = exchange.limit_use
    if use is None or use.shadow is None:
        return None
    limit = use.shadow.charge.limit
    return limit.policy, limit.name, SHADOW


def _caller(exchange: Exchange, refusal: Refusal | None) -> Principal | None:
    """Return the caller; None where it was refused before it was authenticated."""
    principal = exchange.principal
    if principal is ANONYMOUS and refusal is not None and exchange.proxy.authenticator is not None:
        return None if exchange.request.caller is None else principal
    return principal


def _client(exchange: Exchange) -> Any:
    """Return what the client says that it is, when it initializes or in each request."""
    message = exchange.message
    if message is None:
        return None
    params = message.params
    meta = params.get("_meta")
    return (meta.get(META_CLIENT_INFO) if type(meta) is dict else None) or params.get("clientInfo")
