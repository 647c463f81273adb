"""Sending batches: what an exporter and a transport are, and the retries between them.

An exporter takes a batch of records and comes back when it is sent or lost. It runs on the draining thread, never on a
request's way, and has to come back soon once :class:`Closing` says so.
"""

import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from ostiary_gateway.telemetry.encode import TraceEncoder, encode_span
from ostiary_gateway.telemetry.record import PlainRecord

_ATTEMPTS: Final = 6
_JITTER: Final = 0.2
#: Spans encoded without letting another thread run: at about 3 microseconds each the event loop never waits for more.
_SLICE: Final = 64


@dataclass(frozen=True, slots=True)
class SendResult:
    """What one attempt to send came to.

    ``fault`` is "" if the collector took the batch; ``rejected`` spans of it it did not like (OTLP partial success).
    ``retryable`` faults may pass; ``retry_after`` is how long the collector asks to wait, in seconds. ``broken`` says
    that the connection was of no use, as a kept one is when the collector has closed it meanwhile.
    """

    fault: str = ""
    retryable: bool = False
    retry_after: float | None = None
    broken: bool = False
    rejected: int = 0


class Transport(Protocol):
    """One way to a collector. Used by one thread; only :meth:`close` may come from another."""

    #: The collector's address, fit to be shown.
    address: str

    def send(self, payload: bytes, *, timeout: float) -> SendResult:
        """Send one request, once. Never raises; ``timeout`` is in seconds."""

    def close(self) -> None:
        """Let go of connections."""


class Closing:
    """The draining thread's view of shutdown: a flag to wait on, and the time when all has to end."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._deadline = float("inf")

    def begin(self, timeout: float) -> None:
        """Ask for the end within ``timeout`` seconds."""
        self._deadline = time.monotonic() + timeout
        self._event.set()

    @property
    def begun(self) -> bool:
        """Whether the end was asked for."""
        return self._event.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait, but not beyond the wish to close; true if that came."""
        return self._event.wait(seconds)

    def within(self, seconds: float) -> float:
        """A deadline on the monotone clock: so many seconds from now, or the end if it is sooner."""
        return min(time.monotonic() + seconds, self._deadline)


@dataclass(frozen=True, slots=True)
class ExportResult:
    """How a batch ended: the spans lost of it and why ("" if none)."""

    lost: int = 0
    fault: str = ""


class Exporter(Protocol):
    """Takes batches on the draining thread."""

    #: Where they go, fit to be shown.
    address: str

    def export(self, batch: Sequence[PlainRecord], closing: Closing) -> ExportResult:
        """Deliver the batch or give it up."""

    def close(self) -> None:
        """Let go of connections. May come from another thread."""


class OTLPExporter:
    """Encodes for OTLP and sends, with retries as the OTLP specification asks for them.

    A batch with all its retries may take ``timeout`` seconds; then it is given up, and the next has its chance.
    """

    def __init__(
        self,
        transport: Transport,
        encoder: TraceEncoder,
        *,
        timeout: float,
        jitter: Callable[[], float] = lambda: random.uniform(1 - _JITTER, 1 + _JITTER),  # noqa: S311  no secret
    ) -> None:
        self.address = transport.address
        self._transport = transport
        self._encoder = encoder
        self._timeout = timeout
        self._jitter = jitter

    def export(self, batch: Sequence[PlainRecord], closing: Closing) -> ExportResult:
        """Deliver the batch or give it up."""
        outcome = self._send(self._encoder.request(_encoded(batch)), closing)
        if outcome.fault:
            return ExportResult(len(batch), outcome.fault)
        return ExportResult(min(outcome.rejected, len(batch)), "rejected by the collector" if outcome.rejected else "")

    def _send(self, payload: bytes, closing: Closing) -> SendResult:
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

    def _may_retry(self, outcome: SendResult, attempt: int, deadline: float, closing: Closing) -> bool:
        """Wait as long as it takes, if the batch's time allows a further attempt."""
        pause, left = self._pause(outcome, attempt), deadline - time.monotonic()
        if pause > left:
            if outcome.retry_after is not None:
                closing.wait(max(0.0, left))  # the collector asked for quiet: the next batch must not break it at once
            return False
        return not pause or not closing.wait(pause)

    def _pause(self, outcome: SendResult, attempt: int) -> float:
        if outcome.retry_after is not None:
            return outcome.retry_after
        if outcome.broken and attempt == 0:
            return 0.0
        return 2.0 ** max(0, attempt - outcome.broken) * self._jitter()

    def close(self) -> None:
        """Let go of connections."""
        self._transport.close()


def _encoded(batch: Sequence[PlainRecord]) -> list[bytes]:
    encoded: list[bytes] = []
    for start in range(0, len(batch), _SLICE):
        encoded.extend(map(encode_span, batch[start : start + _SLICE]))
        time.sleep(0)  # hands the interpreter to the event loop, if it wants it
    return encoded
