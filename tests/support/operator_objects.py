"""Objects as users and the chart write them, stub replicas of gateways, and readers of what was delivered."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from timeouts import TIMEOUT_SECONDS
from web_application import serving_application

from ostiary_core.contract.bounds import BoundsConfig
from ostiary_core.contract.bundle import GatewayConfig, OpenedBundle, open_files
from ostiary_core.contract.documents import (
    EntryDocument,
    PolicyDocument,
    ServerConfig,
    SettingsDocument,
    TimeoutsConfig,
)
from ostiary_core.contract.manifest import GatewayIdentity
from ostiary_operator.delivery import reader, secret
from ostiary_operator.kube.fake import FakeClient, add_namespaces
from ostiary_operator.kube.kinds import CONFIG_MAP, POLICY, PROXY, SECRET, SERVICE

SYSTEM = "ostiary-system"
GATEWAY = f"{SYSTEM}/default"


def proxy(
    name: str, *, namespace: str = "tools", url: str = "http://mock.tools:7878/mcp", **spec: Any
) -> dict[str, Any]:
    """An MCPProxy with one server."""
    servers = [{"name": "mock", "url": url}]
    return {
        "apiVersion": PROXY.api_version,
        "kind": PROXY.name,
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"servers": servers, **spec},
    }


def policy(name: str, *targets: str, namespace: str = "tools", allow: str = "*", **spec: Any) -> dict[str, Any]:
    """An MCPPolicy that lets every caller use tools of these names at some proxies, or else at all of its namespace."""
    target: dict[str, Any] = (
        {"targetRefs": [{"kind": "MCPProxy", "name": each} for each in targets]} if targets else {"targetSelector": {}}
    )
    rules = [{"name": "allow", "effect": "Allow", "tools": {"names": [allow]}}]
    return {
        "apiVersion": POLICY.api_version,
        "kind": POLICY.name,
        "metadata": {"name": name, "namespace": namespace},
        "spec": {**target, "access": {"rules": rules}, **spec},
    }


def service(gateway: str = "default", *, namespace: str = SYSTEM, name: str | None = None) -> dict[str, Any]:
    """The Service of a gateway."""
    ports = [{"name": "http", "port": 8080}, {"name": "admin", "port": 8081}]
    labels = {"ostiary.dev/gateway": gateway}
    metadata = {"name": name or f"ostiary-gateway-{gateway}", "namespace": namespace, "labels": labels}
    return {"metadata": metadata, "spec": {"ports": ports}}


def settings(text: str, gateway: str = "default", *, namespace: str = SYSTEM) -> dict[str, Any]:
    """The ConfigMap with a gateway's settings."""
    labels = {"ostiary.dev/gateway": gateway, "ostiary.dev/usage": "settings"}
    metadata = {"name": f"ostiary-gateway-{gateway}-settings", "namespace": namespace, "labels": labels}
    return {"metadata": metadata, "data": {"settings.yaml": text}}


def populated(*objects: Mapping[str, Any], time: Callable[[], float] = lambda: 1_800_000_000.0) -> FakeClient:
    """A cluster in memory with the usual namespaces, one gateway, and these resources."""
    cluster = FakeClient(time=time)
    add_namespaces(cluster, [SYSTEM, "tools", "sales"])
    cluster.put(SERVICE, service())
    for obj in objects:
        cluster.put(PROXY if obj["kind"] == PROXY.name else POLICY, obj)
    return cluster


BOUNDS = BoundsConfig(
    request_bytes=1 << 20, message_bytes=4 << 20, requests_in_flight=500, streams=500, session_max_age=3_600_000
)


def entry(name: str, *policies: str, padding: str = "", namespace: str = "tools") -> EntryDocument:
    """An entry whose size is that of its padding."""
    server = ServerConfig(
        name="s", url=f"http://s/{padding}", timeouts=TimeoutsConfig(connect=1000, request=1000, idle=1000)
    )
    return EntryDocument(
        namespace=namespace, name=name, uid=f"uid-{name}", generation=1, path=f"/{namespace}/{name}",
        servers=[server], policies=sorted(policies),
    )  # fmt: skip


