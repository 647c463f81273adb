"""The trail of one process: its chain, its signed checkpoints, its sinks.

The thread that writes it owns it (:mod:`.audit_writer`). Nothing is made for the trail that its sinks have no room for:
the records wait in the queue, so the chain has no holes.
"""

import logging
from collections.abc import Callable, Sequence
from time import monotonic, sleep, time_ns
from typing import Any, Final

from ostiary_core.audit.chain import Chain, ChainPosition
from ostiary_core.audit.checkpoints import checkpoint_record
from ostiary_core.audit.record_layout import GAP, GATEWAY_STARTED, GATEWAY_STOPPED
from ostiary_core.audit.signatures import AuditSigningKey
from ostiary_core.contract.audit import AuditSinkConfig
from ostiary_gateway.audit.audit_events import GatewayEvent
from ostiary_gateway.audit.audit_keys import AuditKeys
from ostiary_gateway.audit.file_sink import FileSink
from ostiary_gateway.audit.record_encoder import RecordEncoder
from ostiary_gateway.audit.sink import Sink, SinkError
from ostiary_gateway.audit.sink_delivery import LINES_AT_ONCE, SinkDelivery

_log = logging.getLogger(__name__)
#: Records between two checkpoints at most.
_CHECKPOINT_RECORDS: Final = 1000
#: Seconds between two attempts to write what waits at the end.
_PAUSE_AT_END: Final = 0.05

#: Is told the position of each checkpoint, the public key that signed it, and whether it closes the trail.
OnCheckpoint = Callable[[ChainPosition, str, bool], None]


