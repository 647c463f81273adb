"""A real gateway in the test's own event loop; the test writes its config with the code of the core.

async with running_gateway() as gateway:
    gateway.url("crm") ; gateway.apply(…) ; gateway.write(…)
"""

import os
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import http_listener
from volumes import swap_in, swap_in_config

from ostiary_core.canonical import digest
from ostiary_core.contract.access import AccessRulesConfig
from ostiary_core.contract.bounds import BoundsConfig
from ostiary_core.contract.bundle import GatewayConfig, fold_config, manifest_file, stamp
from ostiary_core.contract.documents import (
    EntryDocument,
    PolicyDocument,
    ServerConfig,
    SettingsDocument,
    Tier,
    TimeoutsConfig,
)
from ostiary_core.contract.manifest import GatewayIdentity
from ostiary_gateway.app import GatewayApp
from ostiary_gateway.config.directory_source import DirectorySource
from ostiary_gateway.options import GatewayOptions
from ostiary_gateway.telemetry import Telemetry

LOOPBACK = ["127.0.0.0/8", "::1/128"]
#: Timeouts of servers, for tests that are not about timeouts: on a busy machine a connection or a response may take
#: seconds, and must not count as a fault.
LONG_TIMEOUTS = TimeoutsConfig(connect=60_000, request=60_000, idle=60_000)
#: For servers that hang once they are connected.
SHORT_TIMEOUTS = TimeoutsConfig(connect=60_000, request=300, idle=300)
#: For servers to which no connection can be opened.
SHORT_CONNECT_TIMEOUT = TimeoutsConfig(connect=200, request=60_000, idle=60_000)
BOUNDS = BoundsConfig(
    request_bytes=1 << 20, message_bytes=4 << 20, requests_in_flight=500, streams=500, session_max_age=3_600_000
)


def policy(name: str, *rules: dict[str, Any], tier: Tier = "owner", namespace: str = "default") -> PolicyDocument:
    """A policy with these access rules; none at all denies everything."""
    access = AccessRulesConfig.model_validate({"rules": list(rules)}, strict=False)
    return PolicyDocument(namespace=namespace, name=name, uid=f"uid-{name}", generation=1, tier=tier, access=access)


@dataclass(slots=True)
class RunningGateway:
    """A gateway, and the directory that its config is written to as the kubelet would."""

    directory: Path
    settings: SettingsDocument
    app: GatewayApp = field(init=False)
    identity: GatewayIdentity = GatewayIdentity(namespace="ostiary", name="default")  # noqa: RUF009  it is frozen
    revision: int = 0
    applied: tuple[tuple[EntryDocument, dict[str, PolicyDocument]], ...] = ()
    """What was applied last."""
    mac_key: bytes = field(default_factory=lambda: os.urandom(32), repr=False)
    session_key: bytes = field(default_factory=lambda: os.urandom(32), repr=False)
    content_key: bytes = field(default_factory=lambda: os.urandom(32), repr=False)
    audit_key: bytes = field(default_factory=lambda: os.urandom(32), repr=False)
    admin_token: bytes = field(default=b"admin-for-tests", repr=False)
    evidence_token: bytes = field(default=b"evidence-for-tests", repr=False)
    assertion_keys: dict[str, bytes] = field(default_factory=lambda: {"assertion-0": os.urandom(32)}, repr=False)
    credentials: dict[str, bytes] = field(default_factory=dict, repr=False)
    """The credentials in the gateway's Secret, by name."""

    def url(self, name: str = "mock") -> str:
        """The endpoint of a proxy."""
        return f"http://127.0.0.1:{self.app.port}/{name}/mcp"

    def entry(
        self, name: str, upstream: str, policies: Sequence[PolicyDocument] = (), **more: Any
    ) -> tuple[EntryDocument, dict[str, PolicyDocument]]:
        """One proxy at ``/<name>``, and the policies that it names."""
        named = {digest(p.canonical()): p for p in policies}
        server = {"timeouts": LONG_TIMEOUTS, "addresses": LOOPBACK, **more.pop("server", {})}
        server |= {name: more.pop(name) for name in ("timeouts", "addresses") if name in more}
        servers = [ServerConfig(name="up", url=upstream, **server)]
        fixed: dict[str, Any] = {"namespace": "default", "generation": 1, "servers": servers}
        more = {"uid": f"uid-{name}", "path": f"/{name}", **fixed, **more}
        return EntryDocument(name=name, policies=sorted(named), **more), named

    async def apply(self, *entries: tuple[EntryDocument, dict[str, PolicyDocument]]) -> None:
        """Write a config with exactly these proxies and let the gateway load it."""
        self.applied = entries
        self.write(*entries)
        source = self.app.sources[0]
        assert isinstance(source, DirectorySource)
        await source.poll()

    def write(self, *entries: tuple[EntryDocument, dict[str, PolicyDocument]]) -> None:
        """Write a config as the kubelet does: a new directory, then a rename of the link."""
        config = GatewayConfig(
            self.identity,
            self.settings,
            {e.identity: e for e, _ in entries},
            {key: p for _, named in entries for key, p in named.items()},
        )
        self.revision += 1
        bundle = stamp(fold_config(config), revision=self.revision, key_name="mac-1", key=self.mac_key)
        files = {"manifest.json": manifest_file(bundle)}
        for part in bundle.files:
            files |= part
        swap_in_config(self.directory, files, secret=self.secret)

    @property
    def secret(self) -> dict[str, bytes]:
        """The files of the gateway's Secret."""
        return {
            "mac-1": self.mac_key,
            "session-0": self.session_key,
            "content-0": self.content_key,
            "admin-token": self.admin_token,
            "evidence-token": self.evidence_token,
            "audit-1": self.audit_key,
            **self.assertion_keys,
            **self.credentials,
        }

    def place_secret(self, files: dict[str, bytes]) -> None:
        """Swap in a version of the Secret's volume with these files; the config stays."""
        swap_in(self.directory / "keys", files)

    def place(self, files: dict[str, bytes]) -> None:
        """Swap in a version of the config's volume with these files; the keys stay."""
        swap_in(self.directory, files)


@asynccontextmanager
async def running_gateway(
    *,
    telemetry: Telemetry | None = None,
    bounds: BoundsConfig = BOUNDS,
    origins: Sequence[str] = (),
    environ: Mapping[str, str] = MappingProxyType({}),
    **options: Any,
) -> AsyncIterator[RunningGateway]:
    """A gateway on free ports, without a config yet. ``environ`` is what its export of metrics is configured by."""
    with tempfile.TemporaryDirectory() as directory:
        gateway = RunningGateway(Path(directory), SettingsDocument(allowed_origins=list(origins), bounds=bounds))
        settled = {
            "port": 0,
            "admin_port": 0,
            "drain_seconds": 1.0,
            "http_server": http_listener.HTTP_SERVER,
            **options,
        }
        settings = GatewayOptions(config=Path(directory), **settled)
        if settings.gateway:
            namespace, _, name = settings.gateway.partition("/")
            gateway.identity = GatewayIdentity(namespace=namespace, name=name)
        gateway.app = GatewayApp(settings, telemetry or Telemetry.disabled(), environ=environ)
        await gateway.app.start()
        try:
            yield gateway
        finally:
            await gateway.app.stop()
