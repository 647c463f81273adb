"""Blocks in the settings on a real API server: one line stops a principal, a proxy or a server."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
import yaml
from api_keys import bearer
from mcp_caller import McpCaller, mcp_caller, modern
from mcp_clients import eventually

from ostiary_tools.cluster.api import ApiError
from ostiary_tools.cluster.main import LocalCluster
from ostiary_tools.common.processes import wait_until

CALL = modern("tools/call", {"name": "get_users", "arguments": {}})
LISTEN = modern("subscriptions/listen", {"notifications": {"toolsListChanged": True}}, id="listen")
KEY, OTHER_KEY = "sales-agent-example-key", "other-agent-example-key"
NAMESPACE, SYSTEM = "sales", "ostiary-system"
#: Far below what the slow paths take: the operator's resync, and the kubelet's copy of a ConfigMap.
PROMPT_SECONDS = 10.0
KINDS: dict[str, tuple[dict[str, list[str]], int]] = {
    "principal": ({"principals": ["sales/agent"]}, -31001),
    "proxy": ({"proxies": ["sales/crm"]}, -31001),
    "upstream": ({"upstreams": ["localhost"]}, -31003),
}
EVERY_KIND = pytest.mark.parametrize(("blocked", "code"), KINDS.values(), ids=KINDS)


def resource(kind: str, name: str, **spec: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "ostiary.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}


def policy(name: str, **more: Any) -> dict[str, Any]:
    return resource("MCPPolicy", name, targetRefs=[{"kind": "MCPProxy", "name": "crm"}], **more)


def key_secret(consumer: str, key: str) -> dict[str, Any]:
    labels = {"ostiary.dev/usage": "api-key", "app": "crm"}
    metadata = {"name": consumer, "namespace": NAMESPACE, "labels": labels}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"key": key}}


SELECTED = {"apiKey": {"selector": {"matchLabels": {"app": "crm"}}}}
RULE = {"name": "all", "effect": "Allow"}
KNOWN_AGENTS = policy("known-agents", authentication=SELECTED, access={"rules": [RULE]})
#: The API server accepts it, the compiler does not.
BROKEN = policy("known-agents", authentication=SELECTED, access={"rules": [RULE | {"when": "claims.x + "}]})


def apply(cluster: LocalCluster, *objects: Mapping[str, Any]) -> None:
    items = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
    cluster.kubectl("apply", "--server-side", "-f", "-", input=json.dumps(items))


class Settings:
    """The settings of the shared gateway, as the platform team edits them."""

    def __init__(self, cluster: LocalCluster) -> None:
        self._cluster = cluster
        found = json.loads(
            cluster.kubectl("get", "configmap", "-n", SYSTEM, "-l", "ostiary.dev/usage=settings", "-o", "json")
        )
        self._name: str = found["items"][0]["metadata"]["name"]
        self.original: str = found["items"][0]["data"]["settings.yaml"]

    def write(self, text: str) -> float:
        """Replace the text; return the monotonic time just before."""
        api = self._cluster.control_plane.api
        path = f"/api/v1/namespaces/{SYSTEM}/configmaps/{self._name}"
        current = api.request("GET", path)
        current["data"]["settings.yaml"] = text
        began = time.monotonic()
        api.request("PUT", path, current)
        return began

    def with_blocks(self, blocked: Mapping[str, Any] | None) -> str:
        """The original settings with these blocks."""
        values = yaml.safe_load(self.original) or {}
        return yaml.safe_dump(values | ({"blocked": blocked} if blocked is not None else {}))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with LocalCluster(tmp_path_factory.mktemp("cluster"), values={"secretNamespaces": [NAMESPACE]}) as running:
        servers = [{"name": "mock", "url": running.mock_url}]
        assert urlsplit(running.mock_url).hostname == "localhost"
        apply(running, key_secret("agent", KEY), key_secret("other", OTHER_KEY), KNOWN_AGENTS)
        apply(running, resource("MCPProxy", "crm", path="/crm", servers=servers))
        apply(running, resource("MCPProxy", "wiki", path="/wiki", servers=servers))
        yield running


@pytest.fixture
async def settings(cluster: LocalCluster) -> AsyncIterator[Settings]:
    """Settings that block nothing, and calls with both keys that pass at every replica."""
    it = Settings(cluster)
    try:
        for key in (KEY, OTHER_KEY):
            await until_answer(cluster, lambda reply: "result" in reply, key=key)
        yield it
    finally:
        it.write(it.original)


async def call(caller: McpCaller, key: str) -> dict[str, Any]:
    try:
        reply = await caller.post(CALL, bearer(key))
    except aiohttp.ServerDisconnectedError:
        return {}  # it was in flight while its principal was blocked
    return reply.messages[-1] if reply.status == 200 else {"status": reply.status}


async def until_answer(
    cluster: LocalCluster, holds: Callable[[dict[str, Any]], bool], *, key: str = KEY, path: str = "/crm"
) -> float:
    """Wait until every replica answers a call so; return the monotonic time at which the last one did."""
    for replica in cluster.replicas:
        async with mcp_caller(cluster.endpoint(replica, path=path)) as caller:

            async def answered(caller: McpCaller = caller) -> bool:
                return holds(await call(caller, key))

            await eventually(answered)
    return time.monotonic()


def refused_with(code: int) -> Callable[[dict[str, Any]], bool]:
    return lambda reply: reply.get("error", {}).get("code") == code


@EVERY_KIND
async def test_one_line_stops_it_at_once_and_only_it(
    cluster: LocalCluster, settings: Settings, blocked: dict[str, list[str]], code: int
) -> None:
    began = settings.write(settings.with_blocks(blocked))
    seconds = await until_answer(cluster, refused_with(code)) - began
    print(f"blocked after {seconds:.2f} s")
    assert seconds < PROMPT_SECONDS
    if "principals" in blocked:
        await until_answer(cluster, lambda reply: "result" in reply, key=OTHER_KEY)
    if "upstreams" not in blocked:
        await until_answer(cluster, lambda reply: "result" in reply, path="/wiki")
    settings.write(settings.original)
    await until_answer(cluster, lambda reply: "result" in reply)


@pytest.fixture
def broken_policy(cluster: LocalCluster, settings: Settings) -> Iterator[None]:
    """The policy of the proxy has a fault since its last edit, so its last accepted version is in force."""
    apply(cluster, BROKEN)
    wait_until(lambda: not is_accepted(cluster, "known-agents"), what="the policy to be refused")
    yield
    apply(cluster, KNOWN_AGENTS)


@EVERY_KIND
@pytest.mark.usefixtures("broken_policy")
async def test_it_stops_although_a_policy_does_not_compile_and_another_line_of_the_settings_is_wrong(
    cluster: LocalCluster, settings: Settings, blocked: dict[str, list[str]], code: int
) -> None:
    await until_answer(cluster, lambda reply: "result" in reply)
    began = settings.write(settings.with_blocks(blocked) + "tenancy: Perhaps\n")
    assert await until_answer(cluster, refused_with(code)) - began < PROMPT_SECONDS
    settings.write(settings.original + "\nwithoutPolicy: Never\n")
    await asyncio.to_thread(wait_until, lambda: "withoutPolicy: is not" in problems(cluster), what="the problem")
    await until_answer(cluster, refused_with(code))


def is_accepted(cluster: LocalCluster, name: str) -> bool:
    found = json.loads(cluster.kubectl("get", "mcppolicy", name, "-n", NAMESPACE, "-o", "json"))
    return any(
        each["type"] == "Accepted" and each["status"] == "True"
        for each in found.get("status", {}).get("conditions", ())
    )


def problems(cluster: LocalCluster) -> str:
    return cluster.kubectl("get", "events", "-n", SYSTEM, "--field-selector", "reason=GatewayProblem", "-o", "json")


@asynccontextmanager
async def busy_queue(cluster: LocalCluster) -> AsyncIterator[None]:
    """Changes of a policy all the time, each a reason for another pass."""
    done = asyncio.Event()

    def change(number: int) -> None:
        path = f"/apis/ostiary.dev/v1alpha1/namespaces/{NAMESPACE}/mcpproxies/wiki"
        wiki = cluster.control_plane.api.request("GET", path)
        wiki["spec"]["description"] = f"change {number}"
        cluster.control_plane.api.request("PUT", path, wiki)

    async def keep_changing() -> None:
        number = 0
        while not done.is_set():
            number += 1
            with contextlib.suppress(ApiError):  # the status was written meanwhile: the next change comes at once
                await asyncio.to_thread(change, number)

    changing = asyncio.create_task(keep_changing())
    try:
        yield
    finally:
        done.set()
        await changing


async def test_it_stops_at_once_although_the_operators_queue_is_busy(cluster: LocalCluster, settings: Settings) -> None:
    async with busy_queue(cluster):
        began = settings.write(settings.with_blocks({"principals": ["sales/agent"]}))
        seconds = await until_answer(cluster, refused_with(-31001)) - began
    print(f"blocked after {seconds:.2f} s")
    assert seconds < PROMPT_SECONDS


async def test_an_open_stream_of_the_principal_is_closed(cluster: LocalCluster, settings: Settings) -> None:
    async with mcp_caller(cluster.endpoint(path="/crm"), credential=bearer(KEY)) as caller, caller.stream(LISTEN) as it:
        await it.message()
        settings.write(settings.with_blocks({"principals": ["sales/agent"]}))
        assert await it.ended()
