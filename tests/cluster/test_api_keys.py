"""API keys on a real API server: applied as YAML, rotated under load, read with the chart's rights and without."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from api_keys import bearer, exposed
from mcp import MCPError
from mcp_caller import McpCaller, mcp_caller, modern
from mcp_clients import connect, eventually

from ostiary_tools.cluster.main import LocalCluster
from ostiary_tools.common.processes import wait_until

CALL = modern("tools/call", {"name": "get_users", "arguments": {}})
OLD, NEW, OTHER = "support-agent-old-key", "support-agent-new-key", "batch-example-key-1"
NAMESPACE = "sales"
PROXY = {
    "apiVersion": "ostiary.dev/v1alpha1",
    "kind": "MCPProxy",
    "metadata": {"name": "crm", "namespace": NAMESPACE},
}
POLICY = {
    "apiVersion": "ostiary.dev/v1alpha1",
    "kind": "MCPPolicy",
    "metadata": {"name": "known-agents", "namespace": NAMESPACE},
    "spec": {
        "targetRefs": [{"kind": "MCPProxy", "name": "crm"}],
        "authentication": {"apiKey": {"selector": {"matchLabels": {"app": "mock"}}}},
    },
}


def key_secret(name: str, key: str, **annotations: str) -> dict[str, Any]:
    labels = {"ostiary.dev/usage": "api-key", "app": "mock"}
    named = {f"ostiary.dev/{each}": value for each, value in annotations.items()}
    metadata = {"name": name, "namespace": NAMESPACE, "labels": labels, "annotations": named}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"key": key}}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with LocalCluster(tmp_path_factory.mktemp("cluster"), values={"secretNamespaces": [NAMESPACE]}) as running:
        servers = [{"name": "mock", "url": running.mock_url}]
        apply(running, {**PROXY, "spec": {"path": "/crm", "servers": servers}})
        yield running


def apply(cluster: LocalCluster, *objects: Mapping[str, Any]) -> None:
    for obj in objects:
        cluster.kubectl("apply", "--server-side", "-f", "-", input=json.dumps(obj))


@pytest.fixture
def keyed(cluster: LocalCluster) -> Iterator[None]:
    """The proxy of the example admits callers with the old key of the agent, and the one of the batch."""
    apply(cluster, key_secret("support-agent", OLD), key_secret("batch", OTHER, groups="batch"), POLICY)
    yield
    cluster.kubectl("delete", "secret", "-n", NAMESPACE, "-l", "app=mock", "--ignore-not-found")
    cluster.kubectl("delete", "mcppolicy", "known-agents", "-n", NAMESPACE, "--ignore-not-found")


async def status(caller: McpCaller, key: str) -> int:
    return (await caller.post(CALL, bearer(key) if key else {})).status


async def until_status(cluster: LocalCluster, key: str, expected: int) -> None:
    """Wait until every replica answers a caller with this key so."""
    for replica in cluster.replicas:
        async with mcp_caller(cluster.endpoint(replica, path="/crm")) as caller:

            async def holds(caller: McpCaller = caller) -> bool:
                return await status(caller, key) == expected

            await eventually(holds)


@pytest.mark.usefixtures("keyed")
async def test_an_official_client_with_a_key_calls_and_one_without_cannot_connect(cluster: LocalCluster) -> None:
    await until_status(cluster, OLD, 200)
    await until_status(cluster, "", 401)
    async with connect(cluster.endpoint(path="/crm"), era="legacy", headers=bearer(OLD)) as client:
        assert not (await client.call_tool("get_users", {})).is_error
    with pytest.raises(MCPError):
        async with connect(cluster.endpoint(path="/crm"), era="legacy"):
            pytest.fail("it is connected")


class Load:
    """Callers that call all the time, each with the key that its consumer has now; ``failures`` must stay empty."""

    def __init__(self, cluster: LocalCluster) -> None:
        self.keys = {"support-agent": OLD, "batch": OTHER}
        self.calls = 0
        self.failures: list[tuple[str, int]] = []
        self._cluster = cluster

    async def run(self, replica: int, consumer: str) -> None:
        async with mcp_caller(self._cluster.endpoint(replica, path="/crm")) as caller:
            while True:
                key = self.keys[consumer]
                found = await status(caller, key)
                self.calls += 1
                if found != 200 and key == self.keys[consumer]:
                    self.failures.append((consumer, found))


@asynccontextmanager
async def load(cluster: LocalCluster) -> AsyncIterator[Load]:
    it = Load(cluster)
    tasks = [asyncio.create_task(it.run(replica, each)) for replica in cluster.replicas for each in it.keys]
    try:
        yield it
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.usefixtures("keyed")
async def test_keys_are_rotated_under_load_and_no_request_with_a_live_key_fails(cluster: LocalCluster) -> None:
    await until_status(cluster, OLD, 200)
    await until_status(cluster, "", 401)
    async with load(cluster) as callers:
        for old, new in ((OLD, NEW), (NEW, OLD), (OLD, NEW)):
            await asyncio.to_thread(apply, cluster, key_secret("support-agent-next", new, consumer="support-agent"))
            await until_status(cluster, new, 200)
            callers.keys["support-agent"] = new
            await asyncio.to_thread(apply, cluster, key_secret("support-agent", new))
            await asyncio.to_thread(
                cluster.kubectl, "delete", "secret", "support-agent-next", "-n", NAMESPACE, "--wait=false"
            )
            await until_status(cluster, old, 401)
        before = callers.calls
        await eventually(lambda: callers.calls > before + 20)
    assert callers.failures == []


@pytest.mark.usefixtures("keyed")
async def test_a_changed_consumer_closes_the_session_of_the_old_one(cluster: LocalCluster) -> None:
    await until_status(cluster, OLD, 200)
    await until_status(cluster, "", 401)
    async with mcp_caller(cluster.endpoint(path="/crm"), credential=bearer(OLD)) as caller:
        await caller.initialize()
        await asyncio.to_thread(apply, cluster, key_secret("support-agent", OLD, consumer="renamed"))

        async def unknown() -> bool:
            return (await caller.post({"jsonrpc": "2.0", "id": 1, "method": "ping"})).status == 404

        await eventually(unknown)


@pytest.mark.usefixtures("keyed")
async def test_no_key_is_in_any_status_log_or_config(cluster: LocalCluster) -> None:
    await until_status(cluster, OLD, 200)
    await until_status(cluster, "", 401)
    short = "short-key-1"
    apply(cluster, key_secret("bad", short))
    wait_until(
        lambda: "fewer than 16 bytes" in resolved(cluster)["message"], what="the defect in the status", timeout=30
    )
    assert (resolved(cluster)["status"], resolved(cluster)["reason"]) == ("False", "RefInvalid")
    await until_status(cluster, OLD, 200)
    seen = [cluster.log(name).read_text() for name in ("operator", "gateway-0", "gateway-1")]
    seen.append(cluster.kubectl("get", "mcppolicies,mcpproxies,configmaps,events", "-A", "-o", "yaml"))
    encoded = [base64.b64encode(key.encode()).decode() for key in (OLD, OTHER, short)]
    assert exposed(seen, OLD, OTHER, short, *encoded) == []


def resolved(cluster: LocalCluster) -> Mapping[str, str]:
    found = json.loads(cluster.kubectl("get", "mcppolicy", "known-agents", "-n", NAMESPACE, "-o", "json"))
    conditions = found.get("status", {}).get("conditions", ())
    return next((each for each in conditions if each["type"] == "ResolvedRefs"), {"status": "?", "message": ""})
