"""The time-limited record of exchanges: `spec.debugCapture` of an MCPProxy."""

import enum
from datetime import datetime
from typing import Annotated, Any

from pydantic import StrictStr, StringConstraints

from ostiary_operator.api.base_model import ApiModel
from ostiary_operator.api.constraints import Rule, compiled, matches

_TIME = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})$"
_EARLIEST, _LATEST = "2000-01-01T00:00:00Z", "2199-12-31T23:59:59Z"


def milliseconds_of(text: str) -> int:
    """Return a time of RFC 3339 in epoch milliseconds.

    Raises:
        ValueError: the calendar has no such time.
    """
    return int(datetime.fromisoformat(text).timestamp() * 1000)


def _is_in_range(value: Any) -> bool:
    if compiled(_TIME).search(value) is None:
        return True  # the other rule reports it
    try:
        return milliseconds_of(_EARLIEST) <= milliseconds_of(value) <= milliseconds_of(_LATEST)
    except ValueError:
        return False


Instant = Annotated[
    StrictStr,
    StringConstraints(max_length=40),
    matches(_TIME, "is not a time", "write it as RFC 3339 does, such as 2026-11-29T18:00:00Z"),
    Rule(
        f"!self.matches(r'{_TIME}') || (timestamp(self) >= timestamp('{_EARLIEST}')"
        f" && timestamp(self) <= timestamp('{_LATEST}'))",
        _is_in_range,
        "is not a time of these two centuries",
        "write a time that the calendar has, such as 2026-11-29T18:00:00Z",
    ),
]
"""A moment, as RFC 3339 writes it."""


class CapturedContents(enum.StrEnum):
    """What of a message is captured besides its method, name, decision and duration."""

    REDACTED = "Redacted"
    NONE = "None"


class DebugCapture(ApiModel):
    """Keeps the latest exchanges of an MCPProxy in the memory of its gateways."""

    until: Instant
    """When the capture ends, as RFC 3339 writes it; it is over by itself. A gateway captures for 24 hours at most from
    when it first sees this value, so a later time needs another value then. Example: `2026-11-29T18:00:00Z`."""

    contents: CapturedContents = CapturedContents.REDACTED
    """What is captured of arguments and results: their beginning, in which what looks like a secret is replaced
    (Redacted), or nothing (None). Headers and credentials are never captured. Example: `None`."""
