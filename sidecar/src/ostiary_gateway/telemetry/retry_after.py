"""``Retry-After`` (RFC 9110, section 10.2.3): the delay that a server asks for."""

import math
import time
from datetime import UTC
from email.utils import parsedate_to_datetime


def retry_after(value: str | None) -> float | None:
    """Seconds from now, from a number of seconds or an HTTP date.

    ``None`` if it is absent or unreadable.
    """
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        return _until(value)
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _until(date: str) -> float | None:
    try:
        moment = parsedate_to_datetime(date)
    except (TypeError, ValueError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, moment.timestamp() - time.time())
