"""Builds a snapshot from a manifest and its parts, reusing what did not change."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from ostiary_core.contract.bundle import OpenedBundle, open_parts
from ostiary_core.contract.documents import SettingsDocument
from ostiary_core.contract.manifest import Manifest
from ostiary_core.contract.read_errors import unreadable
from ostiary_core.errors import OstiaryError
from ostiary_core.policy.compiled_policy import CompiledPolicy
from ostiary_gateway.config.cooperative_build import CooperativeBuild, cooperative_build
from ostiary_gateway.config.rejections import EntryRejection, describe
from ostiary_gateway.config.runtime import (
    AuthenticatorFactory,
    ProxyRuntime,
    ServerFactory,
    build_runtime,
    parse_policy,
)
from ostiary_gateway.config.snapshot import Snapshot, build_snapshot
from ostiary_gateway.errors import ConfigIncomplete


@dataclass(frozen=True, slots=True)
class SnapshotBuilder:
    """Builds snapshots.

    ``servers`` and ``authenticators`` make what an entry needs to serve requests.
    """

    servers: ServerFactory
    authenticators: AuthenticatorFactory

    def load(
        self, manifest: Manifest, files: Mapping[str, bytes], current: Snapshot | None
    ) -> tuple[Snapshot, dict[str, EntryRejection]]:
        """Return the snapshot of a verified manifest, and the entries that were rejected by proxy.

        An entry whose digest did not change keeps its runtime of ``current``; a rejected one keeps its last good one.

        Raises:
            ConfigIncomplete: a document that the manifest names has not arrived.
            ContractError: the parts or the settings cannot be read.
        """
        with cooperative_build() as build:
            return self._build(open_parts(manifest, files), current, build)

    def _build(
        self, bundle: OpenedBundle, current: Snapshot | None, build: CooperativeBuild
    ) -> tuple[Snapshot, dict[str, EntryRejection]]:
        settings = _parse_settings(bundle)
        old = current.proxies if current is not None else {}
        policies = _PolicyCache(bundle, old.values())
        proxies: dict[str, ProxyRuntime] = {}
        rejected: dict[str, EntryRejection] = {}
        for reference in bundle.manifest.entries:
            kept = old.get(reference.proxy)
            kept = kept if kept is not None and kept.uid == reference.uid else None
            try:
                if kept is None or kept.digest != reference.digest:
                    text = _take(bundle, reference.digest)
                    kept = build_runtime(reference.digest, text, policies.take, self.servers, self.authenticators)
                    build.built_one()
            except ConfigIncomplete:
                raise
            except OstiaryError as error:
                rejected[reference.proxy] = EntryRejection(**describe(error), digest=reference.digest)
            if kept is not None:
                proxies[reference.proxy] = kept
        manifest = bundle.manifest
        return build_snapshot(manifest.gateway, manifest.revision, settings, proxies), rejected


class _PolicyCache:
    """Compiled policies by digest.

    Those in force are reused, new ones are compiled once for all their proxies.
    """

    def __init__(self, bundle: OpenedBundle, proxies: Iterable[ProxyRuntime]) -> None:
        self._bundle = bundle
        self._compiled = {key: policy for proxy in proxies for key, policy in proxy.policies.items()}

    def take(self, digest: str) -> CompiledPolicy:
        policy = self._compiled.get(digest)
        if policy is None:
            policy = CompiledPolicy.build(parse_policy(_take(self._bundle, digest)))
            self._compiled[digest] = policy
        return policy


def _take(bundle: OpenedBundle, digest: str) -> bytes:
    """Return a document.

    Raises:
        ConfigIncomplete: it has not arrived.
        ContractError: its content does not have this digest.
    """
    if digest not in bundle.documents:
        raise ConfigIncomplete(f"document {digest[:12]}… is named by the manifest but in none of its parts")
    return bundle.take(digest)


def _parse_settings(bundle: OpenedBundle) -> SettingsDocument:
    try:
        return SettingsDocument.model_validate_json(_take(bundle, bundle.manifest.settings))
    except ValidationError as error:
        raise unreadable("settings", error) from None
