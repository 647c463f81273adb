"""An open circuit on a real API server: the condition says so, an Event does, and both a recovery."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from aiohttp import web
from mcp_caller import McpCaller, mcp_caller, modern
from mcp_clients import eventually
from upstreams import Arrived, answer, document, serving

from ostiary_tools.cluster.main import LocalCluster
from ostiary_tools.common.processes import wait_until

NAME = "cut-off"
CALL = modern("tools/call", {"name": "get_users", "arguments": {}})
RESULT: dict[str, Any] = {"content": []}


class Server:
    """A server that answers, or is down behind its own proxy."""

    def __init__(self) -> None:
        self.is_down = True

    async def script(self, _: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        return web.Response(status=503) if self.is_down else document(answer(arrived, RESULT))


def apply(cluster: LocalCluster, url: str) -> None:
    breaker = {"minimumRequests": 2, "openFor": "1s"}
    spec = {"path": f"/{NAME}", "servers": [{"name": "crm", "url": url, "circuitBreaker": breaker}]}
    metadata = {"name": NAME, "namespace": "default"}
    proxy = {"apiVersion": "ostiary.dev/v1alpha1", "kind": "MCPProxy", "metadata": metadata, "spec": spec}
    cluster.kubectl("apply", "--server-side", "-f", "-", input=json.dumps(proxy))
    cluster.wait_until_ready(NAME)


def condition(cluster: LocalCluster, of_type: str) -> dict[str, Any]:
    conditions = cluster.proxy(NAME)["status"].get("conditions", ())
    return next((each for each in conditions if each["type"] == of_type), {})


def wait_for(cluster: LocalCluster, reason: str) -> dict[str, Any]:
    wait_until(lambda: condition(cluster, "UpstreamHealthy").get("reason") == reason, what=reason, timeout=90)
    return condition(cluster, "UpstreamHealthy")


def events(cluster: LocalCluster) -> Sequence[dict[str, Any]]:
    """The Events about the circuit and its recovery."""
    found: list[dict[str, Any]] = json.loads(cluster.kubectl("get", "events.events.k8s.io", "-o", "json"))["items"]
    return [each for each in found if each["regarding"]["name"] == NAME and "server crm" in each["note"]]


async def reason(caller: McpCaller) -> str:
    message = (await caller.post(CALL)).json
    return str(message["error"]["data"]["reason"]) if "error" in message else "ok"


async def test_an_open_circuit_is_a_condition_and_an_event_until_a_trial_succeeds(cluster: LocalCluster) -> None:
    server = Server()
    async with serving(server.script) as upstream:
        await asyncio.to_thread(apply, cluster, upstream.url)
        async with mcp_caller(cluster.endpoint(0, path=f"/{NAME}")) as caller:

            async def is_cut_off() -> bool:
                return await reason(caller) == "CircuitOpen"

            await eventually(is_cut_off)
            found = await asyncio.to_thread(wait_for, cluster, "CircuitOpen")
            assert found["status"] == "False"
            assert found["message"].startswith("server crm: too many requests failed")
            assert "HTTP 503" in found["message"]
            assert condition(cluster, "Ready")["status"] == "True", "a server that fails is not part of Ready"

            def is_told() -> bool:
                return any(each["reason"] == "CircuitOpen" and each["type"] == "Warning" for each in events(cluster))

            await asyncio.to_thread(wait_until, is_told, what="an Event")
            server.is_down = False

            async def answers() -> bool:
                return await reason(caller) == "ok"

            await eventually(answers)
            found = await asyncio.to_thread(wait_for, cluster, "UpstreamHealthy")
            assert found["status"] == "True"
