"""Calls of modern clients that a legacy server interrupts with a question: parked, bounded, cancelled."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import web
from api_keys import AGENT_KEY, OTHER_KEY, api_key, bearer, keyed
from asking_server import AskingServer, called
from gateway_replicas import gateway_replicas
from gateways import RunningGateway, policy
from mcp_caller import McpCaller, Reply, mcp_caller, modern, modern_headers
from mcp_clients import eventually
from upstreams import Arrived, Upstream, serving

from ostiary_core.contract.authentication import AuthenticationConfig
from ostiary_gateway.pipeline.bridged.legacy_sessions import LegacySessions
from ostiary_gateway.pipeline.continuations.continuations import MOST_PER_PRINCIPAL

AGENT, OTHER = bearer(AGENT_KEY), bearer(OTHER_KEY)
KEYS = keyed(api_key(AGENT_KEY), api_key(OTHER_KEY, "default/other"))
ADA: dict[str, Any] = {"input-1": {"action": "accept", "content": {"name": "Ada"}}}


@dataclass
class Scene:
    """A gateway in front of a server that asks, and a caller."""

    gateway: RunningGateway
    server: AskingServer
    upstream: Upstream
    caller: McpCaller

    async def call(self, tool: str, who: dict[str, str] | None = None, **rounds: Any) -> Reply:
        """Call a tool."""
        message = called(tool, **rounds)
        return await self.caller.post(message, {**modern_headers(message), **(AGENT if who is None else who)})

    @property
    def parked(self) -> int:
        """How many calls wait."""
        return self.gateway.app.pipeline.services.continuations.parked


@asynccontextmanager
async def staged(gateway: RunningGateway, *policies: Any) -> AsyncIterator[Scene]:
    """A server that asks, behind the gateway."""
    server = AskingServer()
    async with serving(server.script) as upstream, mcp_caller(gateway.url("old")) as caller:
        fixed = {"protocol_version": "2025-11-25"}
        await gateway.apply(gateway.entry("old", upstream.url, list(policies), server=fixed))
        yield Scene(gateway, server, upstream, caller)


@pytest.fixture
async def scene(gateway: RunningGateway) -> AsyncIterator[Scene]:
    """The scene with two callers that have keys."""
    async with staged(gateway, KEYS) as found:
        yield found


async def test_a_session_is_kept_for_one_caller_with_one_set_of_capabilities(scene: Scene) -> None:
    sessions = [(await scene.call("plain")).result["content"][0]["text"] for _ in range(3)]
    assert sessions == ["session-1"] * 3
    assert (await scene.call("plain", OTHER)).result["content"][0]["text"] == "session-2"
    assert (await scene.call("plain", capabilities={})).result["content"][0]["text"] == "session-3"
    assert (await scene.call("plain")).result["content"][0]["text"] == "session-1"
    assert scene.server.ended == []


async def test_calls_at_the_same_time_open_one_session(scene: Scene) -> None:
    replies = await asyncio.gather(*(scene.call("plain", id=number) for number in range(8)))
    assert {reply.json["id"] for reply in replies} == set(range(8))
    assert scene.server.opened == 1


async def test_each_call_of_an_anonymous_caller_has_a_session_that_ends_with_it(gateway: RunningGateway) -> None:
    async with staged(gateway) as scene:
        for number in (1, 2):
            reply = await scene.call("plain", {})
            assert reply.result["content"][0]["text"] == f"session-{number}"
        await eventually(lambda: scene.server.ended == ["session-1", "session-2"])
        assert gateway.app.pipeline.services.legacy_sessions.kept == 0


async def test_a_caller_has_a_few_sessions_and_the_oldest_unused_one_is_ended(scene: Scene) -> None:
    for number in range(9):
        await scene.call("plain", capabilities={"experimental": {f"x{number}": {}}})
    await eventually(lambda: scene.server.ended == ["session-1"])
    assert scene.gateway.app.pipeline.services.legacy_sessions.kept == 8


async def test_a_session_that_the_server_has_forgotten_is_opened_again_and_the_call_is_sent_once_more(
    scene: Scene,
) -> None:
    await scene.call("plain")
    scene.server.sessions.clear()
    assert (await scene.call("plain")).result["content"][0]["text"] == "session-2"
    assert scene.upstream.count("tools/call") == 3


async def test_sessions_are_ended_when_the_gateway_stops(scene: Scene) -> None:
    await scene.call("plain")
    await scene.gateway.app.pipeline.services.close()
    assert scene.server.ended == ["session-1"]


async def test_a_question_parks_the_call_and_its_answer_is_used_once(scene: Scene) -> None:
    asked = (await scene.call("ask")).result
    assert asked["resultType"] == "input_required"
    assert asked["inputRequests"]["input-1"]["method"] == "elicitation/create"
    assert scene.parked == 1
    shown = scene.gateway.app.metrics.exposition("")[0].decode()
    assert "ostiary_parked_calls 1.0" in shown
    assert "ostiary_bridge_sessions 1.0" in shown
    again = {"inputResponses": ADA, "requestState": asked["requestState"]}
    reply = await scene.call("ask", id="second", **again)
    assert (reply.json["id"], reply.result["resultType"]) == ("second", "complete")
    assert "Ada" in reply.result["content"][0]["text"]
    assert scene.parked == 0
    used = (await scene.call("ask", **again)).error
    assert (used["code"], used["data"]["reason"]) == (-31003, "ContinuationLost")
    assert "ostiary_continuations_lost_total 1.0" in scene.gateway.app.metrics.exposition("")[0].decode()
    assert scene.server.cancelled.empty()


async def test_a_call_may_ask_again_and_again(scene: Scene) -> None:
    scene.server.repeats = 3
    result = (await scene.call("ask")).result
    for number in (1, 2, 3):
        answers = {f"input-{number}": ADA["input-1"]}
        result = (await scene.call("ask", inputResponses=answers, requestState=result["requestState"])).result
    assert result["resultType"] == "complete"


async def test_without_the_input_an_elicitation_is_cancelled(scene: Scene) -> None:
    state = (await scene.call("ask")).result["requestState"]
    reply = await scene.call("ask", requestState=state)
    assert "cancel" in reply.result["content"][0]["text"]


async def test_another_callers_state_and_one_of_another_call_are_refused_and_not_used_up(scene: Scene) -> None:
    state = (await scene.call("ask")).result["requestState"]
    for refused in (
        await scene.call("ask", OTHER, requestState=state),
        await scene.call("ask", requestState=state[:-2] + "xx"),
        await scene.call("plain", requestState=state),
    ):
        assert refused.error["code"] == -32602
    assert scene.parked == 1
    assert (await scene.call("ask", requestState=state, inputResponses=ADA)).result["resultType"] == "complete"


async def test_a_principal_can_park_so_many_calls_and_what_is_beyond_is_cancelled_at_the_server(scene: Scene) -> None:
    for number in range(MOST_PER_PRINCIPAL):
        assert "requestState" in (await scene.call("ask", id=number)).result
    refused = (await scene.call("ask")).error
    assert (refused["code"], refused["data"]["reason"]) == (-31002, "TooManyParkedCalls")
    assert "requestId" in await scene.server.cancelled.get()
    assert "requestState" in (await scene.call("ask", OTHER)).result
    assert scene.parked == MOST_PER_PRINCIPAL + 1


async def test_an_answer_never_reaches_a_server_that_has_left_the_config(scene: Scene) -> None:
    asked = (await scene.call("ask")).result
    async with serving(AskingServer().script) as other:
        fixed = {"protocol_version": "2025-11-25"}
        await scene.gateway.apply(scene.gateway.entry("old", other.url, [KEYS], server=fixed))
        answered = await scene.call("ask", requestState=asked["requestState"], inputResponses=ADA)
    assert (answered.error["code"], answered.error["data"]["reason"]) == (-31003, "ContinuationLost")
    assert (await scene.server.cancelled.get())["requestId"]
    assert scene.server.told.empty()


async def test_a_parked_call_that_expires_is_cancelled_at_the_server_and_lost(scene: Scene) -> None:
    state = (await scene.call("ask")).result["requestState"]
    scene.gateway.app.pipeline.services.continuations.close()  # as when the time of each is over
    assert "requestId" in await scene.server.cancelled.get()
    lost = (await scene.call("ask", requestState=state, inputResponses=ADA)).error
    assert lost["data"]["reason"] == "ContinuationLost"


async def test_a_caller_is_not_asked_what_it_has_not_declared(scene: Scene) -> None:
    for tool in ("ask sampling/createMessage", "ask roots/list", "ask tools/call", "ask x"):
        reply = await scene.call(tool)
        assert "-32601" in reply.result["content"][0]["text"]
    assert "-32601" in (await scene.call("ask", capabilities={})).result["content"][0]["text"]
    assert "{}" in (await scene.call("ask ping")).result["content"][0]["text"]


async def test_a_call_that_fails_for_want_of_a_capability_says_which(scene: Scene) -> None:
    scene.server.fails_without_answer = True
    reply = await scene.call("ask", capabilities={"roots": {}})
    assert (reply.messages[-1]["error"]["code"], reply.error["data"]) == (
        -32021,
        {"requiredCapabilities": {"elicitation": {}}},
    )


async def test_headers_that_mirror_arguments_are_checked_in_place_of_the_server(scene: Scene) -> None:
    listed = modern("tools/list")
    await scene.caller.post(listed, {**modern_headers(listed), **AGENT})
    message = called("mirrored")
    message["params"]["arguments"] = {"region": "eu"}
    right = {**modern_headers(message), **AGENT, "Mcp-Param-Region": "eu"}
    assert (await scene.caller.post(message, right)).status == 200
    for wrong in ({"Mcp-Param-Region": "us"}, {"Mcp-Param-Region": "=?base64?*?="}, {"Mcp-Param-Region": None}):
        refused = await scene.caller.post(message, {**right, **wrong})
        assert (refused.status, refused.error["code"]) == (400, -32020)


async def test_a_server_that_does_not_stop_asking_is_at_fault(scene: Scene) -> None:
    scene.server.repeats = 1000
    assert (await scene.call("ask ping")).error["code"] == -31005


async def test_a_caller_that_goes_away_cancels_its_call(scene: Scene) -> None:
    message = called("wait")
    request = asyncio.ensure_future(scene.call("wait"))
    await scene.upstream.first("tools/call")
    request.cancel()
    await asyncio.gather(request, return_exceptions=True)
    assert (await scene.server.cancelled.get())["requestId"] != message["id"]


async def test_a_method_that_the_server_does_not_have_is_not_found(scene: Scene) -> None:
    message = modern("completion/complete", {"ref": {"type": "ref/prompt", "name": "x"}, "argument": {}})
    reply = await scene.caller.post(message, {**modern_headers(message), **AGENT})
    assert (reply.status, reply.error["code"]) == (404, -32601)


async def test_tasks_are_not_bridged(scene: Scene) -> None:
    message = modern("tasks/get", {"taskId": "1"})
    reply = await scene.caller.post(message, {**modern_headers(message), **AGENT})
    assert (reply.status, reply.error["code"]) == (404, -32601)


async def test_a_call_whose_replica_is_gone_is_lost_and_says_so() -> None:
    server = AskingServer()
    async with gateway_replicas(2) as replicas, serving(server.script) as upstream:
        fixed = {"protocol_version": "2025-11-25"}
        await replicas.apply(replicas.entry("old", upstream.url, [KEYS], server=fixed))
        async with mcp_caller(replicas.url("old")) as caller:
            message = called("ask")
            asked = await caller.post(message, {**modern_headers(message), **AGENT})
            owner = replicas.balancer.chosen[-1]
            gone = replicas.gateways[owner].app
            gone.pipeline.services.continuations.close()
            message = called("ask", requestState=asked.result["requestState"], inputResponses=ADA)
            lost = await caller.post(message, {**modern_headers(message), **AGENT})
            assert replicas.balancer.chosen[-1] != owner
            assert lost.error["data"]["reason"] == "ContinuationLost"


async def test_a_session_of_which_much_was_declared_is_not_kept(scene: Scene) -> None:
    kept = scene.gateway.app.pipeline.services.legacy_sessions
    huge = {"experimental": {"x": {"text": "x" * 100_000}}}
    for _ in range(2):
        assert (await scene.call("plain", capabilities=huge)).result["resultType"] == "complete"
    await eventually(lambda: scene.server.ended == ["session-1", "session-2"])
    assert kept.kept == 0

    scene.server.instructions = "x" * 100_000
    assert (await scene.call("plain")).result["resultType"] == "complete"
    await eventually(lambda: scene.server.ended[2:] == ["session-3"])
    assert kept.kept == 0


async def test_callers_that_their_server_refuses_leave_nothing(gateway: RunningGateway) -> None:
    async def script(_: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        return web.Response(status=401)

    async with serving(script) as upstream, mcp_caller(gateway.url("old")) as caller:
        passes = policy("passes").model_copy(
            update={"access": None, "authentication": AuthenticationConfig(passthrough=True)}
        )
        await gateway.apply(gateway.entry("old", upstream.url, [passes], server={"protocol_version": "2025-11-25"}))
        for number in range(5):
            message = called("plain")
            await caller.post(message, {**modern_headers(message), **bearer(f"token-{number}")})
    assert upstream.count("initialize") == 5
    assert [*gateway.app.pipeline.services.legacy_sessions._servers.values()] == [{}]


async def test_callers_that_leave_while_a_session_is_opened_never_leave_two(scene: Scene) -> None:
    scene.server.gate = asyncio.Event()
    kept = scene.gateway.app.pipeline.services.legacy_sessions
    first, second = (asyncio.create_task(scene.call("plain")) for _ in range(2))
    await eventually(lambda: scene.upstream.count("initialize") == 1)
    await eventually(lambda: _calls_that_open(kept) == 2)
    first.cancel()
    await eventually(lambda: scene.upstream.count("initialize") == 2)
    third = asyncio.create_task(scene.call("plain"))
    await eventually(lambda: _calls_that_open(kept) == 2)
    scene.server.gate.set()
    await asyncio.gather(second, third)
    assert scene.upstream.count("initialize") == 2
    assert kept.kept == 1


def _calls_that_open(kept: LegacySessions) -> int:
    callers = [caller for each in kept._servers.values() for caller in each.values()]
    return sum(turn.calls for caller in callers for turn in caller.opening.values())
