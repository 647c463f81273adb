"""What agents see that repeat one call: a warning, a delay, or a refusal that a model understands (row TA-10)."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from api_keys import AGENT_KEY, OTHER_KEY, api_key, bearer, keyed
from gateways import RunningGateway, running_gateway
from mcp.types import CallToolResult, TextContent
from mcp_caller import mcp_caller, modern
from mcp_clients import ERAS, Era, connect
from upstreams import Arrived, answer, document, events, serving, with_handshake

from ostiary_core.contract.documents import PolicyDocument
from ostiary_core.contract.limits import LoopDetectionConfig
from ostiary_gateway.options import AuditOptions

META = "dev.ostiary/loop"


def watching(action: str, *, repeats: int = 3, **members: Any) -> PolicyDocument:
    parts = {"repeats": repeats, "window": 3_600_000, "action": action, "tools": members.pop("tools", None)}
    config = LoopDetectionConfig.model_validate({k: v for k, v in parts.items() if v is not None}, strict=False)
    fixed: dict[str, Any] = {
        "namespace": "default",
        "name": "loops",
        "uid": "uid-loops",
        "generation": 1,
        "tier": "owner",
    }
    return PolicyDocument(loop_detection=config, **{**fixed, **members})


def text_of(result: CallToolResult) -> str:
    [content] = result.content
    assert isinstance(content, TextContent)
    return content.text


@pytest.mark.parametrize("era", ERAS)
async def test_a_repeated_call_is_refused_with_an_explanation_and_other_arguments_pass(
    mock: str, gateway: RunningGateway, era: Era
) -> None:
    await gateway.apply(gateway.entry("mock", mock, [watching("Deny")]))

    async with connect(gateway.url(), era=era) as client:
        passed = [await client.call_tool("echo", {"message": "again"}) for _ in range(2)]
        refused = [await client.call_tool("echo", {"message": "again"}) for _ in range(2)]
        other = await client.call_tool("echo", {"message": "something else"})

    assert [each.is_error for each in passed] == [False, False]
    assert [each.is_error for each in refused] == [True, True]
    assert text_of(refused[0]).startswith("Loop detected: echo was called 3 times with the same arguments.")
    assert "Do not repeat this call" in text_of(refused[0])
    assert refused[1].meta is not None
    assert refused[1].meta[META] == {"repeats": 4, "windowMs": 3_600_000, "retryAfterMs": 3_600_000}
    assert not other.is_error
    assert gateway.app.pipeline.loops.outcomes == {("default/loops", "Deny"): 2}


@pytest.mark.parametrize("era", ERAS)
async def test_a_warned_agent_gets_its_result_and_is_told_that_it_repeats_itself(
    mock: str, gateway: RunningGateway, era: Era
) -> None:
    await gateway.apply(gateway.entry("mock", mock, [watching("Warn")]))

    async with connect(gateway.url(), era=era) as client:
        results = [await client.call_tool("echo", {"message": "again"}) for _ in range(4)]

    assert [each.is_error for each in results] == [False] * 4
    texts = [[part.text for part in each.content if isinstance(part, TextContent)] for each in results]
    assert {each[0] for each in texts} == {texts[0][0]}
    assert [" ".join(each[1:]).partition(" with the same")[0] for each in texts] == [
        "", "", "Note of the gateway: echo was called 3 times", "Note of the gateway: echo was called 4 times"
    ]  # fmt: skip
    told = [(each.meta or {}).get(META, {}).get("repeats") for each in results]
    assert told == [None, None, 3, 4]


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_warned_agent_gets_its_own_id_however_the_server_spells_it(
    gateway: RunningGateway, streamed: bool
) -> None:
    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        message = {**answer(arrived, {"content": []}), "id": str(arrived.message["id"])}
        if not streamed:
            return document(message)
        async with events(request) as stream:
            await stream.send(message)
        return stream.response

    async with serving(with_handshake(script)) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url, [watching("Warn", repeats=2)]))
        answers = [await caller.post(modern("tools/call", {"name": "echo"}, id=number)) for number in (1, 2)]
    found = [each.messages[0] if each.messages else each.json for each in answers]
    assert [each["id"] for each in found] == [1, 2]
    assert META in found[1]["result"]["_meta"]


async def test_a_refused_loop_is_recorded_as_a_denial_by_its_policy(mock: str, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    async with running_gateway(audit=AuditOptions(file=path)) as gateway:
        gateway.credentials["audit-0"] = b"a" * 32
        await gateway.apply(gateway.entry("mock", mock, [watching("Deny", repeats=2)]))
        async with connect(gateway.url(), era="modern") as client:
            for _ in range(2):
                await client.call_tool("echo", {"message": "again"})
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    [denied] = [each for each in lines if each.get("authz", {}).get("reason") == "LoopDetected"]
    assert denied["authz"]["decision"] == "deny"
    assert denied["limit"] == {"policy": "default/loops", "name": "loopDetection", "decision": "limited"}


async def test_a_slowed_agent_waits_longer_each_time(mock: str, gateway: RunningGateway) -> None:
    await gateway.apply(gateway.entry("mock", mock, [watching("Slow", repeats=2)]))
    waited: list[float] = []

    async def wait(seconds: float) -> None:
        waited.append(seconds)

    gateway.app.pipeline.loops._sleep = wait
    async with connect(gateway.url(), era="modern") as client:
        results = [await client.call_tool("echo", {"message": "again"}) for _ in range(14)]

    assert [each.is_error for each in results] == [False] * 14
    assert waited == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10, 10, 10]


async def test_callers_wait_in_bounded_numbers_and_further_calls_are_refused(
    mock: str, gateway: RunningGateway
) -> None:
    await gateway.apply(gateway.entry("mock", mock, [watching("Slow", repeats=2)]))
    waiting, free = [0], asyncio.Event()

    async def wait(_: float) -> None:
        waiting[0] += 1
        await free.wait()

    gateway.app.pipeline.loops._sleep = wait
    async with mcp_caller(gateway.url()) as caller:
        sent = modern("tools/call", {"name": "echo", "arguments": {"message": "again"}})
        calls = [asyncio.ensure_future(caller.post(sent)) for _ in range(40)]
        while len([each for each in calls if each.done()]) < 40 - 16:
            await asyncio.wait([each for each in calls if not each.done()], return_when=asyncio.FIRST_COMPLETED)
        assert waiting == [16]
        free.set()
        await asyncio.gather(*calls)
    assert gateway.app.pipeline.loops.outcomes[("default/loops", "Deny")] == 40 - 16 - 1


async def test_callers_do_not_answer_for_one_another(mock: str, gateway: RunningGateway) -> None:
    policies = [keyed(api_key(AGENT_KEY, "agent"), api_key(OTHER_KEY, "other")), watching("Deny", repeats=2)]
    await gateway.apply(gateway.entry("mock", mock, policies))

    results = []
    for key in (AGENT_KEY, OTHER_KEY, AGENT_KEY):
        async with connect(gateway.url(), era="modern", headers=bearer(key)) as client:
            results.append((await client.call_tool("echo", {"message": "again"})).is_error)

    assert results == [False, False, True]


async def test_shadow_mode_changes_nothing_and_counts(mock: str, gateway: RunningGateway) -> None:
    await gateway.apply(gateway.entry("mock", mock, [watching("Deny", repeats=2, mode="Shadow")]))

    async with connect(gateway.url(), era="modern") as client:
        results = [await client.call_tool("echo", {"message": "again"}) for _ in range(4)]

    assert [(each.is_error, (each.meta or {}).get(META)) for each in results] == [(False, None)] * 4
    assert gateway.app.pipeline.loops.outcomes == {("default/loops", "Shadow"): 3}


async def test_tools_that_are_not_watched_may_be_polled(mock: str, gateway: RunningGateway) -> None:
    await gateway.apply(gateway.entry("mock", mock, [watching("Deny", repeats=2, tools={"names": ["get_*"]})]))

    async with connect(gateway.url(), era="modern") as client:
        results = [await client.call_tool("echo", {"message": "again"}) for _ in range(4)]

    assert [each.is_error for each in results] == [False] * 4
