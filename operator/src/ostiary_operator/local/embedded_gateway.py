"""A gateway inside ``ostiary run``, and its evidence as call records.

This is the only module that imports both planes.
"""

import asyncio
import contextlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ostiary_core.policy.unmatched_names import Slip
from ostiary_gateway.app import GatewayApp
from ostiary_gateway.config.observed_items import OFFERED
from ostiary_gateway.config.snapshot import Snapshot
from ostiary_gateway.evidence.call_ring import CallDetails, EndedCall
from ostiary_gateway.options import AuditOptions, GatewayOptions
from ostiary_gateway.telemetry import Telemetry
from ostiary_gateway.telemetry.request_labels import RequestLabels
from ostiary_gateway.telemetry.semantic_conventions import HTTP_METHODS
from ostiary_operator.local.call_log import CallRecord
from ostiary_operator.local.run_options import RunOptions

#: Ctrl-C must not wait for a stream that no client closes.
_DRAIN_SECONDS: Final = 2.0


class LocalGateway:
    """A gateway that loads its config and its keys from two folders.

    The config must name the gateway ``identity``.

    ``on_call`` gets the record of each completed message, except those of the trace ``own_trace``.
    """

    #: The trace id (128 bits, hexadecimal) of the requests that `ostiary run` itself sends. They are counted nowhere.
    own_trace: Final = secrets.token_hex(16)

    def __init__(
        self, options: RunOptions, *, config: Path, keys: Path, identity: str, on_call: Callable[[CallRecord], None]
    ) -> None:
        self._telemetry = Telemetry.from_env()
        settled = GatewayOptions(
            config=config,
            keys=keys,
            gateway=identity,
            host=options.host,
            port=options.port,
            admin_host=options.admin_host,
            admin_port=options.admin_port,
            drain_seconds=_DRAIN_SECONDS,
            replica="run",
            installation=secrets.token_hex(8),
            audit=AuditOptions(file=options.audit_file, stdout=False),
        )
        self._gateway = GatewayApp(settled, self._telemetry, environ=os.environ)
        self._gateway.pipeline.own_trace = self.own_trace
        self._gateway.evidence.on_call = lambda call: on_call(call_of(call))
        self._swapped = asyncio.Event()
        self._gateway.store.listeners.append(self._on_swap)

    def _on_swap(self, _snapshot: Snapshot, _changed: frozenset[str]) -> None:
        self._swapped.set()

    async def start(self) -> None:
        """Listen.

        Raises:
            OstiaryError: a port is in use; the message names it and the variable that changes it.
        """
        try:
            await self._gateway.start()
        except BaseException:
            with contextlib.suppress(Exception):
                await self._gateway.stop()
            raise

    async def stop(self) -> None:
        """Drain for up to two seconds, then close."""
        await self._gateway.stop()

    @property
    def port(self) -> int:
        """The data port."""
        return self._gateway.port

    @property
    def admin_port(self) -> int:
        """The admin port."""
        return self._gateway.admin_port

    @property
    def tracing_off(self) -> str | None:
        """Why there are no traces; None if there are."""
        return self._telemetry.off

    async def until_live(self, revision: int, *, seconds: float) -> str | None:
        """Wait until a revision of the config is in force; return why it is not, or None."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not self._runs(revision):
                    self._swapped.clear()
                    await self._swapped.wait()
        store = self._gateway.store
        if self._runs(revision):
            rejected = [f"{proxy}: {found.message}" for proxy, found in sorted(store.rejected_entries.items())]
            return "; ".join(rejected) or None
        return store.rejected_config.message if store.rejected_config is not None else "it was not loaded in time"

    def slips(self) -> dict[str, tuple[Slip, ...]]:
        """Return, by proxy, the exact names in rules that its server is known not to offer."""
        snapshot = self._gateway.store.snapshot
        proxies = snapshot.proxies if snapshot is not None else {}
        return {identity: found for identity, proxy in proxies.items() if (found := OFFERED.of(proxy)[1])}

    def _runs(self, revision: int) -> bool:
        snapshot = self._gateway.store.snapshot
        return snapshot is not None and snapshot.revision >= revision


def call_of(call: EndedCall) -> CallRecord:
    """Return a request that has ended as a call record."""
    labels, details = RequestLabels._make(call.labels), call.more or CallDetails()
    return CallRecord(
        method="" if labels.method in HTTP_METHODS else labels.method,
        target=call.name,
        proxy=labels.proxy,
        outcome=call.outcome,
        seconds=call.seconds,
        policy=details.policy,
        rule=details.rule,
        reason=details.reason,
        detail=details.detail,
        found=details.findings,
    )
