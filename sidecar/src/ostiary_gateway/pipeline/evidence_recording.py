"""What the record stage tells metrics and evidence: one tuple for each request.

It never waits, and cannot fail a request. Names and texts are masked, redacted and cut here, before they are kept. A
name that the server has listed holds no secret of a caller, so only masks look at it; other names are rare.
"""

from functools import lru_cache
from typing import Final

from ostiary_core.content.record_masks import RecordMasks
from ostiary_core.evidence.document import MOST_NAME, MOST_TEXT
from ostiary_core.evidence.recorded_call import MOST_FINDINGS, CallOutcome
from ostiary_core.mcp.codes import INVALID_PARAMS
from ostiary_core.policy.principal import Principal
from ostiary_core.redaction import DEFAULT
from ostiary_gateway.config.usual_calls import UsualCall
from ostiary_gateway.errors import Refusal
from ostiary_gateway.evidence.call_ring import CallDetails, PlainCall
from ostiary_gateway.pipeline.authorize import DeniedError
from ostiary_gateway.pipeline.blocks import BlockedError
from ostiary_gateway.pipeline.content.content_refusal import ContentReason
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.limit_refusal import LimitError, reason_of
from ostiary_gateway.pipeline.loop_stage import LoopError
from ostiary_gateway.pipeline.request_labels import request_labels
from ostiary_gateway.telemetry import ClientSpan, ServerSpan, semantic_conventions
from ostiary_gateway.telemetry.request_labels import PlainLabels
from ostiary_gateway.telemetry.semantic_conventions import TARGET_ATTRIBUTES

_NOT_AUTHENTICATED: Final = frozenset(
    {"CredentialMissing", "CredentialInvalid", "SeveralCredentials", "CredentialInQuery", "IdentityProviderUnavailable"}
)
"""The reasons of requests whose caller could not be authenticated. They are refused before their message is read."""
_CONTENT: Final = frozenset(reason.value for reason in ContentReason)
_HIDDEN: Final = str(INVALID_PARAMS)
#: Names whose redaction is remembered.
_NAMES: Final = 1024


def ended_call(span: ServerSpan, exchange: Exchange | None, *, in_full: bool) -> PlainCall:
    """Return what is kept of a request that has ended.

    Without ``in_full`` it is only what metrics read.
    """
    at, seconds = span.start_ns // 1_000_000, span.elapsed
    usual = exchange.usual if exchange is not None and in_full else None
    if exchange is not None and usual is not None and (sent := _went_well(span, exchange)) is not None:
        labels, name, caller = usual.shown or _learned(span, exchange, usual)
        return (at, seconds, sent.seconds, labels, name, caller, CallOutcome.OK, span.trace_id, None)
    labels = request_labels(span, exchange)
    if exchange is None:
        details = CallDetails(detail=_failure(span, labels)[:MOST_TEXT]) if in_full else None
        return (at, seconds, 0.0, labels, "", "", CallOutcome.FAILED, span.trace_id, details)
    upstream_seconds = span.upstream.seconds if span.upstream is not None else 0.0
    if not in_full:
        return (at, seconds, upstream_seconds, labels, "", "", CallOutcome.OK, span.trace_id, None)
    refusal, error_type = exchange.refusal, labels[5]
    if refusal is None and not error_type and not labels[6] and not _has_more(exchange):
        outcome, more = CallOutcome.OK, None
    else:
        outcome = _outcome(exchange, labels)
        more = _details(span, exchange, labels, outcome)
    name, caller = _name(exchange, labels), _caller(exchange.principal)
    return (at, seconds, upstream_seconds, labels, name, caller, outcome, span.trace_id, more)


def _went_well(span: ServerSpan, exchange: Exchange) -> ClientSpan | None:
    """Return the request to the server of a call that was answered with a result.

    None for every other request, and where more is known of it.
    """
    sent = span.upstream
    if sent is None or sent.error_type is not None or sent.rpc_code is not None or span.http_status != 200:
        return None
    if span.error_type is not None or span.rpc_code is not None or exchange.refusal is not None:
        return None
    return None if _has_more(exchange) else sent


def _learned(span: ServerSpan, exchange: Exchange, usual: UsualCall) -> tuple[PlainLabels, str, str]:
    """Keep how usual calls are recorded that went well, as this one did."""
    labels = request_labels(span, exchange)
    usual.shown = labels, _name(exchange, labels), _caller(exchange.principal)
    return usual.shown


def _caller(principal: Principal) -> str:
    return principal.consumer or (principal.id if principal.authenticated else "")


