"""Contents of calls, which gateways keep only while a debug capture of the proxy runs."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from ostiary_operator.local.quantities import UNKNOWN
from ostiary_operator.view.evidence.capture_log import CapturedRecord, DebugCaptureLog
from ostiary_operator.view.evidence.gathered import Gathered
from ostiary_operator.view.exchange_text import exchange_details, exchange_summary

_INDENT: Final = " " * 14


@dataclass(frozen=True, slots=True)
class ShownExchange:
    """One captured exchange.

    ``record`` is exact, the rest are its texts; ``time`` is in UTC.
    """

    time: str
    replica: str
    summary: str
    details: str
    record: dict[str, Any]


@dataclass(frozen=True, slots=True)
class CaptureView:
    """The exchanges of one proxy, the newest first, while its capture runs.

    That is ``until`` a time (RFC 3339). ``skipped`` exchanges were too many in a second to be captured. ``notice``
    names replicas that did not answer.
    """

    until: str
    skipped: int
    notice: str
    exchanges: tuple[ShownExchange, ...]


def captured_contents(gathered: Gathered[DebugCaptureLog]) -> CaptureView | None:
    """Return what a page shows of a capture; None where none runs."""
    log = gathered.value
    if not log.is_running:
        return None
    return CaptureView(log.until, log.skipped, gathered.sentence(), tuple(map(_shown, log.records)))


def _shown(captured: CapturedRecord) -> ShownExchange:
    record = captured.record
    lines = (line.removeprefix(_INDENT) for line in exchange_details(record))
    return ShownExchange(
        time=_time(record.get("at")),
        replica=captured.replica,
        summary=exchange_summary(record),
        details="\n".join(lines),
        record=record,
    )


def _time(at: object) -> str:
    try:
        return datetime.fromisoformat(str(at)).astimezone(UTC).strftime("%H:%M:%S.%f")[:-3]
    except (ValueError, OverflowError):
        return UNKNOWN
