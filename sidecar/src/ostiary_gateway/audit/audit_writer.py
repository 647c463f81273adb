"""The thread of the audit trail.

It takes records from the queue, chains them, and gives them to the sinks. Most are encoded already; those with contents
of messages are encoded here.

It works in small batches, so that it never keeps the interpreter from the event loop for long.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from time import monotonic, time_ns
from typing import Any, Final

from ostiary_core.contract.audit import AuditSinkConfig
from ostiary_core.redaction import Redactor
from ostiary_gateway.audit.audit_events import AuditItem, LostRecords
from ostiary_gateway.audit.audit_queue import AuditQueue
from ostiary_gateway.audit.audited_content import ContentEncoder
from ostiary_gateway.audit.record_encoder import RecordEncoder
from ostiary_gateway.audit.trail import Trail
from ostiary_gateway.telemetry.throttled_warning import WarningLimiter

_log = logging.getLogger(__name__)
#: Seconds after which a record is written at the latest, if its sinks work.
DELAY_SECONDS: Final = 0.1
#: Records that are encoded before the interpreter is released.
_BATCH: Final = 64
#: Seconds after which a write that does not return counts as a fault.
HUNG_SECONDS: Final = 3.0
_HUNG: Final = "a write of audit records does not return: check the volume"


@dataclass(frozen=True, slots=True)
class TrailSettings:
    """What a change of the gateway's settings changes.

    ``interval`` are the seconds between checkpoints.
    """

    sinks: Sequence[AuditSinkConfig]
    redactor: Redactor
    interval: float


class AuditWriter:
    """The thread. It begins with :meth:`start`; :meth:`close` waits for it."""

    def __init__(self, queue: AuditQueue, trail: Trail, encoder: RecordEncoder, contents: ContentEncoder) -> None:
        self.trail = trail
        self._queue = queue
        self._encoder = encoder
        self._contents = contents
        self._settings: TrailSettings | None = None
        self._wake = threading.Event()
        self._closing: tuple[dict[str, Any], float] | None = None
        self._busy_since = 0.0
        self._warner = WarningLimiter(_log, level=logging.ERROR)
        self._thread = threading.Thread(target=self._run, name="ostiary-audit", daemon=True)
        self._begin: Callable[[], None] = lambda: None

    def start(self, settings: TrailSettings, members: dict[str, Any]) -> None:
        """Begin the trail with a record that has these members."""
        self._settings = settings
        self._begin = lambda: self.trail.begin(members)
        self._thread.start()

    def use(self, settings: TrailSettings) -> None:
        """Use other settings for further records."""
        self._settings = settings
        self._wake.set()

    def close(self, members: dict[str, Any], *, seconds: float) -> None:
        """Write what waits, then the last record with these members.

        Blocks for this many seconds at most.
        """
        self._closing = (members, monotonic() + seconds)
        self._wake.set()
        self._thread.join(seconds + 1.0)
        if self._thread.is_alive():
            _log.error("audit: %d records were not written before shutdown", len(self._queue))

    @property
    def fault(self) -> str | None:
        """Why records cannot be written now; None where they can. Any thread may ask."""
        since = self._busy_since
        if since and monotonic() - since > HUNG_SECONDS:
            return _HUNG
        return self.trail.fault

    def _run(self) -> None:
        self._guarded(self._apply)
        self._guarded(self._begin)
        while True:
            self._wake.wait(DELAY_SECONDS)
            self._wake.clear()
            closing = self._closing
            self._busy_since = monotonic()
            self._guarded(self._round)
            self._busy_since = 0.0
            if closing is not None and (not len(self._queue) or monotonic() > closing[1]):
                self._guarded(partial(self._end, *closing))
                return

    def _end(self, members: dict[str, Any], until: float) -> None:
        self.trail.end(members, seconds=max(0.0, until - monotonic()))

    def _guarded(self, work: Callable[[], None]) -> None:
        """Do work. A bug must not end the thread: all later records would be lost."""
        try:
            work()
        except Exception as error:  # noqa: BLE001  see above
            self._warner.warn("audit: a step of the trail failed: this is a bug", error=error)

    def _apply(self) -> None:
        settings, self._settings = self._settings, None
        if settings is not None:
            self._contents.redactor = settings.redactor
            self.trail.interval = settings.interval
            self.trail.use(settings.sinks)

    def _round(self) -> None:
        """Write what waits, as far as the sinks take it."""
        self._apply()
        while not self.trail.is_full:
            items = self._queue.take(_BATCH)
            for item in items:
                self._add(item)
            self._add_lost()
            self.trail.checkpoint_if_due()
            if len(items) < _BATCH:
                break
            self.trail.deliver_if_many()
            time.sleep(0)  # lets the event loop run
            self._busy_since = monotonic()
        self.trail.deliver()

    def _add(self, item: AuditItem | bytes) -> None:
        try:
            record = item if isinstance(item, bytes) else self._encoder.encode(item)
        except Exception as error:  # noqa: BLE001  one record that cannot be encoded must not cost the others
            self._warner.warn("audit: a record could not be encoded: this is a bug", error=error)
            now = time_ns()
            record = self._encoder.encode(LostRecords("Unencodable", 1, now, now, {}))
        self.trail.add(record)

    def _add_lost(self) -> None:
        lost = self._queue.take_lost()
        if lost is not None:
            self.trail.add(self._encoder.encode(lost))
            self._warner.warn("audit: %d records were dropped: the queue was full", lost.dropped)
