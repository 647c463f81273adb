"""The audit of one gateway process, as the rest of the gateway sees it.

The event loop owns it.

It is on as soon as a policy, the settings or the process's options demand records, and stays on from then.
"""

import asyncio
import logging
import os
import re
import time
from collections.abc import Callable, Mapping
from time import time_ns
from typing import Any, Final

from ostiary_core.audit.record_layout import CONFIGURATION_CHANGED
from ostiary_core.contract.audit import AuditConfig, AuditFileConfig, AuditSinkConfig, GatewayAuditConfig
from ostiary_core.redaction import DEFAULT, Redactor
from ostiary_core.version import __version__
from ostiary_gateway.audit.audit_events import GatewayEvent
from ostiary_gateway.audit.audit_keys import AuditKeys
from ostiary_gateway.audit.audit_plan import AuditPlan, plan_of_gateway, plans_of
from ostiary_gateway.audit.audit_queue import AuditQueue
from ostiary_gateway.audit.audit_writer import AuditWriter, TrailSettings
from ostiary_gateway.audit.audited_content import ContentEncoder
from ostiary_gateway.audit.config_changes import changes, config_digest
from ostiary_gateway.audit.flood_gate import SUMMARY_SECONDS, FloodGate
from ostiary_gateway.audit.published_checkpoints import PublishedCheckpoints
from ostiary_gateway.audit.record_encoder import RecordEncoder
from ostiary_gateway.audit.sink import Sink
from ostiary_gateway.audit.trail import Trail
from ostiary_gateway.config.snapshot import Snapshot
from ostiary_gateway.errors import StartupError
from ostiary_gateway.options import AuditOptions

_log = logging.getLogger(__name__)
_CHECKPOINT_SECONDS: Final = 10.0
_CLOSING_SECONDS: Final = 5.0
#: What `--audit-file` records.
_OPTION_FLOOR: Final = AuditConfig(level="Metadata")
_FILE_BYTES: Final = 100 * 1024 * 1024
_FILES: Final = 10
_NO_ROOM: Final = "too many audit records wait to be written"


