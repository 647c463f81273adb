"""Exporters and transports, the retries between them, and the responses of collectors.

An exporter takes a batch of records and returns when it is sent or lost. It runs in the batch processor's thread, never
in the event loop, and must return soon once :class:`ShutdownSignal` has begun. A response that cannot be read is
ignored: its status has already reported whether the request was accepted.
"""

import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from ostiary_gateway.telemetry.otlp.encoder import TraceEncoder, encode_span
from ostiary_gateway.telemetry.otlp.wire_format import fields
from ostiary_gateway.telemetry.span_record import PlainRecord

_ATTEMPTS: Final = 6
_JITTER: Final = 0.2
#: Not the process's own generator: the exporter runs in a thread, and would change what others draw from that.
_RANDOM: Final = random.Random()  # noqa: S311  no secret
#: Spans encoded without yielding to another thread: at about 3 microseconds each, the event loop never waits longer.
_SLICE: Final = 16
_INT64_SIGN: Final = 1 << 63

#: A span that waits to be exported: as it ended, or encoded already.
QueuedSpan = PlainRecord | bytes


@dataclass(frozen=True, slots=True)
class SendResult:
    """The result of one attempt to send.

    ``fault`` is "" if the collector accepted the batch, except for ``rejected`` spans of it (OTLP partial success).
    ``retryable`` faults may pass; ``retry_after`` is the delay that the collector asks for, in seconds. ``broken`` says
    that the connection was not usable, for example because the collector had closed it meanwhile.
    """

    fault: str = ""
    retryable: bool = False
    retry_after: float | None = None
    broken: bool = False
    rejected: int = 0


class Transport(Protocol):
    """A connection to a collector.

    Used by one thread; only :meth:`close` may be called in another.
    """

    #: The collector's address, without secrets.
    address: str

    def send(self, payload: bytes, *, timeout: float) -> SendResult:
        """Send one request, without retries. Never raises; ``timeout`` is in seconds."""

    def close(self) -> None:
        """Close the connections."""


class ShutdownSignal:
    """Tells the exporting thread about shutdown: a flag to wait on, and the deadline."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._deadline = float("inf")

    def begin(self, timeout: float) -> None:
        """Begin the shutdown, which must end within ``timeout`` seconds."""
        self._deadline = time.monotonic() + timeout
        self._event.set()

    @property
    def begun(self) -> bool:
        """Whether the shutdown has begun."""
        return self._event.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait, at most until the shutdown begins; return true if it did."""
        return self._event.wait(seconds)

    def within(self, seconds: float) -> float:
        """A deadline on the monotonic clock.

        It is ``seconds`` from now, or the shutdown's deadline if that is earlier.
        """
        return min(time.monotonic() + seconds, self._deadline)


@dataclass(frozen=True, slots=True)
class ExportResult:
    """The result of a batch: the number of lost spans, and why ("" if none)."""

    lost: int = 0
    fault: str = ""


class Exporter(Protocol):
    """Exports batches in the batch processor's thread.

    Only an exporter whose processor encodes spans gets encoded ones.
    """

    #: The destination, without secrets.
    address: str

    def export(self, batch: Sequence[QueuedSpan], closing: ShutdownSignal) -> ExportResult:
        """Export the batch, or give it up."""

    def close(self) -> None:
        """Close the connections. May be called in another thread."""


class OTLPExporter:
    """Encodes for OTLP and sends, with the retries that the OTLP specification requires.

    A batch with all its retries may take ``timeout`` seconds; then it is lost, and the next batch is sent.
    """

    def __init__(
        self,
        transport: Transport,
        encoder: TraceEncoder,
        *,
        timeout: float,
        jitter: Callable[[], float] = lambda: _RANDOM.uniform(1 - _JITTER, 1 + _JITTER),
    ) -> None:
        self.address = transport.address
        self._transport = transport
        self._encoder = encoder
        self._timeout = timeout
        self._jitter = jitter

    def export(self, batch: Sequence[QueuedSpan], closing: ShutdownSignal) -> ExportResult:
        """Export the batch, or give it up."""
        outcome = self._send(self._encoder.request(_encoded(batch)), closing)
        if outcome.fault:
            return ExportResult(len(batch), outcome.fault)
        return ExportResult(min(outcome.rejected, len(batch)), "rejected by the collector" if outcome.rejected else "")

    def _send(self, payload: bytes, closing: ShutdownSignal) -> SendResult:
        deadline = closing.within(self._timeout)
        outcome = SendResult(fault="no time left")
        for attempt in range(_ATTEMPTS):
            deadline = min(deadline, closing.within(self._timeout))
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                break
            outcome = self._transport.send(payload, timeout=remaining)
            if not outcome.fault or not outcome.retryable or not self._may_retry(outcome, attempt, deadline, closing):
                break
        return outcome

    def _may_retry(self, outcome: SendResult, attempt: int, deadline: float, closing: ShutdownSignal) -> bool:
        """Wait before the next attempt; return false if the batch's time does not allow one."""
        pause, left = self._pause(outcome, attempt), deadline - time.monotonic()
        if pause > left:
            if outcome.retry_after is not None:
                closing.wait(max(0.0, left))  # the collector asked for a pause: the next batch must not end it early
            return False
        return not pause or not closing.wait(pause)

    def _pause(self, outcome: SendResult, attempt: int) -> float:
        if outcome.retry_after is not None:
            return outcome.retry_after
        if outcome.broken and attempt == 0:
            return 0.0
        return 2.0 ** max(0, attempt - outcome.broken) * self._jitter()

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()


def _encoded(batch: Sequence[QueuedSpan]) -> list[bytes]:
    """Return the spans encoded; most are already."""
    encoded: list[bytes] = []
    fresh = 0
    for span in batch:
        if isinstance(span, bytes):
            encoded.append(span)
            continue
        encoded.append(encode_span(span))
        fresh += 1
        if fresh % _SLICE == 0:
            time.sleep(0)  # lets the event loop's thread take the GIL, if it waits for it
    return encoded


def rejected_spans(response: bytes) -> int:
    """``ExportTraceServiceResponse.partial_success.rejected_spans``, 0 if there is none."""
    try:
        return _number(_message(response, 1), 1)
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
