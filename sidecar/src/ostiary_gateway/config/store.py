"""The config in force. Swap, never mutate: an offered config is judged, built beside the old one, and then takes its
place in one assignment.

An entry whose digest did not change keeps its compiled runtime. A bad entry keeps *its* last good while the rest go on;
a bad manifest changes nothing. An older revision is never taken, whichever source brings it.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError

from ostiary_core.contract.bundle import OpenedBundle, open_files
from ostiary_core.contract.documents import SettingsDocument
from ostiary_core.errors import ContractError, OstiaryError, PatternError
from ostiary_core.policy.access import CompiledPolicy
from ostiary_gateway.config.keyring import Keyring
from ostiary_gateway.config.runtime import ProxyRuntime, ServerFactory, build_runtime, parse_policy
from ostiary_gateway.config.snapshot import Snapshot, build_snapshot

_log = logging.getLogger(__name__)

_MESSAGE_LIMIT: Final = 500


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why an entry, or a whole config, is not in force. ``subject`` is a digest, or a revision as text."""

    subject: str
    reason: str
    message: str


def rejection(subject: str, error: OstiaryError) -> Rejection:
    """Describe an error as a rejection, its message bounded."""
    kinds = {ContractError: "InvalidDocument", PatternError: "InvalidPattern"}
    return Rejection(subject, kinds.get(type(error), "Invalid"), str(error)[:_MESSAGE_LIMIT])


@dataclass(slots=True)
class _Offer:
    """The files and keys that one source holds now."""

    files: Mapping[str, bytes]
    keys: Keyring


SwapListener = Callable[[Snapshot, frozenset[str]], None]


class ConfigStore:
    """Holds the snapshot, and what was rejected and why.

    ``gateway`` is the identity that a config must be for, where it is known. Listeners are told of each swap with the
    identities of the proxies that changed or went.
    """

    def __init__(self, *, gateway: str | None, servers: ServerFactory) -> None:
        self.snapshot: Snapshot | None = None
        self.keyring = Keyring()
        self.rejected_entries: dict[str, Rejection] = {}
        self.rejected_config: Rejection | None = None
        self.listeners: list[SwapListener] = []
        self.loads = 0
        self.rejections = 0
        self._gateway = gateway
        self._servers = servers
        self._offers: dict[str, _Offer] = {}
        self._turn = asyncio.Lock()

    async def offer(self, source: str, files: Mapping[str, bytes], keys: Keyring) -> None:
        """Take what a source holds now. Bad content changes nothing but the record of rejections."""
        async with self._turn:
            self._offers[source] = _Offer(files, keys)
            joined = Keyring()
            for offer in self._offers.values():
                joined = joined.joined(offer.keys)
            self.keyring = joined
            # Keys of one source may be what the config of another waited for, so every offer is judged again.
            for each in self._offers.values():
                await self._consider(each)

    async def _consider(self, offer: _Offer) -> None:
        try:
            bundle = open_files(offer.files, self.keyring.mac, gateway=self._gateway)
        except OstiaryError as error:
            self._reject("?", error)
            return
        current = self.snapshot
        if current is not None and bundle.manifest.revision <= current.revision:
            return
        # Building a large config takes long enough to delay requests, so it happens beside the loop.
        try:
            snapshot, rejected = await asyncio.to_thread(self._build, bundle, current)
        except OstiaryError as error:
            self._reject(str(bundle.manifest.revision), error)
            return
        self._swap(snapshot, rejected)

    def _reject(self, revision: str, error: OstiaryError) -> None:
        found = rejection(revision, error)
        if found != self.rejected_config:
            self.rejections += 1
            _log.error("config rejected, the last good stays: %s", found.message)
        self.rejected_config = found

    def _build(self, bundle: OpenedBundle, current: Snapshot | None) -> tuple[Snapshot, dict[str, Rejection]]:
        settings = _parse_settings(bundle)
        old = current.proxies if current is not None else {}
        policies = _PolicyShelf(bundle, old.values())
        proxies: dict[str, ProxyRuntime] = {}
        rejected: dict[str, Rejection] = {}
        for reference in bundle.manifest.entries:
            kept = old.get(reference.proxy)
            kept = kept if kept is not None and kept.uid == reference.uid else None
            try:
                if kept is None or kept.digest != reference.digest:
                    kept = build_runtime(reference.digest, bundle, policies.take, self._servers)
            except OstiaryError as error:
                rejected[reference.proxy] = rejection(reference.digest, error)
            if kept is not None:
                proxies[reference.proxy] = kept
        manifest = bundle.manifest
        return build_snapshot(manifest.gateway, manifest.revision, settings, proxies), rejected

    def _swap(self, snapshot: Snapshot, rejected: dict[str, Rejection]) -> None:
        old = self.snapshot
        before = {} if old is None else {key: proxy.digest for key, proxy in old.proxies.items()}
        after = {key: proxy.digest for key, proxy in snapshot.proxies.items()}
        changed = frozenset(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
        self.snapshot = snapshot
        self.rejected_entries = rejected
        self.rejected_config = None
        self.loads += 1
        self.rejections += len(rejected)
        _log.info("revision %d in force: %d proxies, %d changed", snapshot.revision, len(after), len(changed))
        for proxy, found in rejected.items():
            _log.error("proxy %s: its new config is rejected: %s", proxy, found.message)
        for listener in self.listeners:
            listener(snapshot, changed)


class _PolicyShelf:
    """Compiled policies by digest: those in force are used again, new ones are compiled once for all their proxies."""

    def __init__(self, bundle: OpenedBundle, proxies: Iterable[ProxyRuntime]) -> None:
        self._bundle = bundle
        self._compiled = {key: policy for proxy in proxies for key, policy in proxy.policies.items()}

    def take(self, digest: str) -> CompiledPolicy:
        policy = self._compiled.get(digest)
        if policy is None:
            policy = CompiledPolicy.build(parse_policy(self._bundle.take(digest)))
            self._compiled[digest] = policy
        return policy


def _parse_settings(bundle: OpenedBundle) -> SettingsDocument:
    try:
        return SettingsDocument.model_validate_json(bundle.take(bundle.manifest.settings))
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        raise ContractError(f"settings: {problem['loc']}: {problem['msg']}") from None