def config(*entries: EntryDocument, policies: Mapping[str, PolicyDocument] | None = None) -> GatewayConfig:
    """A compiled config of the usual gateway."""
    return GatewayConfig(
        gateway=GatewayIdentity(namespace=SYSTEM, name="default"),
        settings=SettingsDocument(bounds=BOUNDS),
        entries={each.identity: each for each in entries},
        policies=dict(policies or {}),
    )


def delivered(cluster: FakeClient, gateway: str = "default", *, namespace: str = SYSTEM) -> OpenedBundle:
    """What a gateway that reads everything now would accept; raises where it would refuse."""
    files = delivered_files(cluster, gateway, namespace=namespace)
    keys_secret = cluster.peek(SECRET, name=f"ostiary-{gateway}", namespace=namespace)
    return open_files(files, secret.parse_secret(keys_secret).mac_keys(), gateway=f"{namespace}/{gateway}")


def delivered_files(cluster: FakeClient, gateway: str = "default", *, namespace: str = SYSTEM) -> dict[str, bytes]:
    """The files of all of a gateway's ConfigMaps."""
    found = {n: cluster.peek(CONFIG_MAP, name=f"ostiary-{gateway}-{n}", namespace=namespace) for n in range(16)}
    return reader.all_files({number: obj for number, obj in found.items() if obj is not None})


def condition(obj: Mapping[str, Any] | None, of_type: str) -> tuple[str, str]:
    """Status and reason of a condition; empty where there is none."""
    for each in (obj or {}).get("status", {}).get("conditions", ()):
        if each["type"] == of_type:
            return each["status"], each["reason"]
    return "", ""


async def until(
    holds: Callable[[], Any] | Callable[[], Awaitable[Any]],
    *,
    seconds: float = TIMEOUT_SECONDS,
    what: str = "the condition",
) -> Any:
    """Wait until something is true, and return it; fail when it takes too long."""
    deadline = time.monotonic() + seconds
    while True:
        found = holds()
        found = await found if isinstance(found, Awaitable) else found
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true in {seconds} s")
        await asyncio.sleep(0.02)


_numbers = itertools.count(1)


@dataclass(slots=True)
class StubReplica:
    """A replica that reports what the test sets: by default that it runs nothing yet."""

    gateway: str = GATEWAY
    replica: str = field(default_factory=lambda: f"replica-{next(_numbers)}")
    revision: int = 0
    entries: dict[str, dict[str, Any]] = field(default_factory=dict)
    rejected: dict[str, Any] | None = None
    status: int = 200
    body: bytes | None = None
    bearers: list[str] = field(default_factory=list)
    url: str = ""
    before: Callable[["StubReplica"], Awaitable[None]] | None = None

    def runs(self, bundle: OpenedBundle) -> None:
        """Report that everything of a config runs."""
        self.revision = bundle.manifest.revision
        self.entries = {each.proxy: {"active": each.digest, "rejected": None} for each in bundle.manifest.entries}

    def document(self) -> dict[str, Any]:
        """The document that it answers with."""
        return {
            "gateway": self.gateway,
            "revision": self.revision,
            "replica": self.replica,
            "entries": self.entries,
            "rejected": self.rejected,
        }

    async def answer(self, request: web.Request) -> web.Response:
        """Answer ``GET /config``."""
        self.bearers.append(request.headers.get("Authorization", ""))
        if self.before is not None:
            await self.before(self)
        if self.body is not None:
            return web.Response(status=self.status, body=self.body)
        return web.json_response(self.document(), status=self.status)


@asynccontextmanager
async def listening_replica(replica: StubReplica) -> AsyncIterator[StubReplica]:
    """Let a replica listen on a free port of 127.0.0.1."""
    app = web.Application()
    app.router.add_get("/config", replica.answer)
    async with serving_application(app) as origin:
        replica.url = origin
        yield replica
