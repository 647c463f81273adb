"""The official TypeScript SDKs through the gateway: what they see, call and hear (row TQ-20)."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from gateways import RunningGateway, policy
from mcp_clients import Era
from typescript_sdk import CLIENTS, Sdk, run_session

pytestmark = pytest.mark.node

ALL = {"name": "all", "effect": "Allow"}
LOOK = {"name": "look", "effect": "Allow", "tools": {"verbs": ["List"], "names": ["get_*", "add"]}}
LONG = {"seconds": 20, "steps": 100}
CALL = {"name": "call", "effect": "Allow", "tools": {"names": ["get_users"]}}


async def session(gateway: RunningGateway, sdk: Sdk, era: Era, *steps: Mapping[str, Any]) -> list[dict[str, Any]]:
    return await run_session(gateway.url(), sdk=sdk, era=era, steps=steps)


def results(lines: Sequence[dict[str, Any]]) -> list[Any]:
    assert [line for line in lines if not line["ok"]] == []
    return [line["result"] for line in lines]


@pytest.mark.parametrize(("sdk", "era"), CLIENTS)
async def test_a_governed_client_does_all_that_an_ungoverned_one_does(
    mock: str, gateway: RunningGateway, sdk: Sdk, era: Era
) -> None:
    await gateway.apply(gateway.entry("mock", mock, [policy("p", ALL)]))
    lines = await session(
        *(gateway, sdk, era),
        {"op": "server"},
        {"op": "listTools"},
        {"op": "listResourceTemplates"},
        {"op": "callTool", "name": "echo", "arguments": {"message": "Grüße 世界"}},
        {"op": "readResource", "uri": "mock://users/1"},
        {"op": "getPrompt", "name": "draft_post", "arguments": {"topic": "bridges"}},
        {"op": "callTool", "name": "stream_count", "arguments": {"count": 3, "interval_ms": 5}, "progress": True},
    )
    server, tools, templates, echoed, user, prompt, counted = results(lines)

    assert server["serverInfo"]["name"] == "mock-mcp-server"
    assert bool(server.get("sessionId")) == (era == "legacy")
    assert len(tools["tools"]) == 15
    assert len(templates["resourceTemplates"]) == 1
    assert echoed["structuredContent"] == {"message": "Grüße 世界"}
    assert '"id": 1' in user["contents"][0]["text"]
    assert "bridges" in prompt["messages"][0]["content"]["text"]
    assert counted["structuredContent"] == {"counted": 3}
    progress = [n["params"]["progress"] for n in lines[-1]["notifications"] if n["method"] == "notifications/progress"]
    assert progress == [1, 2, 3]


@pytest.mark.parametrize(("sdk", "era"), CLIENTS)
async def test_a_tool_that_may_be_seen_and_not_called_answers_the_model_and_a_hidden_one_is_unknown(
    mock: str, gateway: RunningGateway, sdk: Sdk, era: Era
) -> None:
    await gateway.apply(gateway.entry("mock", mock, [policy("p", LOOK, CALL)]))
    tools, hidden, unknown, denied, allowed = await session(
        *(gateway, sdk, era),
        {"op": "listTools"},
        {"op": "callTool", "name": "delete_user", "arguments": {"user_id": 1}},
        {"op": "callTool", "name": "there_is_no_such_tool", "arguments": {}},
        {"op": "callTool", "name": "add", "arguments": {"a": 1, "b": 2}},
        {"op": "callTool", "name": "get_users", "arguments": {}},
    )

    assert {tool["name"] for tool in tools["result"]["tools"]} >= {"get_users", "add"}
    assert "delete_user" not in str(tools)
    assert [line["error"]["code"] for line in (hidden, unknown)] == [-32602, -32602]
    assert denied["result"]["isError"] is True
    assert denied["result"]["content"][0]["text"].startswith("Denied by policy: tool add. ")
    assert allowed["ok"]
    assert not allowed["result"].get("isError")


@pytest.mark.parametrize(("sdk", "era"), CLIENTS)
async def test_a_call_that_is_aborted_leaves_a_session_that_works(
    mock: str, gateway: RunningGateway, sdk: Sdk, era: Era
) -> None:
    await gateway.apply(gateway.entry("mock", mock))
    aborted, after = await session(
        *(gateway, sdk, era),
        {"op": "callTool", "name": "long_task", "arguments": LONG, "abortAfterProgress": True},
        {"op": "callTool", "name": "echo", "arguments": {"message": "after"}},
    )

    assert not aborted["ok"]
    assert after["result"]["structuredContent"] == {"message": "after"}
