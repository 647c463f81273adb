"""The `requestState` of a modern server: sealed for one caller and one request, at any replica."""

import time
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
from gateway_replicas import gateway_replicas
from gateways import RunningGateway
from mcp.types import ElicitResult
from mcp_caller import MODERN, McpCaller, Reply, envelope, legacy, mcp_caller, modern_headers
from mcp_clients import connect
from servers_by_era import everything

from ostiary_operator.demo.served_eras import ServedEras

TOOL: Final = "test_input_required_result_request_state"
ALL_INPUTS: Final[dict[str, Any]] = {"elicitation": {"form": {}}, "sampling": {}, "roots": {}}


@pytest.fixture
async def new() -> AsyncIterator[str]:
    """A server on the official Python SDK that speaks 2026-07-28 only."""
    async with everything(sdk="python", eras=ServedEras.MODERN) as url:
        yield url


def call(name: str, *, arguments: dict[str, Any] | None = None, **rounds: Any) -> dict[str, Any]:
    """A call of a client that can be asked everything."""
    meta = {**envelope(MODERN), "io.modelcontextprotocol/clientCapabilities": ALL_INPUTS}
    return legacy("tools/call", {"name": name, "arguments": arguments or {}, **rounds, "_meta": meta})


async def posted(caller: McpCaller, message: dict[str, Any]) -> Reply:
    """The reply to a modern request."""
    return await caller.post(message, modern_headers(message))


async def test_the_official_client_answers_over_replicas(new: str) -> None:
    async def elicited(context: Any, params: Any) -> ElicitResult:
        return ElicitResult(action="accept", content={"name": "Ada"})

    async with gateway_replicas() as replicas:
        await replicas.apply(replicas.entry("new", new))
        async with connect(replicas.url("new"), era="modern", elicitation_callback=elicited) as client:
            for _ in range(3):
                result = await client.call_tool("test_input_required_result_elicitation", {})
                assert "Ada" in str(result.content)


async def test_a_state_is_sealed_and_the_server_gets_back_its_own(gateway: RunningGateway, new: str) -> None:
    await gateway.apply(gateway.entry("new", new))
    async with mcp_caller(gateway.url("new")) as caller, mcp_caller(new) as direct:
        own = (await posted(direct, call(TOOL))).result
        first = (await posted(caller, call(TOOL))).result
        assert first["requestState"].startswith("s1.")
        assert own["requestState"] not in first["requestState"]
        (key,) = first["inputRequests"]
        answer = {key: {"action": "accept", "content": {"confirmed": True}}}
        again = await posted(caller, call(TOOL, inputResponses=answer, requestState=first["requestState"]))
        assert again.result["resultType"] == "complete"


async def test_no_state_but_this_callers_for_this_request_is_accepted(gateway: RunningGateway, new: str) -> None:
    await gateway.apply(gateway.entry("new", new), gateway.entry("other", new))
    async with mcp_caller(gateway.url("new")) as caller, mcp_caller(gateway.url("other")) as elsewhere:
        state = (await posted(caller, call(TOOL))).result["requestState"]
        middle = len(state) // 2
        altered = state[:middle] + ("B" if state[middle] == "A" else "A") + state[middle + 1 :]
        refused = [
            await posted(caller, call(TOOL, requestState=altered)),
            await posted(caller, call(TOOL, requestState="asked")),
            await posted(caller, call(TOOL, requestState="")),
            await posted(caller, call(TOOL, requestState=7)),
            await posted(caller, call(TOOL, requestState="s1." + "A" * 300_000)),
            await posted(caller, call(TOOL, arguments={"more": 1}, requestState=state)),
            await posted(caller, call("test_input_required_result_elicitation", requestState=state)),
            await posted(elsewhere, call(TOOL, requestState=state)),
        ]
    assert {reply.error["code"] for reply in refused} == {-32602}
    assert {reply.error["data"]["reason"] for reply in refused} == {"InvalidRequestState"}


async def test_a_large_request_is_bound_to_its_params_too(gateway: RunningGateway, new: str) -> None:
    await gateway.apply(gateway.entry("new", new))
    async with mcp_caller(gateway.url("new")) as caller:
        long = {"text": "x" * 5000}
        state = (await posted(caller, call(TOOL, arguments=long))).result["requestState"]
        other = await posted(caller, call(TOOL, arguments={"text": "y" * 5000}, requestState=state))
        same = await posted(caller, call(TOOL, arguments=long, requestState=state))
    assert other.error["code"] == -32602
    assert "result" in same.json


async def test_an_expired_state_is_refused(gateway: RunningGateway, new: str, monkeypatch: pytest.MonkeyPatch) -> None:
    await gateway.apply(gateway.entry("new", new))
    states = gateway.app.pipeline.services.states
    async with mcp_caller(gateway.url("new")) as caller:
        state = (await posted(caller, call(TOOL))).result["requestState"]
        later = time.time() + 2 * gateway.settings.bounds.session_max_age / 1000
        monkeypatch.setattr(states, "_clock", lambda: later)
        assert (await posted(caller, call(TOOL, requestState=state))).error["code"] == -32602