def _has_more(exchange: Exchange) -> bool:
    use = exchange.limit_use
    return (
        exchange.findings is not None
        or exchange.shadow_denial is not None
        or (use is not None and use.shadow is not None)
    )


def _name(exchange: Exchange, labels: PlainLabels) -> str:
    """Return the name in the message as evidence shows it."""
    masks = exchange.proxy.record_masks
    if known := labels[2] or labels[3] or labels[4]:
        return known if masks is None else masks.text(known, limit=MOST_NAME)
    message = exchange.message
    if message is None or not message.name or message.method_name not in TARGET_ATTRIBUTES:
        return ""
    return _shown_name(message.name, masks)


def _shown(text: str, masks: RecordMasks | None, limit: int) -> str:
    """Return a text of a caller or server without what is masked or looks like a secret."""
    if masks is not None:
        text = masks.text(text, limit=limit)
    return DEFAULT.text(text, limit=limit)


def _shown_name(name: str, masks: RecordMasks | None) -> str:
    """Return a name that no server has listed, likewise."""
    if len(name) > MOST_NAME:
        return _shown(name, masks, MOST_NAME)
    return _redacted(name if masks is None else masks.text(name, limit=MOST_NAME))


@lru_cache(maxsize=_NAMES)
def _redacted(name: str) -> str:
    """Return a short name without what looks like a secret, remembered."""
    return DEFAULT.text(name, limit=MOST_NAME)


def _outcome(exchange: Exchange, labels: PlainLabels) -> CallOutcome:
    refusal = exchange.refusal
    if refusal is not None and (found := _refused(refusal, labels)) is not None:
        return found
    if labels[5] == semantic_conventions.TOOL_ERROR:
        return CallOutcome.TOOL_ERROR
    return CallOutcome.FAILED if labels[5] or labels[6] else CallOutcome.OK


def _refused(refusal: Refusal, labels: PlainLabels) -> CallOutcome | None:
    """Return the outcome of a refusal for what was asked, or by whom; None for every other."""
    if isinstance(refusal, DeniedError):
        return CallOutcome.HIDDEN if labels[6] == _HIDDEN else CallOutcome.DENIED
    if isinstance(refusal, BlockedError):
        return CallOutcome.BLOCKED
    if isinstance(refusal, LimitError | LoopError):
        return CallOutcome.LIMITED
    if refusal.reason in _CONTENT:
        return CallOutcome.GUARDED
    return CallOutcome.REFUSED if refusal.reason in _NOT_AUTHENTICATED else None


def _details(span: ServerSpan, exchange: Exchange, labels: PlainLabels, outcome: CallOutcome) -> CallDetails:
    refusal = exchange.refusal
    policy, rule = refusal.limit if refusal is not None and refusal.limit is not None else (labels[11], labels[12])
    shadow = _shadow(exchange)
    return CallDetails(
        reason=labels[14] or (refusal.reason if refusal is not None else ""),
        detail=_detail(span, exchange, labels, outcome),
        policy=policy,
        rule=rule,
        shadow_policy=shadow[0],
        shadow_rule=shadow[1],
        shadow_reason=shadow[2],
        findings=_findings(exchange),
    )


def _detail(span: ServerSpan, exchange: Exchange, labels: PlainLabels, outcome: CallOutcome) -> str:
    """Return what failed, for people: the kind of error, and its words."""
    if outcome in {CallOutcome.OK, CallOutcome.DENIED, CallOutcome.HIDDEN}:
        return ""
    return _shown(_failure(span, labels), exchange.proxy.record_masks, MOST_TEXT)


def _failure(span: ServerSpan, labels: PlainLabels) -> str:
    kind = labels[6] or labels[5]
    parts = ("" if kind == semantic_conventions.TOOL_ERROR else kind, span.description)
    return ": ".join(filter(None, parts))


def _shadow(exchange: Exchange) -> tuple[str, str, str]:
    """Return policy, rule and reason of what policies in Shadow mode would have refused."""
    denial, use = exchange.shadow_denial, exchange.limit_use
    if denial is not None:
        return denial.policy, denial.rule, denial.reason.value
    if use is not None and use.shadow is not None:
        limit = use.shadow.charge.limit
        return limit.policy, limit.name, reason_of(use.shadow)
    return "", "", ""


def _findings(exchange: Exchange) -> tuple[str, ...]:
    """Return what rules about content found, each once as ``CardNumber: Mask``."""
    texts = (
        f"{each.detector}: {'would ' if each.is_shadow else ''}{each.action}"[:MOST_NAME]
        for each in exchange.findings or ()
    )
    return tuple(dict.fromkeys(texts))[:MOST_FINDINGS]
