"""Tasks, progress and answers of several servers: what names one server's reaches no other."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from gateways import RunningGateway
from mcp_caller import McpCaller, legacy, mcp_caller
from merged_proxies import merged
from session_scenes import SessionScene
from upstreams import Arrived, Upstream, answer, document, events, serving

TASK = {
    "status": "working",
    "ttl": 60_000,
    "createdAt": "2026-01-01T00:00:00Z",
    "lastUpdatedAt": "2026-01-01T00:00:00Z",
}
RELATED = "io.modelcontextprotocol/related-task"


class TaskScene(SessionScene):
    """A server whose every call is a task ``task-1``, and which reports everyone's progress."""

    async def script(self, request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        if arrived.method == "tools/call":
            async with events(request) as stream:
                for token in (1, 2, "1"):
                    progress = {"progressToken": token, "progress": 1, "message": self.name}
                    await stream.send({"jsonrpc": "2.0", "method": "notifications/progress", "params": progress})
                status = {"method": "notifications/tasks/status", "params": {"taskId": "task-1", **TASK}}
                await stream.send({"jsonrpc": "2.0", **status})
                await stream.send(answer(arrived, {"task": {"taskId": "task-1", **TASK}}))
            return stream.response
        if arrived.method == "tasks/get":
            return document(answer(arrived, {"taskId": "task-1", **TASK}))
        if arrived.method == "tasks/result":
            meta = {RELATED: {"taskId": "task-1"}}
            return document(answer(arrived, {"content": [], "_meta": meta, "by": self.name}))
        return await super().script(request, arrived)


@pytest.fixture
async def crm() -> AsyncIterator[Upstream]:
    async with serving(TaskScene("crm").script) as upstream:
        yield upstream


@pytest.fixture
async def wiki() -> AsyncIterator[Upstream]:
    async with serving(TaskScene("wiki").script) as upstream:
        yield upstream


@pytest.fixture(autouse=True)
async def proxy(gateway: RunningGateway, crm: Upstream, wiki: Upstream) -> None:
    await gateway.apply(merged(gateway, {"crm": crm.url, "wiki": wiki.url}))


def call(server: str) -> dict[str, Any]:
    params = {"name": f"{server}_run", "arguments": {}, "task": {}, "_meta": {"progressToken": 1}}
    return legacy("tools/call", params, id=9)


async def test_a_task_has_one_sealed_id_which_leads_to_its_server(
    caller: McpCaller, crm: Upstream, wiki: Upstream
) -> None:
    await caller.initialize()
    told = {name: (await caller.post(call(name))).messages for name in ("crm", "wiki")}
    ids = {name: messages[-1]["result"]["task"]["taskId"] for name, messages in told.items()}

    assert ids["crm"] != ids["wiki"]
    assert "task-1" not in ids["crm"]
    for name, messages in told.items():
        status = next(each for each in messages if each.get("method") == "notifications/tasks/status")
        assert status["params"]["taskId"] == ids[name]
        assert (await caller.post(legacy("tasks/get", {"taskId": ids[name]}))).result["taskId"] == ids[name]
        result = (await caller.post(legacy("tasks/result", {"taskId": ids[name]}))).result
        assert (result["by"], result["_meta"]) == (name, {RELATED: {"taskId": ids[name]}})
    for upstream in (crm, wiki):
        assert [each.message["params"]["taskId"] for each in upstream.arrived if "tasks/" in each.method] == [
            "task-1"
        ] * 2


async def test_the_id_of_a_task_is_good_at_no_other_proxy_and_none_can_be_made_up(
    gateway: RunningGateway, caller: McpCaller, crm: Upstream, wiki: Upstream
) -> None:
    servers = {"crm": crm.url, "wiki": wiki.url}
    await gateway.apply(merged(gateway, servers), merged(gateway, servers, name="other"))
    await caller.initialize()
    sealed = (await caller.post(call("crm"))).result["task"]["taskId"]
    async with mcp_caller(gateway.url("other")) as other:
        await other.initialize()
        for made_up in (sealed, "task-1", "crm\ntask-1", sealed[:-2], ""):
            assert (await other.post(legacy("tasks/get", {"taskId": made_up}))).error["code"] == -32602
    assert crm.count("tasks/get") == 0


async def test_progress_of_a_server_passes_only_to_its_own_request(caller: McpCaller) -> None:
    await caller.initialize()

    messages = (await caller.post(call("crm"))).messages

    tokens = [each["params"]["progressToken"] for each in messages if each.get("method") == "notifications/progress"]
    assert tokens == [1]


async def test_a_list_of_tasks_of_all_servers_is_not_offered(caller: McpCaller) -> None:
    await caller.initialize()

    assert (await caller.post(legacy("tasks/list"))).error["code"] == -32601
