"""Many calls of one session with one id at a time, as some clients send them, in servers on both official SDKs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from gateways import RunningGateway, policy
from mcp_caller import McpCaller, Stream, legacy, mcp_caller
from mcp_clients import eventually
from sdk_server import Gates, asking_server
from typescript_sdk import meeting_server

CALLS = 24
CONNECTIONS = 4
SERVERS = [(sdk, form) for sdk in ("python", "typescript") for form in ("json", "events")]


@pytest.fixture(params=SERVERS, ids="-".join)
async def server(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    sdk, form = request.param
    serve = asking_server if sdk == "python" else meeting_server
    async with serve(json_response=form == "json") as url:
        yield url


@pytest.fixture
async def callers(gateway: RunningGateway, server: str) -> AsyncIterator[list[McpCaller]]:
    """Several connections of one session."""
    await gateway.apply(gateway.entry("mock", server, [policy("p", {"name": "all", "effect": "Allow"})]))
    async with AsyncExitStack() as stack:
        callers = [await stack.enter_async_context(mcp_caller(gateway.url())) for _ in range(CONNECTIONS)]
        await callers[0].initialize()
        for caller in callers:
            caller.session = callers[0].session
        yield callers


def call(name: str, **arguments: int) -> dict[str, Any]:
    params = {"name": name, "arguments": arguments, "_meta": {"progressToken": 1}}
    return legacy("tools/call", params, id=1)


def text(message: dict[str, Any]) -> str:
    content = message["result"]["content"][0]["text"]
    assert isinstance(content, str)
    return content


@pytest.mark.node
async def test_each_of_many_calls_with_one_id_is_given_its_own_answer_and_progress(callers: list[McpCaller]) -> None:
    posts = [callers[n % CONNECTIONS].post(call("meet", size=CALLS, n=n)) for n in range(CALLS)]
    listed, *replies = await asyncio.gather(callers[0].post(legacy("tools/list", id=1)), *posts)
    assert {tool["name"] for tool in listed.result["tools"]} >= {"meet", "wait"}
    for n, reply in enumerate(replies):
        *notices, last = reply.messages
        assert (last["id"], text(last)) == (1, str(n))
        progress = [each["params"] for each in notices if each["method"] == "notifications/progress"]
        assert all((each["progressToken"], each["progress"]) == (1, n) for each in progress)
        assert progress or not reply.headers["Content-Type"].startswith("text/event-stream")


@pytest.mark.node
async def test_a_cancellation_ends_every_call_with_the_id(
    gateway: RunningGateway, callers: list[McpCaller], server: str
) -> None:
    waiting = [asyncio.create_task(callers[n].post(call("wait"))) for n in range(3)]
    await eventually(lambda: len(gateway.app.pipeline.request_ids) == 2 * len(waiting))
    cancelled = legacy("notifications/cancelled", {"requestId": 1}, id=None)

    async def all_are() -> bool:
        # The server may not have begun the last of them when the first cancellation comes.
        await callers[3].post(cancelled)
        return text((await callers[3].post(call("cancelled") | {"id": 3})).messages[-1]) == "3"

    await eventually(all_are)
    for each in waiting:
        each.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_each_of_two_calls_with_one_id_is_resumed_after_its_stream_was_closed(gateway: RunningGateway) -> None:
    gates = Gates()
    async with asking_server(gates) as url, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", url))
        await caller.initialize()
        last = await asyncio.gather(*(last_event(caller) for _ in range(2)))
        async with caller.listen({"Last-Event-ID": last[0]}) as one, caller.listen({"Last-Event-ID": last[1]}) as other:
            gates.open.set()
            answers = [await answer_on(stream) for stream in (one, other)]
    assert [(each["id"], text(each)) for each in answers] == [(1, "after the drop")] * 2


async def answer_on(stream: Stream) -> dict[str, Any]:
    """The first answer on a stream."""
    while "method" in (message := await stream.message()):
        pass
    return message


async def last_event(caller: McpCaller) -> str:
    """Call the tool that closes its stream, and return the id of its last event."""
    found = ""
    async with caller.stream(call("drop_stream")) as stream:
        while (block := await stream.block()) is not None:
            found = next((line[4:] for line in block.splitlines() if line.startswith("id: ")), found)
    return found
