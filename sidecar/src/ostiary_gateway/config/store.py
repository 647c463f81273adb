"""The config in force.

A config is never changed in place: a new snapshot is built in a thread, then swapped in by one assignment.

An entry whose digest did not change keeps its compiled runtime. A bad entry keeps *its* last good version while the
others go on; a bad manifest changes nothing, and a manifest whose parts have not all arrived waits for them. An older
revision is never taken, from no source.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ostiary_core.contract import change_trace, key_names, revisions
from ostiary_core.contract.bundle import open_manifest
from ostiary_core.contract.manifest import Manifest
from ostiary_core.contract.parts import MANIFEST_FILE
from ostiary_core.errors import OstiaryError
from ostiary_gateway.config.keyring import Keyring
from ostiary_gateway.config.rejections import (
    CREDENTIAL_MISSING,
    REVISION_AHEAD,
    ConfigRejection,
    EntryRejection,
    describe,
    misplaced_keys_message,
)
from ostiary_gateway.config.runtime import AuthenticatorFactory, ServerFactory, no_authentication
from ostiary_gateway.config.snapshot import Snapshot
from ostiary_gateway.config.snapshot_builder import SnapshotBuilder
from ostiary_gateway.errors import ConfigIncomplete, RevisionAhead
from ostiary_gateway.telemetry.config_span import ConfigLoad, LoadResult, OnLoad
from ostiary_gateway.threads import in_background

_log = logging.getLogger(__name__)

SwapListener = Callable[[Snapshot, frozenset[str]], None]


@dataclass(slots=True)
class _SourceState:
    """The files and keys that one source holds now, and what is wrong with them."""

    files: Mapping[str, bytes]
    keys: Keyring
    rejected: ConfigRejection | None = None
    misplaced: tuple[str, ...] = ()
    """Names of keys among ``files``; such files are not used as keys."""


class ConfigStore:
    """Holds the snapshot in force, and what was rejected and why.

    ``gateway`` is the identity that a config must be for, if known; ``clock`` returns epoch seconds. Listeners are
    called at each swap with the identities of the proxies that changed or were removed.
    """

    def __init__(
        self,
        *,
        gateway: str | None,
        servers: ServerFactory,
        authenticators: AuthenticatorFactory = no_authentication,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.snapshot: Snapshot | None = None
        self.keyring = Keyring()
        self.rejected_entries: dict[str, EntryRejection] = {}
        #: A config whose parts have not all arrived. It is not rejected.
        self.incomplete: ConfigRejection | None = None
        self.listeners: list[SwapListener] = []
        #: Set where loads are traced.
        self.on_load: OnLoad | None = None
        self.loads = 0
        self.rejections = 0
        self._gateway = gateway
        self._builder = SnapshotBuilder(servers, authenticators)
        self._clock = clock
        self._offers: dict[str, _SourceState] = {}
        self._lock = asyncio.Lock()

    @property
    def rejected_config(self) -> ConfigRejection | None:
        """A whole config that a source holds now and that is rejected."""
        return next((offer.rejected for offer in self._offers.values() if offer.rejected is not None), None)

    @property
    def misplaced(self) -> tuple[str, ...]:
        """The names of keys among the files of a config; never used."""
        return tuple(sorted({name for offer in self._offers.values() for name in offer.misplaced}))

    async def offer(self, source: str, files: Mapping[str, bytes], keys: Keyring) -> None:
        """Take what a source holds now. Invalid content changes only the record of rejections.

        A source that suddenly has no keys at all keeps those it had: a Secret that is missing for a moment must not end
        every session. Where a key is revoked, another replaces it.
        """
        async with self._lock:
            before = self._offers.get(source, _SourceState({}, Keyring()))
            if keys.empty:
                keys = before.keys
            self._offers[source] = _SourceState(files, keys, before.rejected, key_names.misplaced(files))
            if self._offers[source].misplaced not in {(), before.misplaced}:
                _log.error("%s: %s", source, misplaced_keys_message(self._offers[source].misplaced))
            joined = Keyring()
            for offer in self._offers.values():
                joined = joined.joined(offer.keys)
            self.keyring = joined
            # The config of one source may have waited for keys of another, so every source is checked again.
            for offer in self._offers.values():
                await self._check_source(offer)

    async def recheck(self) -> None:
        """Re-check configs that were rejected because of the clock, which may be correct now."""
        async with self._lock:
            for offer in self._offers.values():
                if offer.rejected is not None and offer.rejected.reason == REVISION_AHEAD:
                    await self._check_source(offer)

    async def _check_source(self, offer: _SourceState) -> None:
        if MANIFEST_FILE not in offer.files:
            offer.rejected = None  # keys alone, or nothing yet: a config may follow
            return
        revision = None
        try:
            manifest = await in_background(open_manifest, offer.files, self.keyring.mac, gateway=self._gateway)
            revision = manifest.revision
            self._require_not_ahead(revision)
            current = self.snapshot
            if current is None or self._must_build(revision, current):
                await self._load(manifest, offer, current)
            offer.rejected = None
        except ConfigIncomplete as error:
            self._record_incomplete(revision, error)
            offer.rejected = None
        except OstiaryError as error:
            self._reject(offer, revision, error)

    async def _load(self, manifest: Manifest, offer: _SourceState, current: Snapshot | None) -> None:
        began = time.time_ns(), time.perf_counter_ns()
        try:
            snapshot, rejected = await in_background(self._builder.load, manifest, offer.files, current)
        except ConfigIncomplete:
            raise
        except OstiaryError as error:
            if offer.rejected is None or offer.rejected.revision != manifest.revision:
                found = describe(error)
                self._trace(manifest, offer, began, LoadResult(reason=found["reason"], failure=found["message"]))
            raise
        if self._swap(snapshot, rejected, seconds=(time.perf_counter_ns() - began[1]) / 1e9):
            self._trace(manifest, offer, began, _result(current, snapshot, rejected))

    def _trace(self, manifest: Manifest, offer: _SourceState, began: tuple[int, int], result: LoadResult) -> None:
        """Report a load that belongs to the trace of a change.

        ``began`` is the time on the wall clock and on the monotonic one.
        """
        if self.on_load is None:
            return
        traceparent = change_trace.read(offer.files, self.keyring.mac, revision=manifest.revision)
        if traceparent is not None:
            ended = began[0] + time.perf_counter_ns() - began[1]
            gateway = manifest.gateway.identity
            self.on_load(ConfigLoad(traceparent, gateway, manifest.revision, began[0], ended, result))

    def _must_build(self, revision: int, current: Snapshot) -> bool:
        """Return whether a revision must be built.

        It is newer, or it is the same and entries were rejected.

        Those entries may have been damaged in transit, and another source may have them undamaged.
        """
        if revision == current.revision:
            return bool(self.rejected_entries)
        return revisions.is_newer(revision, current.revision, now=self._clock())

    def _require_not_ahead(self, revision: int) -> None:
        """Reject a revision far in the future: no later revision could ever replace it.

        Raises:
            RevisionAhead: it is too far ahead of the clock.
        """
        now = self._clock()
        if revisions.is_absurd(revision, now=now):
            raise RevisionAhead(
                f"revision {revision} is more than a day ahead of this replica's clock, which says "
                f"{int(now * 1000)}: correct the clock that is wrong, the operator's or this one"
            )

    def _record_incomplete(self, revision: int | None, error: ConfigIncomplete) -> None:
        found = ConfigRejection(**describe(error), revision=revision)
        if found != self.incomplete:
            _log.info("revision %s is not complete yet: %s", revision, found.message)
        self.incomplete = found

    def _reject(self, offer: _SourceState, revision: int | None, error: OstiaryError) -> None:
        found = ConfigRejection(**describe(error), revision=revision)
        if found != offer.rejected:
            self.rejections += 1
            _log.error("config rejected, the last good one stays in force: %s", found.message)
        offer.rejected = found

    def _swap(self, snapshot: Snapshot, rejected: dict[str, EntryRejection], *, seconds: float) -> bool:
        """Put a snapshot in force; return whether it differs from the one that is."""
        old = self.snapshot
        changed = _changed(old, snapshot)
        if old is not None and old.revision == snapshot.revision and not changed and rejected == self.rejected_entries:
            return False
        self.snapshot = snapshot
        if old is not None:
            old.usual_calls.forget()
        self.rejections += sum(self.rejected_entries.get(proxy) != found for proxy, found in rejected.items())
        self.rejected_entries = rejected
        self.incomplete = None
        self.loads += 1
        _log.info(
            "revision %d in force: %d proxies, %d changed; built in %.0f ms",
            *(snapshot.revision, len(snapshot.proxies), len(changed), seconds * 1000),
        )
        for proxy, found in rejected.items():
            # The Secret and the ConfigMaps arrive apart, in any order.
            level = logging.INFO if found.reason == CREDENTIAL_MISSING else logging.ERROR
            _log.log(level, "proxy %s: its new config is rejected: %s", proxy, found.message)
        for listener in self.listeners:
            listener(snapshot, changed)
        return True


class RejectionRecheck:
    """Makes the store re-check configs that it rejected because of the clock.

    No source offers them again once the clock is right. ``period`` is in seconds.
    """

    def __init__(self, store: ConfigStore, *, period: float = 5.0) -> None:
        self._store = store
        self._period = period

    async def run(self) -> None:
        """Re-check until cancelled."""
        while True:
            await asyncio.sleep(self._period)
            await self._store.recheck()


def _result(old: Snapshot | None, new: Snapshot, rejected: Mapping[str, EntryRejection]) -> LoadResult:
    """Return what became of a config that was swapped in."""
    numbers = len(new.proxies), len(_changed(old, new)), len(rejected)
    if not rejected:
        return LoadResult(*numbers)
    proxy = min(rejected)
    return LoadResult(*numbers, rejected[proxy].reason, f"MCPProxy {proxy}: {rejected[proxy].message}")


def _changed(old: Snapshot | None, new: Snapshot) -> frozenset[str]:
    """Return the identities of the proxies that were added, changed or removed."""
    before = {} if old is None else old.proxies
    return frozenset(key for key in before.keys() | new.proxies.keys() if before.get(key) is not new.proxies.get(key))
