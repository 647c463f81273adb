"""Polls the replicas for their reports: fast while a change is expected, slowly otherwise."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Final

import aiohttp

from ostiary_core.errors import OstiaryError
from ostiary_core.secret_bytes import SecretBytes
from ostiary_operator.clock import Clock
from ostiary_operator.kube.changed_namespaces import NOTHING, ChangedNamespaces
from ostiary_operator.status import replicas
from ostiary_operator.status.drift_reports import ask_drift
from ostiary_operator.status.publisher import StatusPublisher
from ostiary_operator.status.replica_reports import Report, most_bytes
from ostiary_operator.status.replica_state import GatewayState, ReplicaState

_log = logging.getLogger(__name__)

#: Seconds between polls while a new config is rolled out, and how long that is expected to take at most.
FAST: Final = 0.15
PATIENCE: Final = 10.0
#: Seconds between polls otherwise.
SLOW: Final = 5.0
#: Proxies whose drifted definitions are read of one replica in one round.
_DRIFTS: Final = 8


OnReports = Callable[[Mapping[str, GatewayState]], AbstractContextManager[None]]
"""Called with the states of all gateways after each round of polls; statuses are written inside what it returns."""


def _forget(_gateway: str, _report: Report) -> None:
    pass


def _plain(_states: Mapping[str, GatewayState]) -> AbstractContextManager[None]:
    return nullcontext()


class Poller:
    """Polls replicas.

    ``enqueue`` requests a pass, with its reason and no changed namespaces. ``on_reports`` may trace what they report.
    ``on_report`` gets each report with the identity of its gateway.
    """

    def __init__(
        self,
        publisher: StatusPublisher,
        clock: Clock,
        enqueue: Callable[[str, ChangedNamespaces], None],
        *,
        on_reports: OnReports = _plain,
        on_report: Callable[[str, Report], None] = _forget,
    ) -> None:
        self._publisher = publisher
        self._clock = clock
        self._enqueue = enqueue
        self._on_reports = on_reports
        self._on_report = on_report
        self._acknowledged: dict[str, int | None] = {}

    async def run(self) -> None:
        """Poll until cancelled."""
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
            while True:
                await self.round(session)
                self._publisher.poll_now.clear()
                await self._clock.wait(self._publisher.poll_now, self._pause())

    async def round(self, session: aiohttp.ClientSession) -> None:
        """Poll every replica once, and publish the statuses that change."""
        gateway_states = list(self._publisher.gateway_states.values())
        changed = await asyncio.gather(
            *(
                self._poll_replica(session, gateway, state)
                for gateway in gateway_states
                for state in list(gateway.states.values())
            )
        )
        with self._on_reports(self._publisher.gateway_states):
            if any(changed) or self._publisher.unfinished or self._clock.monotonic() >= self._publisher.until:
                await self._publish()
        self._note_acknowledged()

    async def _publish(self) -> None:
        published = await self._publisher.publish(self._next_poll())
        if published.failure is not None:
            _log.warning("a status could not be written: %s", published.failure)
            self._enqueue("status not written", NOTHING)

    def _next_poll(self) -> Callable[[], bool]:
        """Return a function that returns whether the next poll is due, which interrupts a publish."""
        began = self._clock.monotonic()

        def is_time() -> bool:
            return self._clock.monotonic() - began >= (FAST if self._awaits() else SLOW)

        return is_time

    async def _poll_replica(self, session: aiohttp.ClientSession, gateway: GatewayState, state: ReplicaState) -> bool:
        """Poll one replica; return whether its report changed."""
        if gateway.token is None:
            return False
        try:
            most = most_bytes(gateway.proxies)
            report = await replicas.ask(
                session, state.replica, gateway=gateway.identity, token=gateway.token, most=most
            )
        except OstiaryError as error:
            return self._silent(gateway, state, error)
        self._on_report(gateway.identity, report)
        before = state.report
        rejected_before = before.rejected if before is not None else None
        if report.misplaced_keys != (before.misplaced_keys if before is not None else []):
            self._enqueue("replica finds keys outside its Secret", NOTHING)
        if report.rejected is not None and report.rejected != rejected_before:
            self._enqueue(
                "replica rejects", NOTHING
            )  # another client may have changed what we wrote, where we cannot watch
        changed = state.answered(report, self._clock.monotonic())
        return await self._read_drifts(session, gateway.token, state) or changed

    async def _read_drifts(self, session: aiohttp.ClientSession, token: SecretBytes, state: ReplicaState) -> bool:
        """Read which definitions of a few proxies drifted; return whether any was read."""
        proxies = state.stale_drifts()[:_DRIFTS]
        for proxy in proxies:
            entry = state.report.entries[proxy] if state.report is not None else None
            try:
                state.drifts[proxy] = await ask_drift(session, state.replica, token=token, proxy=proxy)
            except OstiaryError as error:
                _log.warning(
                    "replica %s: the drift of MCPProxy %s cannot be read: %s", state.replica.name, proxy, error
                )
                state.drifts.pop(proxy, None)
            digest = entry.definitions.digest if entry is not None and entry.definitions is not None else None
            state.drift_digests[proxy] = digest or ""
            state.changes.proxies.add(proxy)
        return bool(proxies)

    def _silent(self, gateway: GatewayState, state: ReplicaState, error: OstiaryError) -> bool:
        if not state.silent(str(error)):
            return False
        _log.warning("replica %s of gateway %s: %s", state.replica.name, gateway.identity, error)
        if isinstance(error, replicas.Refused):
            self._enqueue("replica refuses", NOTHING)
        return True

    def _note_acknowledged(self) -> None:
        """Enqueue a pass once all replicas run a revision, to prune documents of older ones."""
        now = {identity: gateway.acknowledged() for identity, gateway in self._publisher.gateway_states.items()}
        for identity, revision in now.items():
            if revision is not None and revision != self._acknowledged.get(identity):
                _log.info("gateway %s: every ready replica runs revision %d", identity, revision)
                if self._publisher.gateway_states[identity].prunable:
                    self._enqueue("acknowledged", NOTHING)
        self._acknowledged = now

    def _pause(self) -> float:
        now = self._clock.monotonic()
        if self._publisher.unfinished or self._awaits():
            return FAST
        return min(SLOW, max(FAST, self._publisher.until - now))

    def _awaits(self) -> bool:
        now = self._clock.monotonic()
        return any(_awaited(gateway, now) for gateway in self._publisher.gateway_states.values())


def _awaited(gateway: GatewayState, now: float) -> bool:
    recent = now - max(gateway.written_at, gateway.changed_at) < PATIENCE
    return recent and bool(gateway.states) and gateway.acknowledged() is None
