import json
from typing import Any

import pytest
from mcp_clients import Era, MockProcess, connect, eventually
from typescript_sdk import CLIENTS, SOURCE, ConnectError, Sdk, run_session

pytestmark = pytest.mark.node


@pytest.mark.parametrize(("sdk", "era"), CLIENTS)
async def test_a_session_sees_tools_resources_and_prompts(mock: MockProcess, sdk: Sdk, era: Era) -> None:
    steps = [{"op": op} for op in ("server", "listTools", "listResources", "listResourceTemplates", "listPrompts")]
    server, tools, resources, templates, prompts = await _results(mock, sdk, era, steps)

    assert server["serverInfo"]["name"] == "mock-mcp-server"
    assert server["protocolVersion"] == {"legacy": "2025-11-25", "modern": "2026-07-28"}[era]
    assert bool(server.get("sessionId")) == (era == "legacy")
    assert len(tools["tools"]) == 15
    assert "mock://users" in {resource["uri"] for resource in resources["resources"]}
    assert [template["uriTemplate"] for template in templates["resourceTemplates"]] == ["mock://users/{id}"]
    assert len(prompts["prompts"]) == 3


@pytest.mark.parametrize(("sdk", "era"), CLIENTS)
async def test_a_session_calls_reads_gets_and_completes(mock: MockProcess, sdk: Sdk, era: Era) -> None:
    users, user, prompt, completion = await _results(
        mock,
        sdk,
        era,
        [
            {"op": "callTool", "name": "get_users", "arguments": {"limit": 2}},
            {"op": "readResource", "uri": "mock://users/1"},
            {"op": "getPrompt", "name": "introduce_user", "arguments": {"user_id": "1"}},
            {
                "op": "complete",
                "ref": {"type": "ref/prompt", "name": "draft_post"},
                "argument": {"name": "tone", "value": "pl"},
            },
        ],
    )

    assert [user["id"] for user in users["structuredContent"]["users"]] == [1, 2]
    assert json.loads(user["contents"][0]["text"])["name"] == "Ada Lovelace"
    assert "Ada Lovelace" in prompt["messages"][0]["content"]["text"]
    assert completion["completion"]["values"] == ["playful"]


@pytest.mark.parametrize(("sdk", "era"), CLIENTS)
async def test_a_listed_tools_answer_passes_the_clients_own_check_of_its_schema(
    mock: MockProcess, sdk: Sdk, era: Era
) -> None:
    calls = [
        {"op": "callTool", "name": name, "arguments": arguments}
        for name, arguments in {
            "get_users": {},
            "get_posts": {"user_id": 2},
            "search_products": {"query": "desk"},
            "get_analytics_summary": {},
            "get_page_views": {"path": "/docs"},
            "add": {"a": 1, "b": 0.5},
            "get_time": {"timezone": "UTC"},
        }.items()
    ]
    _, *answers = await _results(mock, sdk, era, [{"op": "listTools"}, *calls])

    assert all(answer["structuredContent"] for answer in answers)


@pytest.mark.parametrize(("sdk", "era"), CLIENTS)
async def test_progress_arrives(mock: MockProcess, sdk: Sdk, era: Era) -> None:
    call = {"op": "callTool", "name": "stream_count", "arguments": {"count": 3, "interval_ms": 5}}
    [counted] = await run_session(mock.url, sdk=sdk, era=era, steps=[call | {"progress": True}])

    assert counted["result"]["structuredContent"] == {"counted": 3}
    assert [params["progress"] for params in _notifications(counted, "notifications/progress")] == [1, 2, 3]
    logs = _notifications(counted, "notifications/message")
    assert len(logs) == (3 if era == "legacy" else 0)  # a modern client must ask for them, and this one does not


