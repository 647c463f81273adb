"""One line for each recorded call, for a terminal.

All texts are of callers and servers, and untrusted.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from ostiary_core.evidence.recorded_call import CallOutcome, RecordedCall
from ostiary_operator.local.call_log import STYLES
from ostiary_operator.local.console import Style, printable
from ostiary_operator.view import tables
from ostiary_operator.view.evidence.reader import ObservedCall
from ostiary_operator.view.tables import Paint

_WHY: Final = 200


def call_line(observed: ObservedCall, *, several: bool = False, paint: Paint = tables.plain) -> str:
    """Return a call as one line: when, how it ended, where, what, by whom, how long, and why.

    The time is that of this machine's time zone. With ``several`` replicas the line ends with its replica.
    """
    call = observed.call
    outcome = paint(f"{printable(call.outcome, limit=10):<10}", STYLES.get(call.outcome, Style.BAD))
    columns = (
        f"{_clock(call.at)}  {outcome}  {printable(call.proxy or '-', limit=60):<24}",
        f"{printable(_what(call), limit=60):<28}",
        f"{printable(call.principal or '-', limit=40):<20}",
        f"{call.duration_ms:>8,.1f} ms",
        " ".join(why_of(call)),
        paint(f"({printable(observed.replica, limit=60)})", Style.DIM) if several else "",
    )
    return "  ".join(filter(None, columns)).rstrip()


def why_of(call: RecordedCall) -> Iterator[str]:
    """Yield why a call ended so: what decided, failed or was found, and what Shadow would do."""
    if decision := _decision(call):
        yield printable(decision, limit=_WHY)
    if call.detail:
        yield printable(call.detail, limit=_WHY)
    elif call.error_type and call.outcome == CallOutcome.FAILED:
        yield printable(call.error_type)
    if call.findings:
        yield printable(f"[{', '.join(call.findings)}]", limit=_WHY)
    if call.shadow_policy:
        rule = f"rule {call.shadow_rule} of " if call.shadow_rule else ""
        yield printable(f"(shadow: {rule}policy {call.shadow_policy} would deny it)", limit=_WHY)


def _decision(call: RecordedCall) -> str:
    """Return what decided, unless the words about the failure name all of it."""
    if call.reason and all(each in call.detail for each in (call.reason, call.policy, call.rule)):
        return ""
    by = f"of policy {call.policy}" if call.policy else ""
    if call.rule:
        return " ".join(filter(None, (call.reason, "by rule", call.rule, by)))
    return f"{call.reason} by policy {call.policy}" if call.policy and call.reason else call.reason


def _what(call: RecordedCall) -> str:
    """Return the tool that was called, or the method and what it names."""
    return call.name if call.method == "tools/call" and call.name else f"{call.method} {call.name}".strip() or "-"


def _clock(at: int) -> str:
    try:
        return f"{datetime.fromtimestamp(at / 1000):%H:%M:%S}"  # noqa: DTZ006  the reader's own time
    except (ValueError, OverflowError, OSError):
        return "--:--:--"
