"""Calls as rows: exact for programs, and as texts for people.

A page and its live stream write the same texts, so that a row looks alike however it came. The script of the page puts
them in as text, so they are made fit to be shown here.
"""

from dataclasses import dataclass
from typing import Final

from ostiary_core.evidence.recorded_call import CallOutcome, RecordedCall
from ostiary_core.mcp.methods import METHODS
from ostiary_operator.console.call_positions import position
from ostiary_operator.console.hostile_text import one_line
from ostiary_operator.console.rendering import url
from ostiary_operator.local.quantities import Quantity, shown, utc_time
from ostiary_operator.view.call_lines import why_of
from ostiary_operator.view.evidence.reader import ObservedCall

_NAME: Final = 160
_WHY: Final = 400
_GOOD: Final = frozenset({CallOutcome.OK.value})
_WARN: Final = frozenset({CallOutcome.TOOL_ERROR.value, CallOutcome.LIMITED.value})
#: Outcomes that rules decided: an explanation says which.
_DECIDED: Final = frozenset({CallOutcome.DENIED.value, CallOutcome.HIDDEN.value})


@dataclass(frozen=True, slots=True)
class CallRow:
    """One call.

    Times are in milliseconds, ``at`` since the epoch; ``position`` is where a live list goes on behind it.
    """

    gateway: str
    replica: str
    position: str
    at: int
    proxy: str
    method: str
    name: str
    principal: str
    outcome: str
    duration_ms: float
    upstream_ms: float
    status: int
    error_type: str
    reason: str
    policy: str
    rule: str
    trace_id: str


@dataclass(frozen=True, slots=True)
class ShownCall:
    """The texts of a row.

    ``tone`` is the class of the outcome, ``explain`` a path of the console or empty.
    """

    time: str
    proxy: str
    method: str
    name: str
    principal: str
    outcome: str
    tone: str
    duration: str
    upstream: str
    reason: str
    explain: str


def call_row(observed: ObservedCall) -> CallRow:
    """Return a call as a row for programs."""
    call = observed.call
    return CallRow(
        gateway=observed.gateway,
        replica=observed.replica,
        position=position(observed.source, call.number),
        at=call.at,
        proxy=call.proxy,
        method=call.method,
        name=call.name,
        principal=call.principal,
        outcome=call.outcome,
        duration_ms=call.duration_ms,
        upstream_ms=call.upstream_ms,
        status=call.status,
        error_type=call.error_type,
        reason=call.reason,
        policy=call.policy,
        rule=call.rule,
        trace_id=call.trace_id,
    )


def shown_call(call: RecordedCall) -> ShownCall:
    """Return the texts of a call."""
    return ShownCall(
        time=utc_time(call.at),
        proxy=one_line(call.proxy, _NAME * 2),
        method=one_line(call.method, _NAME),
        name=one_line(call.name, _NAME),
        principal=one_line(call.principal, _NAME),
        outcome=one_line(call.outcome, _NAME),
        tone=_tone(call.outcome),
        duration=shown(call.duration_ms / 1000, Quantity.SECONDS),
        upstream=shown(call.upstream_ms / 1000 if call.upstream_ms else None, Quantity.SECONDS),
        reason=one_line(" ".join(why_of(call)), _WHY),
        explain=_explanation(call),
    )


def _tone(outcome: str) -> str:
    if outcome in _GOOD:
        return "good"
    return "warn" if outcome in _WARN else "bad"


def _explanation(call: RecordedCall) -> str:
    """Return the page that explains what rules decided, or would decide; empty where none did."""
    used = METHODS.get(call.method)
    if not call.proxy or not call.name or used is None or used.primitive is None or used.verb is None:
        return ""
    if call.outcome not in _DECIDED and not call.shadow_policy:
        return ""
    caller = call.principal if "/" in call.principal and ":" not in call.principal else ""  # a consumer
    asked = {"proxy": call.proxy, "primitive": used.primitive, "verb": used.verb, "name": call.name, "as": caller}
    return url("/explain", **asked)
