"""Read a collector's protobuf responses: spans that it rejected, and how long to wait.

A response that cannot be read is ignored: its status has already said whether the request was accepted.
"""

from ostiary_gateway.telemetry.protobuf import fields

_INT64_SIGN = 1 << 63


def rejected_spans(answer: bytes) -> int:
    """``ExportTraceServiceResponse.partial_success.rejected_spans``, 0 if there is none."""
    try:
        return _number(_message(answer, 1), 1)
    except ValueError:
        return 0


def retry_delay(retry_info: bytes) -> float | None:
    """``google.rpc.RetryInfo.retry_delay`` in seconds, ``None`` if it cannot be read."""
    try:
        delay = _message(retry_info, 1)
        return _number(delay, 1) + _number(delay, 2) / 1e9
    except ValueError:
        return None


def _message(data: bytes, number: int) -> bytes:
    """The embedded message of this field, empty if it is absent."""
    return next((value for field, value in fields(data) if field == number and isinstance(value, bytes)), b"")


def _number(data: bytes, number: int) -> int:
    """The integer of this field.

    Absent or negative is 0, since a count and a delay cannot be negative.
    """
    value = next((value for field, value in fields(data) if field == number and isinstance(value, int)), 0)
    return value if value < _INT64_SIGN else 0
