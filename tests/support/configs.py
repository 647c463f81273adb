"""Configs as the operator delivers them, for tests of how the gateway loads them: entries, bundles, files."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateways import BOUNDS, LONG_TIMEOUTS

from ostiary_core.canonical import digest
from ostiary_core.contract.bundle import Bundle, GatewayConfig, fold_config, manifest_file, stamp
from ostiary_core.contract.documents import EntryDocument, PolicyDocument, ServerConfig, SettingsDocument
from ostiary_core.contract.manifest import GatewayIdentity
from ostiary_gateway.config.keyring import Keyring

GATEWAY = "ostiary/default"
_IDENTITY = GatewayIdentity(namespace="ostiary", name="default")
TIMEOUTS = LONG_TIMEOUTS


def entry(name: str, policies: Sequence[PolicyDocument] = (), **more: Any) -> EntryDocument:
    """One proxy at ``/<name>``."""
    fixed: dict[str, Any] = {
        "namespace": "default",
        "generation": 1,
        "uid": f"uid-{name}",
        "path": f"/{name}",
        "servers": [ServerConfig(name="up", url="http://upstream.example/mcp", timeouts=TIMEOUTS)],
    }
    return EntryDocument(name=name, policies=sorted(digest(p.canonical()) for p in policies), **{**fixed, **more})


def settings(**more: Any) -> SettingsDocument:
    """Settings of a gateway."""
    return SettingsDocument(bounds=BOUNDS, **more)


@dataclass
class ConfigWriter:
    """Writes configs of growing revisions, signed with its key, as the operator does."""

    revision: int = 0
    mac_key: bytes = field(default_factory=lambda: os.urandom(32))
    session_key: bytes = field(default_factory=lambda: os.urandom(32))

    @property
    def secret(self) -> dict[str, bytes]:
        """The files of the gateway's Secret."""
        return {"mac-1": self.mac_key, "session-0": self.session_key, "admin-token": b"admin-for-tests"}

    @property
    def keys(self) -> Keyring:
        """The keys of the gateway's Secret."""
        return Keyring.from_secret(self.secret)

    def bundle(
        self,
        *entries: EntryDocument,
        policies: Sequence[PolicyDocument] = (),
        revision: int | None = None,
        gateway: GatewayIdentity = _IDENTITY,
        settings: SettingsDocument | None = None,
    ) -> Bundle:
        """A signed config with exactly these proxies, at the next revision if none is given."""
        self.revision = self.revision + 1 if revision is None else revision
        config = GatewayConfig(
            gateway,
            settings if settings is not None else SettingsDocument(bounds=BOUNDS),
            {each.identity: each for each in entries},
            {digest(each.canonical()): each for each in policies},
        )
        return stamp(fold_config(config), revision=self.revision, key_name="mac-1", key=self.mac_key)

    def files(self, *entries: EntryDocument, **more: Any) -> dict[str, bytes]:
        """The files of such a config, without the Secret's."""
        return files_of(self.bundle(*entries, **more))


def files_of(bundle: Bundle) -> dict[str, bytes]:
    """Manifest and parts, as one directory holds them."""
    return {"manifest.json": manifest_file(bundle), **{k: v for part in bundle.files for k, v in part.items()}}


def without(files: Mapping[str, bytes], digest_of: bytes) -> dict[str, bytes]:
    """The files without one document, as where its part has not arrived."""
    key = digest(digest_of).encode()
    return {
        name: b"".join(line for line in content.splitlines(keepends=True) if not line.startswith(key))
        if name.startswith("documents-")
        else content
        for name, content in files.items()
    }
