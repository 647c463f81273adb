"""How numbers are written for people, the same on pages and in terminals.

Three significant digits, a unit that fits, and a dash for what is not known.
"""

import enum
import math
from datetime import UTC, datetime
from typing import Final

#: What is written where there is no number.
UNKNOWN: Final = "-"
_MINUTE: Final = 60
_DIGITS: Final = 3
#: Below this, a number of calls that is an estimate (of Prometheus, say) is written with a fraction.
_EXACT_FROM: Final = 10


class Quantity(enum.StrEnum):
    """What a number counts or measures."""

    COUNT = "count"
    SECONDS = "seconds"
    RATIO = "ratio"
    PER_SECOND = "perSecond"
    BYTES = "bytes"


def shown(value: float | None, quantity: Quantity) -> str:
    """Return a number with its unit.

    Examples: ``1,204``, ``3.25 ms``, ``12.5 %``, ``0.4/s``, ``1.5 MiB``.
    """
    if value is None or not math.isfinite(value):
        return UNKNOWN
    match quantity:
        case Quantity.COUNT:
            return _count(value)
        case Quantity.SECONDS:
            return _duration(value)
        case Quantity.RATIO:
            return f"{_significant(value * 100)} %"
        case Quantity.PER_SECOND:
            return f"{_significant(value)}/s"
        case Quantity.BYTES:
            return _bytes(value)


def utc_time(at: int, *, with_date: bool = False) -> str:
    """Return a time in UTC as ``12:05:10``, on request with its date.

    ``at`` is in milliseconds since the epoch. A time that no calendar has is a dash.
    """
    try:
        moment = datetime.fromtimestamp(at / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return UNKNOWN
    return f"{moment:%Y-%m-%d %H:%M:%S}" if with_date else f"{moment:%H:%M:%S}"


def _count(value: float) -> str:
    if value == int(value) or abs(value) >= _EXACT_FROM:
        return f"{round(value):,}"
    return f"{value:.1f}"


def _duration(seconds: float) -> str:
    if abs(seconds) < 1:
        return f"{_significant(seconds * 1000)} ms"
    if abs(seconds) < _MINUTE:
        return f"{_significant(seconds)} s"
    minutes, rest = divmod(round(seconds), _MINUTE)
    return f"{minutes:,} min {rest} s"


def _bytes(value: float) -> str:
    for name in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 1024:
            return f"{_significant(value)} {name}"
        value /= 1024
    return f"{_significant(value)} TiB"


def _significant(value: float) -> str:
    """Return a number with three significant digits, without an exponent or final zeros."""
    if not value:
        return "0"
    decimals = max(0, min(6, _DIGITS - 1 - math.floor(math.log10(abs(value)))))
    text = f"{value:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