class Auditor:
    """Decides what is recorded, and hands it to the thread of the trail."""

    def __init__(
        self,
        options: AuditOptions,
        *,
        keys: AuditKeys,
        replica: str,
        open_sink: Callable[[AuditSinkConfig], Sink],
    ) -> None:
        self.queue = AuditQueue()
        self.floods = FloodGate()
        #: What is recorded, by proxy; empty where nothing is.
        self.plans: Mapping[str, AuditPlan] = {}
        #: What is recorded of requests that reach no proxy; None where nothing is.
        self.gateway_plan: AuditPlan | None = None
        self.writer: AuditWriter | None = None
        #: Encodes records in the event loop, once there is a trail.
        self.encoder: RecordEncoder | None = None
        self._options = options
        self._keys = keys
        self._replica = replica
        self._open_sink = open_sink
        self.checkpoints = PublishedCheckpoints(keys)
        self._snapshot: Snapshot | None = None
        self._summary: asyncio.TimerHandle | None = None
        self._gateway = ""
        self._fails = False
        self._is_told = False

    @property
    def is_on(self) -> bool:
        """Whether anything is recorded."""
        return self.writer is not None

    def check(self) -> None:
        """Check that the file of the options can be written.

        Raises:
            StartupError: it cannot.
        """
        if self._options.file is None:
            return
        path = self._options.file
        if not path.parent.is_dir() or path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
            raise StartupError(f"--audit-file: {path} cannot be written: name a file in a folder that exists")

    # The config

    def on_swap(self, snapshot: Snapshot, changed: frozenset[str]) -> None:
        """Record a change of the config, and record by it from now on."""
        before, self._snapshot = self._snapshot, snapshot
        floor = _OPTION_FLOOR if self._options.file is not None else None
        self.plans = plans_of(snapshot, floor, self._kept(before, snapshot, changed))
        self.gateway_plan = plan_of_gateway(snapshot, floor)
        audit = snapshot.settings.audit
        self._gateway = snapshot.gateway.identity
        self._fails = any(plan.fails for plan in self.plans.values())
        self._use_settings(audit)
        if self.is_on:
            for members in changes(before, snapshot, changed):
                self.queue.put(GatewayEvent(CONFIGURATION_CHANGED, time_ns(), members))

    def _kept(self, before: Snapshot | None, now: Snapshot, changed: frozenset[str]) -> Mapping[str, AuditPlan]:
        """Return the plans of proxies that did not change, where the floor did not either."""
        if before is None or before.settings.audit != now.settings.audit:
            return {}
        return {proxy: plan for proxy, plan in self.plans.items() if proxy not in changed}

    def _use_settings(self, audit: GatewayAuditConfig | None) -> None:
        if not self.plans and audit is None and not self.is_on:
            return
        sinks = self._wanted_sinks(audit)
        redact = audit.redact if audit is not None else None
        redactor = Redactor(keys=redact.keys, patterns=redact.patterns) if redact is not None else DEFAULT
        interval = audit.checkpoint / 1000 if audit is not None and audit.checkpoint else _CHECKPOINT_SECONDS
        settings = TrailSettings(sinks, redactor, interval)
        if self.writer is not None:
            self.writer.use(settings)
        elif sinks:
            self._start(settings)
        else:
            self._record_nowhere()

    def _record_nowhere(self) -> None:
        """Record nothing, and say so once: `ostiary run` without a file has no place for records."""
        self.plans, self.gateway_plan = {}, None
        if not self._is_told:
            self._is_told = True
            _log.warning("audit records are demanded, and none are written: name a file with --audit-file FILE")

    def _wanted_sinks(self, audit: GatewayAuditConfig | None) -> list[AuditSinkConfig]:
        given = list(audit.sinks or ()) if audit is not None else []
        if self._options.file is not None:
            file = AuditFileConfig(path=str(self._options.file.absolute()), max_bytes=_FILE_BYTES, max_files=_FILES)
            given = [*(each for each in given if each.file is not None or not each.stdout), AuditSinkConfig(file=file)]
        elif not given:
            given = [AuditSinkConfig(stdout=True)]
        return [each for each in given if not each.stdout or self._options.stdout]

    def _start(self, settings: TrailSettings) -> None:
        contents = ContentEncoder(key=self._keys.digest_key, redactor=settings.redactor)
        encoder = RecordEncoder(replica=self._replica, contents=contents)
        chain = f"{re.sub(r'[^A-Za-z0-9._:-]', '-', self._replica).lstrip('._:-')[:150] or 'gateway'}/{_start()}"
        trail = Trail(
            chain_id=chain,
            keys=self._keys,
            encoder=encoder,
            open_sink=self._open_sink,
            interval=settings.interval,
            on_checkpoint=self.checkpoints.publish,
        )
        self.encoder = encoder.twin()
        self.queue.encode_in_loop(self.encoder.encode_plain)
        self.writer = AuditWriter(self.queue, trail, encoder, contents)
        self.writer.start(settings, self._identity())

    def _identity(self) -> dict[str, Any]:
        """Return what the first and the last record say of this process."""
        snapshot = self._snapshot
        found: dict[str, Any] = {"gateway": self._gateway, "version": __version__}
        if snapshot is not None:
            found |= {"configRevision": snapshot.revision, "configDigest": config_digest(snapshot)}
        return found

    # Faults

    @property
    def fault(self) -> str | None:
        """Why records cannot be written now; None where they can."""
        return self.writer.fault if self.writer is not None else None

    def unavailable(self) -> str | None:
        """Return why a request that must be recorded cannot be; None where it can."""
        return self.fault or (None if self.queue.has_room else _NO_ROOM)

    def not_ready(self) -> str | None:
        """Return why the gateway is not ready; None where it is, also if nothing must be recorded."""
        words = self.unavailable() if self._fails else None
        return f"audit records cannot be written: {words}" if words is not None else None

    def report(self) -> dict[str, Any]:
        """Return the trail's members of the admin port's report."""
        return {"audit": self.checkpoints.report(), "auditTrail": self._trail_report()}

    def _trail_report(self) -> dict[str, Any] | None:
        writer = self.writer
        if writer is None:
            return None
        position = writer.trail.position
        sinks = [
            {
                "name": each.sink.name,
                "fault": each.fault or each.sink.fault,
                "written": each.written,
                "waiting": each.waiting,
                "lost": each.sink.lost,
            }
            for each in writer.trail.deliveries
        ]
        counts = {"waiting": len(self.queue), "dropped": self.queue.dropped, "counted": self.floods.counted}
        return {"chain": position.id, "seq": position.seq, "fault": self.unavailable(), "sinks": sinks, **counts}

    # Floods

    def admits(self, proxy: str, reason: str) -> bool:
        """Return whether the refusal of an unknown caller is recorded; if not, it is counted."""
        if self.floods.admits(proxy, reason):
            return True
        if self._summary is None:
            self._summary = asyncio.get_running_loop().call_later(SUMMARY_SECONDS, self._sum_up)
        return False

    def _sum_up(self) -> None:
        self._summary = None
        for lost in self.floods.summaries():
            self.queue.put(lost)

    async def close(self) -> None:
        """Record the end of the process, and write what waits."""
        if self._summary is not None:
            self._summary.cancel()
        self._sum_up()
        if self.writer is not None:
            await asyncio.to_thread(self.writer.close, self._identity(), seconds=_CLOSING_SECONDS)


def _start() -> str:
    """Return the time of the start, for the id of the chain."""
    now = time.time()
    return time.strftime("%Y%m%dT%H%M%S", time.gmtime(now)) + f".{int(now * 1e6) % 1_000_000:06d}Z"
