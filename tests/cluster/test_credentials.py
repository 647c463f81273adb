"""Credentials of servers on a real API server: applied as YAML, rotated under load, and never shown."""

import asyncio
import base64
import contextlib
import functools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import web
from mcp_caller import mcp_caller, modern
from mcp_clients import eventually
from upstreams import Arrived, answer, document, serving

from ostiary_tools.cluster.main import LocalCluster
from ostiary_tools.cluster.stack import EXAMPLE
from ostiary_tools.common.processes import wait_until

CALL = modern("tools/call", {"name": "get_users", "arguments": {}})
RESULT: dict[str, Any] = {"content": []}
VALUES = [f"canary-value-{number}" for number in range(4)]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with LocalCluster(tmp_path_factory.mktemp("cluster"), values={"secretNamespaces": ["sales"]}) as running:
        running.apply(EXAMPLE)
        running.wait_until_ready()
        yield running


def apply(cluster: LocalCluster, *resources: dict[str, Any]) -> None:
    cluster.kubectl("apply", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": resources}))


def secret(value: str, hosts: str = "127.0.0.1") -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "crm-token",
            "namespace": "sales",
            "labels": {"ostiary.dev/usage": "credential"},
            "annotations": {"ostiary.dev/hosts": hosts},
        },
        "data": {"token": base64.b64encode(value.encode()).decode()},
    }


def proxy(url: str) -> dict[str, Any]:
    credential = {"bearer": {"secretRef": {"name": "crm-token", "key": "token"}}}
    return {
        "apiVersion": "ostiary.dev/v1alpha1",
        "kind": "MCPProxy",
        "metadata": {"name": "checked", "namespace": "sales"},
        "spec": {"path": "/checked", "servers": [{"name": "s", "url": url, "credential": credential}]},
    }


def conditions(cluster: LocalCluster) -> dict[str, dict[str, str]]:
    found = json.loads(cluster.kubectl("get", "mcpproxy", "checked", "-n", "sales", "-o", "json"))
    return {each["type"]: each for each in found.get("status", {}).get("conditions", ())}


class CheckedServer:
    """A server that accepts these values, and counts those that it saw."""

    def __init__(self) -> None:
        self.accepted: set[str] = set()
        self.seen: list[str] = []

    def saw_last(self, value: str) -> bool:
        return self.seen[-1:] == [value]

    async def script(self, _: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        value = arrived.headers.get("Authorization", "").removeprefix("Bearer ")
        self.seen.append(value)
        if value in self.accepted:
            return document(answer(arrived, RESULT))
        return web.Response(status=401, headers={"WWW-Authenticate": "Bearer"})


async def test_a_rotated_secret_is_in_force_soon_and_fails_no_request(cluster: LocalCluster) -> None:
    server = CheckedServer()
    server.accepted = set(VALUES)
    failed: list[Any] = []
    async with serving(server.script) as upstream:
        await asyncio.to_thread(apply, cluster, secret(VALUES[0]), proxy(upstream.url))
        await asyncio.to_thread(
            wait_until, lambda: conditions(cluster).get("Ready", {}).get("status") == "True", what="Ready", timeout=60
        )
        async with mcp_caller(cluster.endpoint(0, path="/checked")) as caller:

            async def load() -> None:
                while True:
                    reply = await caller.post(CALL)
                    if reply.status != 200 or reply.json.get("result") != RESULT:
                        failed.append(reply.body)

            loading = asyncio.create_task(load())
            for value in VALUES[1:]:
                await asyncio.to_thread(apply, cluster, secret(value))
                await eventually(functools.partial(server.saw_last, value))
            loading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await loading
    assert failed == []
    assert list(dict.fromkeys(server.seen)) == VALUES


async def test_old_values_leave_the_gateways_secret_and_no_value_is_anywhere_else(cluster: LocalCluster) -> None:
    def held() -> list[str]:
        found = json.loads(cluster.kubectl("get", "secret", "ostiary-default", "-n", "ostiary-system", "-o", "json"))
        return sorted(
            base64.b64decode(value).decode() for name, value in found["data"].items() if name.startswith("credential-")
        )

    await asyncio.to_thread(wait_until, lambda: held() == [VALUES[-1]], what="old values are pruned", timeout=60)
    shown = cluster.kubectl("get", "configmaps,mcpproxies,events", "-A", "-o", "json")
    assert "canary-value" not in shown
    for value in VALUES:
        assert base64.b64encode(value.encode()).decode() not in shown


async def test_a_deleted_secret_is_reported_and_its_last_value_stays_in_use(cluster: LocalCluster) -> None:
    server = CheckedServer()
    server.accepted = {VALUES[0]}
    async with serving(server.script) as upstream:
        await asyncio.to_thread(apply, cluster, secret(VALUES[0]), proxy(upstream.url))
        async with mcp_caller(cluster.endpoint(0, path="/checked")) as caller:

            async def is_served() -> bool:
                reply = await caller.post(CALL)
                return reply.status == 200 and reply.json.get("result") == RESULT

            await eventually(is_served)
            await asyncio.to_thread(cluster.kubectl, "delete", "secret", "crm-token", "-n", "sales")
            await asyncio.to_thread(
                wait_until,
                lambda: conditions(cluster).get("ResolvedRefs", {}).get("reason") == "RefNotFound",
                what="ResolvedRefs",
                timeout=60,
            )
            found = await asyncio.to_thread(conditions, cluster)
            assert (
                "credential.bearer.secretRef: Secret sales/crm-token does not exist" in found["ResolvedRefs"]["message"]
            )
            assert "The last accepted version" in found["ResolvedRefs"]["message"]
            assert found["Ready"]["status"] == "False"
            assert await is_served()


async def test_a_host_that_the_owner_does_not_permit_gets_nothing(cluster: LocalCluster) -> None:
    server = CheckedServer()
    async with serving(server.script) as upstream:
        await asyncio.to_thread(apply, cluster, secret(VALUES[0], hosts="crm.example.com"), proxy(upstream.url))
        await asyncio.to_thread(
            wait_until,
            lambda: conditions(cluster).get("ResolvedRefs", {}).get("reason") == "HostNotPermitted",
            what="ResolvedRefs",
            timeout=60,
        )
        async with mcp_caller(cluster.endpoint(0, path="/checked")) as caller:

            async def is_closed() -> bool:
                return (await caller.post(CALL)).status == 404

            await eventually(is_closed)
    assert server.seen == []