class Trail:
    """A trail that grows. ``interval`` is the longest time between checkpoints, in seconds."""

    def __init__(
        self,
        *,
        chain_id: str,
        keys: AuditKeys,
        encoder: RecordEncoder,
        open_sink: Callable[[AuditSinkConfig], Sink],
        interval: float,
        on_checkpoint: OnCheckpoint,
    ) -> None:
        self._chain = Chain(chain_id)
        self._keys = keys
        self._encoder = encoder
        self._open_sink = open_sink
        self._configs: list[AuditSinkConfig] = []
        self.interval = interval
        self._on_checkpoint = on_checkpoint
        self._signing: AuditSigningKey | None = None
        self._since_checkpoint = 0
        self._checkpoint_at = monotonic()
        self._new: list[tuple[int, bytes]] = []
        #: Replaced as a whole, so that any thread may read it.
        self.deliveries: tuple[SinkDelivery, ...] = ()

    @property
    def position(self) -> ChainPosition:
        """The last record."""
        return self._chain.position

    @property
    def fault(self) -> str | None:
        """Why records cannot be written now; None where they can."""
        return next((each.fault for each in self.deliveries if each.fault is not None), None)

    @property
    def is_full(self) -> bool:
        """Whether no further record can be made: every trail that exists is behind."""
        trails = self._trails()
        return bool(trails) and all(each.is_full for each in trails)

    def _trails(self) -> list[SinkDelivery]:
        return [each for each in self.deliveries if not each.sink.is_copy]

    def use(self, configs: Sequence[AuditSinkConfig]) -> None:
        """Send further lines to these sinks.

        Those that are there already stay. Others are closed, and what they did not take goes to the new trails.
        """
        self.deliver()
        wanted: list[AuditSinkConfig] = []
        wanted += (each for each in configs if each not in wanted)
        if wanted == self._configs:
            return
        before = list(zip(self._configs, self.deliveries, strict=True))
        kept = {place: each for place, config in enumerate(wanted) for known, each in before if known == config}
        left = self._close([each for _, each in before if each not in kept.values()])
        made = {
            place: SinkDelivery(self._open_sink(wanted[place])) for place in range(len(wanted)) if place not in kept
        }
        self.deliveries = tuple((kept | made)[place] for place in range(len(wanted)))
        self._configs = wanted
        self._hand_over(left, [each for each in made.values() if not each.sink.is_copy])

    def _close(self, removed: Sequence[SinkDelivery]) -> Sequence[tuple[int, bytes]]:
        """Close sinks; return the lines that a trail among them did not take, of several the most."""
        left: Sequence[tuple[int, bytes]] = ()
        for each in removed:
            lines = each.take_back()
            left = max(left, lines, key=len) if not each.sink.is_copy else left
            each.sink.close(1.0)
        return left

    def _hand_over(self, lines: Sequence[tuple[int, bytes]], trails: Sequence[SinkDelivery]) -> None:
        """Give lines that waited for a sink that is gone to the new ones.

        So their trail continues the old one.
        """
        for each in trails:
            each.add(lines)
        if lines and not self._trails():
            _log.error("audit: %d records are lost: their sink was removed before it took them", len(lines))

    def begin(self, members: dict[str, Any]) -> None:
        """Write the first record and its checkpoint."""
        self._signing = self._keys.signing()
        own = {"publicKey": self._signing.public} if self._signing is not None else {}
        previous = self._previous()
        found = {"previous": previous} if previous is not None else {}
        self._add_event(GATEWAY_STARTED, {**members, **own, **found})
        self._checkpoint()
        self.deliver()

    def _previous(self) -> dict[str, Any] | None:
        """Open the files, and return what the process before left in them.

        It is that of the first file that holds a trail.
        """
        found = None
        for each in self.deliveries:
            if isinstance(each.sink, FileSink):
                try:
                    each.sink.open()
                except SinkError as error:
                    _log.error("audit: %s", error)
                    continue
                found = found or each.sink.found
        return found

    def add(self, record: bytes) -> None:
        """Add a record."""
        line = self._chain.seal(record)
        self._new.append((self._chain.seq, line))
        self._since_checkpoint += 1
        if self._since_checkpoint >= _CHECKPOINT_RECORDS:
            self._checkpoint()

    def _add_event(self, kind: str, members: dict[str, Any]) -> None:
        self.add(self._encoder.encode(GatewayEvent(kind, time_ns(), members)))

    def checkpoint_if_due(self) -> None:
        """Sign what was added, if the last checkpoint is old."""
        if self._since_checkpoint and monotonic() - self._checkpoint_at >= self.interval:
            self._checkpoint()

    def _checkpoint(self, *, closing: bool = False) -> None:
        """Add a signed checkpoint.

        Where the key has changed, the old one signs that the new one follows.
        """
        current = self._keys.signing()
        key = self._signing or current
        self._since_checkpoint, self._checkpoint_at = 0, monotonic()
        if key is None or current is None:
            return  # the Secret has no key yet
        follows = current.public if current.public != key.public else None
        time = self._encoder.time(time_ns())
        record = checkpoint_record(self._chain.position, time=time, key=key, closing=closing, next_key=follows)
        line = self._chain.seal(record)
        self._new.append((self._chain.seq, line))
        self._signing = current
        self._on_checkpoint(self._chain.position, key.public, closing)

    def deliver_if_many(self) -> None:
        """Give all sinks what they have not taken yet, if it is as much as they take at once."""
        if len(self._new) >= LINES_AT_ONCE:
            self.deliver()

    def deliver(self, *, at_once: bool = False) -> None:
        """Give all sinks what they have not taken yet."""
        new, self._new = self._new, []
        for each in self.deliveries:
            each.add(new)
            each.deliver(at_once=at_once)
        self._give_up_where_another_works()
        self._name_holes()

    def _give_up_where_another_works(self) -> None:
        trails = self._trails()
        for each in trails:
            if each.is_full and any(other.fault is None for other in trails):
                each.drop()

    def _name_holes(self) -> None:
        """Record what a sink never got, once it works again."""
        for each in self.deliveries:
            if each.hole is not None and each.fault is None:
                (first, last), each.hole = each.hole, None
                gap = {"reason": "SinkFailed", "sink": each.sink.name, "fromSeq": first, "toSeq": last}
                self._add_event(GAP, {"gap": gap})

    def end(self, members: dict[str, Any], *, seconds: float) -> None:
        """Write the last record and the closing checkpoint, and close all sinks."""
        until = monotonic() + seconds
        self.deliver(at_once=True)  # first: a sink that works again has a hole to name before the trail is closed
        self._add_event(GATEWAY_STOPPED, members)
        self._checkpoint(closing=True)
        self.deliver(at_once=True)
        for each in self.deliveries:
            while each.waiting and each.fault is not None and monotonic() < until:
                sleep(_PAUSE_AT_END)
                each.deliver(at_once=True)
            if each.waiting:
                _log.error("audit: %d records were not written to %s: %s", each.waiting, each.sink.name, each.fault)
            each.sink.close(max(0.0, until - monotonic()))
