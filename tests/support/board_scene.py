"""A gateway to which everything happens that boards show, and callers that make it happen.

    with governed_run(folder) as run:
        await call_everything(run)

What callers do here is the truth that numbers of the boards are compared with.
"""

import asyncio
import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fenced_blocks import ROOT
from local_run import Run, running
from mcp_caller import legacy, mcp_caller
from mcp_clients import connect
from redis_servers import RedisServer

from ostiary_tools.common.ports import reserve_port

_KEY = "an-agent-of-the-boards-example-key"
#: Calls of each tool of the shop.
CALLS = {"echo": 6, "get_users": 3, "get_products": 4, "delete_user": 2, "get_time": 2}
#: The tool that is called once the store of limits is gone.
AFTER_THE_STORE = "add"
#: Those of them that a policy denies, and those that a limit refuses.
DENIED = CALLS["delete_user"]
LIMITED = CALLS["get_products"] - 2
#: Calls of each MCPProxy whose server is away, or that the settings block.
REFUSED = 4
READ = ("mock://guide", 3)
PROMPT = ("get_started", 2)

_ARGUMENTS: dict[str, dict[str, Any]] = {"echo": {"message": "x"}, "delete_user": {"user_id": 1}}
_OBJECTS = """
apiVersion: ostiary.dev/v1alpha1
kind: MCPProxy
metadata: {name: shop}
spec:
  path: /shop
  servers: [{name: shop, url: "http://localhost:7878/mcp"}]
---
apiVersion: ostiary.dev/v1alpha1
kind: MCPPolicy
metadata: {name: shop}
spec:
  targetRefs: [{kind: MCPProxy, name: shop}]
  authentication: {apiKey: {selector: {matchLabels: {app: shop}}}, anonymous: {}}
  access: {rules: [{name: no-deletions, effect: Deny, tools: {verbs: [Call], names: [delete_user]}}]}
  limits:
  - {name: products, tools: {names: [get_products]}, per: [Tool], requests: 2, window: 24h}
  - {name: spending, tools: {}, per: [Proxy], cost: {budget: 1000, weights: [{units: 3}]}, window: 24h}
  loopDetection: {repeats: 3, window: 10m, action: Warn, tools: {names: [echo]}}
---
apiVersion: ostiary.dev/v1alpha1
kind: MCPPolicy
metadata: {name: tomorrow}
spec:
  targetRefs: [{kind: MCPProxy, name: shop}]
  mode: Shadow
  access: {rules: [{name: no-time, effect: Deny, tools: {names: [get_time]}}]}
---
apiVersion: v1
kind: Secret
metadata: {name: agent, labels: {ostiary.dev/usage: api-key, app: shop}}
stringData: {key: an-agent-of-the-boards-example-key}
---
apiVersion: ostiary.dev/v1alpha1
kind: MCPProxy
metadata: {name: away}
spec:
  path: /away
  servers: [{name: away, url: "http://127.0.0.1:DEAD/mcp", circuitBreaker: {minimumRequests: 2, openFor: 1h}}]
---
apiVersion: ostiary.dev/v1alpha1
kind: MCPProxy
metadata: {name: flaky}
spec:
  path: /flaky
  servers: [{name: flaky, url: "http://127.0.0.1:DEAD/mcp"}]
---
apiVersion: ostiary.dev/v1alpha1
kind: MCPProxy
metadata: {name: pool}
spec:
  path: /pool
  servers:
  - name: pool
    url: http://localhost:7878/mcp
    endpoints: [{address: 127.0.0.1, port: 7878}, {address: 127.0.0.1, port: DEAD}]
    loadBalancer: {type: RoundRobin}
---
apiVersion: ostiary.dev/v1alpha1
kind: MCPProxy
metadata: {name: hidden}
spec:
  path: /hidden
  servers: [{name: hidden, url: "http://localhost:7878/mcp"}]
---
apiVersion: ostiary.dev/v1alpha1
kind: MCPPolicy
metadata: {name: hidden}
spec:
  targetRefs: [{kind: MCPProxy, name: hidden}]
  access: {rules: []}
---
apiVersion: ostiary.dev/v1alpha1
kind: MCPProxy
metadata: {name: forbidden}
spec:
  path: /forbidden
  servers: [{name: forbidden, url: "http://localhost:7878/mcp"}]
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
  namespace: ostiary-system
  labels: {ostiary.dev/gateway: default, ostiary.dev/usage: settings}
data:
  settings.yaml: |
    grants: [{namespaces: [default], addresses: [127.0.0.0/8, "::1/128"]}]
    blocked: {proxies: [default/forbidden]}
    bounds: {perProxy: {streams: 1}}
    limitStore: {redis: {addresses: ["STORE"]}, timeout: 100ms}
    audit:
      floor: {level: Metadata}
      sinks: [{file: {path: "AUDIT"}}, {webhook: {url: "RECEIVER"}}, {webhook: {url: "http://127.0.0.1:DEAD"}}]
"""