@pytest.mark.parametrize(("sdk", "era"), CLIENTS)
async def test_an_abandoned_call_stops_working(fresh_mock: MockProcess, sdk: Sdk, era: Era) -> None:
    call = {"op": "callTool", "name": "long_task", "arguments": {"seconds": 10, "steps": 100}}
    [aborted] = await run_session(fresh_mock.url, sdk=sdk, era=era, steps=[call | {"abortAfterProgress": True}])

    assert not aborted["ok"]
    assert len(_notifications(aborted, "notifications/progress")) == 1
    async with connect(fresh_mock.url, era=era) as client:

        async def idle() -> bool:
            [content] = (await client.read_resource("mock://activity")).contents
            return bool(json.loads(content.text)["running"] == {})  # type: ignore[union-attr]

        await eventually(idle)


@pytest.mark.parametrize(("sdk", "era"), CLIENTS)
async def test_errors_keep_their_code_and_data(mock: MockProcess, sdk: Sdk, era: Era) -> None:
    missing, unknown, failed = await run_session(
        mock.url,
        sdk=sdk,
        era=era,
        steps=[
            {"op": "readResource", "uri": "mock://nothing"},
            {"op": "getPrompt", "name": "no_such_prompt"},
            {"op": "callTool", "name": "get_user", "arguments": {"user_id": 99}},
        ],
    )

    assert missing["error"]["code"] == unknown["error"]["code"] == -32602
    assert missing["error"]["data"] == {"uri": "mock://nothing"}
    assert "Unknown prompt: no_such_prompt" in unknown["error"]["message"]
    assert failed["ok"]
    assert failed["result"]["isError"]


@pytest.mark.parametrize(("sdk", "era"), CLIENTS)
async def test_subscribers_are_notified_of_changes(fresh_mock: MockProcess, sdk: Sdk, era: Era) -> None:
    subscribe: dict[str, Any] = {"op": "subscribeResource", "uri": "mock://users"}
    if era == "modern":
        subscribe = {"op": "listen", "filter": {"resourceSubscriptions": ["mock://users"]}}
    # A session's GET stream opens when its client likes, and what is sent before is lost: so there are many changes.
    changes = [
        {"op": "callTool", "name": "create_user", "arguments": {"name": "New", "email": f"{number}@example.com"}}
        for number in range(20)
    ]
    wait = {"op": "waitFor", "method": "notifications/resources/updated"}
    *_, notifications = await _results(fresh_mock, sdk, era, [subscribe, *changes, wait])

    assert notifications["params"]["uri"] == "mock://users"


@pytest.mark.parametrize(("sdk", "era"), CLIENTS)
async def test_headers_are_sent_and_a_refused_connection_reports_the_reason(
    mock: MockProcess, sdk: Sdk, era: Era
) -> None:
    with pytest.raises(ConnectError) as refused:
        await run_session(mock.url, sdk=sdk, era=era, steps=[], headers={"Origin": "https://evil.example"})

    assert {"legacy": "Invalid Origin header", "modern": "HTTP 403"}[era] in str(refused.value)


async def test_a_wrong_step_is_an_error_of_its_own(mock: MockProcess) -> None:
    wrong, right = await run_session(mock.url, sdk="v2", era="modern", steps=[{"op": "dance"}, {"op": "server"}])

    assert wrong["error"]["message"] == 'unknown op "dance"'
    assert right["ok"]


def test_the_lock_is_complete_and_names_no_host() -> None:
    lock = json.loads((SOURCE / "package-lock.json").read_text())

    packages = {name: package for name, package in lock["packages"].items() if name}
    assert "node_modules/@modelcontextprotocol/client" in packages
    assert all(package["integrity"].startswith("sha512-") for package in packages.values())
    assert "://" not in json.dumps(lock), "delete `resolved` and `funding` from the lock"


async def _results(mock: MockProcess, sdk: Sdk, era: Era, steps: list[dict[str, Any]]) -> list[Any]:
    outcomes = await run_session(mock.url, sdk=sdk, era=era, steps=steps)
    assert [outcome for outcome in outcomes if not outcome["ok"]] == []
    return [outcome["result"] for outcome in outcomes]


def _notifications(outcome: dict[str, Any], method: str) -> list[dict[str, Any]]:
    return [notifications["params"] for notifications in outcome["notifications"] if notifications["method"] == method]
