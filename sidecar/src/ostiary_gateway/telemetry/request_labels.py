"""The labels of one request in metrics, as the record stage knows them."""

from typing import Final, NamedTuple

from ostiary_core import upstream_faults
from ostiary_core.mcp import codes

#: The error type of all that have no label value of their own.
OTHER_ERROR: Final = "_OTHER"
#: The error types with a label value of their own. An upstream invents codes, and each would be a new series.
_ERROR_TYPES: Final = frozenset(
    {
        "",
        "tool_error",
        "caller_left",
        "cancelled",
        "timeout",
        *upstream_faults.KINDS,
        *map(str, codes.DEFINED),
        *map(str, range(400, 432)),
        *("500", "502", "503", "504"),
    }
)

#: The members of :class:`RequestLabels` as a plain tuple, which is cheaper to make.
PlainLabels = tuple[str, str, str, str, str, str, str, int, str, str, str, str, str, str, str]


class RequestLabels(NamedTuple):
    """Everything that labels a request; "" is a label that it does not have.

    ``tool``, ``prompt`` and ``resource`` are names that the server has listed or that a rule writes out, never others.
    ``error_type`` and ``code`` are those of our answer, ``upstream_error`` and ``upstream_code`` those of the server's.
    ``server`` is empty where the message was not sent to one. ``status`` is the HTTP status, 0 without a response.
    ``decision`` is ``allow`` or ``deny``, and ``reason`` why it was denied.
    """

    method: str
    proxy: str
    tool: str = ""
    prompt: str = ""
    resource: str = ""
    error_type: str = ""
    code: str = ""
    status: int = 0
    server: str = ""
    upstream_error: str = ""
    upstream_code: str = ""
    policy: str = ""
    rule: str = ""
    decision: str = ""
    reason: str = ""


def known_error(value: str) -> str:
    """Return an error type or code, or :data:`OTHER_ERROR` for one that may be invented."""
    return value if value in _ERROR_TYPES else OTHER_ERROR