@contextlib.contextmanager
def governed_run(folder: Path, store: RedisServer, *, receiver: str) -> Iterator[Run]:
    """Run the scene: a shop, a server that is away, two endpoints of which one is dead, a CRM, and a calculator.

    ``receiver`` is the URL of one that gets a copy of the audit trail; another is away.
    """
    scene = folder / "scene"
    scene.mkdir()
    dead = reserve_port()
    (scene / "scene.yaml").write_text(
        _OBJECTS.replace("DEAD", str(dead))
        .replace("AUDIT", str(folder / "audit.jsonl"))
        .replace("RECEIVER", receiver)
        .replace("STORE", store.address)
    )
    for name in ("lock", "masks"):
        for file in (ROOT / "examples" / name).glob("*.yaml"):
            shutil.copyfile(file, scene / f"{name}-{file.name}")
    pinned = scene / "lock-mcpproxy.yaml"
    pinned.write_text(pinned.read_text().replace("pinning: Block", "pinning: Warn"))
    # Nothing takes its spans.
    with running(scene, env={"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{dead}"}) as run:
        yield run


async def call_everything(run: Run, store: RedisServer) -> None:
    """Let callers do all that boards show; the store of limits ends meanwhile."""
    await _use_the_shop(f"http://localhost:{run.port}/shop/mcp", store)
    await _use_the_others(run)
    await _misbehave(run)


async def _use_the_shop(url: str, store: RedisServer) -> None:
    async with connect(url, era="modern", headers={"Authorization": f"Bearer {_KEY}"}) as client:
        await client.list_tools()
        await client.list_resources()
        await client.list_prompts()
        for tool, times in CALLS.items():
            for _ in range(times):
                await client.call_tool(tool, _ARGUMENTS.get(tool, {}))
        await asyncio.to_thread(store.kill)
        await client.call_tool(AFTER_THE_STORE, {"a": 1, "b": 2})
        for _ in range(READ[1]):
            await client.read_resource(READ[0])
        for _ in range(PROMPT[1]):
            await client.get_prompt(PROMPT[0])


async def _use_the_others(run: Run) -> None:
    async with connect(f"http://localhost:{run.port}/crm/mcp", era="legacy") as client:
        await client.list_tools()
        await client.call_tool("get_customer", {"id": 7})
    async with connect(f"http://localhost:{run.port}/calc/mcp", era="legacy") as client:
        for _ in range(4):
            await client.list_tools()
    async with connect(f"http://localhost:{run.port}/hidden/mcp", era="modern") as client:
        await client.list_tools()
    async with connect(f"http://localhost:{run.port}/pool/mcp", era="modern") as client:
        for _ in range(4):
            await client.list_tools()


async def _misbehave(run: Run) -> None:
    async with mcp_caller(f"http://localhost:{run.port}/nowhere/mcp") as caller:
        await caller.post(legacy("tools/list"))
    for name in ("away", "forbidden"):
        async with mcp_caller(f"http://localhost:{run.port}/{name}/mcp") as caller:
            for _ in range(REFUSED):
                await caller.post(legacy("tools/call", {"name": "echo", "arguments": {}}))
    async with mcp_caller(f"http://localhost:{run.port}/shop/mcp") as caller:
        await caller.post(legacy("tools/list"), {"Mcp-Session-Id": "invented"})
        await caller.post(legacy("tools/list"), {"Authorization": "Bearer no-such-key"})
    pool = f"http://localhost:{run.port}/pool/mcp"
    async with mcp_caller(pool) as one, mcp_caller(pool) as other:
        await one.initialize()
        await other.initialize()
        async with one.listen(), other.listen():
            pass
