"""The labels of one request in metrics, as the record stage knows them."""

from typing import NamedTuple, Protocol

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


class ObserveRequest(Protocol):
    """Counts one message, see :mod:`ostiary_gateway.metrics.request_metrics`."""

    def __call__(
        self,
        labels: PlainLabels,
        *,
        seconds: float,
        upstream_seconds: float,
        request_bytes: int,
        response_bytes: int,
        trace: tuple[str, str] | None,
    ) -> None:
        """Count it."""
