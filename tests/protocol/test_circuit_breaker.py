"""A server that fails too often gets no requests for a time, and a tool that hangs is cut off without the others."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from gateways import SHORT_TIMEOUTS, RunningGateway, running_gateway
from mcp_caller import McpCaller, Reply, mcp_caller, modern
from upstreams import Arrived, Upstream, answer, document, serving, with_handshake

from ostiary_core.contract.server_resilience import CircuitBreakerConfig
from ostiary_gateway.upstream.circuit_breaker import CircuitReport

#: Opens with the fourth request, and stays open for the rest of a test.
BREAKER = CircuitBreakerConfig(error_percent=50, minimum_requests=4, interval=60_000, open_for=600_000)
#: The same for a moment: the next request that is admitted is the trial.
SHORT_BREAKER = BREAKER.model_copy(update={"open_for": 100})
HALF = {"content": [{"type": "text", "text": "ok"}], "resultType": "complete"}
PING = modern("server/discover")


def call(tool: str) -> dict[str, Any]:
    return modern("tools/call", {"name": tool, "arguments": {}}, id=7)


@dataclass
class Scene:
    """A server that answers as ``of_tool`` says, and anything else as ``mode`` says."""

    mode: str = "well"
    of_tool: dict[str, str] = field(default_factory=dict)
    release: asyncio.Event = field(default_factory=asyncio.Event)

    async def script(self, request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        """Answer one request."""
        tool = arrived.headers.get("Mcp-Name", "")
        match self.of_tool.get(tool, self.mode):
            case "503" | "429" as status:
                return web.Response(status=int(status))
            case "error":
                error = {"code": -32603, "message": "the database is down"}
                return document({"jsonrpc": "2.0", "id": arrived.message["id"], "error": error})
            case "isError":
                return document(answer(arrived, {**HALF, "isError": True}))
            case "invalid":
                return document(b"<html>")
            case "hang":
                await self.release.wait()
            case "reset":
                assert request.transport is not None
                request.transport.abort()
            case _:
                pass
        if arrived.method == "tools/list":
            tools = [{"name": name, "inputSchema": {"type": "object"}} for name in ("slow", "fast")]
            return document(answer(arrived, {"tools": tools, "ttlMs": 0, "cacheScope": "public", **_COMPLETE}))
        return document(answer(arrived, HALF))


_COMPLETE = {"resultType": "complete"}


@dataclass
class Stage:
    """A gateway before one server with a circuit breaker, and a caller."""

    gateway: RunningGateway
    scene: Scene
    upstream: Upstream
    caller: McpCaller

    async def apply(self, breaker: CircuitBreakerConfig = BREAKER, **more: Any) -> None:
        """Use this circuit breaker."""
        await self.gateway.apply(
            self.gateway.entry("mock", self.upstream.url, server={"circuit_breaker": breaker, **more})
        )

    def server(self) -> CircuitReport:
        """The circuit of the server."""
        snapshot = self.gateway.app.store.snapshot
        assert snapshot is not None
        breaker = snapshot.proxies["default/mock"].server.breaker
        assert breaker is not None
        return next(breaker.reports())

    async def sent(self, message: Mapping[str, Any], *, times: int = 1) -> list[str]:
        """The outcomes of requests one after the other: a reason of the gateway, or ``ok``."""
        return [outcome(await self.caller.post(message)) for _ in range(times)]


def outcome(reply: Reply) -> str:
    last = reply.messages[-1]
    return last["error"].get("data", {}).get("reason", "error") if "error" in last else "ok"


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    scene = Scene()
    async with AsyncExitStack() as stack:
        gateway = await stack.enter_async_context(running_gateway())
        upstream = await stack.enter_async_context(serving(with_handshake(scene.script)))
        caller = await stack.enter_async_context(mcp_caller(gateway.url()))
        found = Stage(gateway, scene, upstream, caller)
        await found.apply()
        yield found
        scene.release.set()


async def test_a_failing_server_is_cut_off_before_anything_reaches_it(stage: Stage) -> None:
    stage.scene.mode = "503"
    assert await stage.sent(call("fast"), times=4) == ["UpstreamUnavailable"] * 4
    arrived = len(stage.upstream.arrived)
    reply = await stage.caller.post(call("fast"))
    assert (reply.status, reply.error["code"], reply.error["data"]["reason"]) == (200, -31003, "CircuitOpen")
    assert 0 < reply.error["data"]["retryAfterMs"] <= 600_000
    assert await stage.sent(modern("tools/list"), times=3) == ["CircuitOpen"] * 3
    assert len(stage.upstream.arrived) == arrived


async def test_a_tool_that_hangs_is_cut_off_and_the_other_tools_are_not(stage: Stage) -> None:
    await stage.apply(timeouts=SHORT_TIMEOUTS)
    stage.scene.of_tool["slow"] = "hang"
    assert await stage.sent(call("slow"), times=5) == ["UpstreamTimeout"] * 4 + ["CircuitOpen"]
    assert await stage.sent(call("fast"), times=3) == ["ok"] * 3
    assert await stage.sent(modern("tools/list")) == ["ok"]


@pytest.mark.parametrize("mode", ["invalid", "reset"])
async def test_a_tool_without_a_valid_answer_is_cut_off(stage: Stage, mode: str) -> None:
    assert await stage.sent(call("fast"), times=10) == ["ok"] * 10
    stage.scene.of_tool["slow"] = mode
    outcomes = await stage.sent(call("slow"), times=5)
    assert "CircuitOpen" not in outcomes[:4]
    assert outcomes[4] == "CircuitOpen"
    assert await stage.sent(call("fast")) == ["ok"]


@pytest.mark.parametrize("mode", ["error", "isError", "429"])
async def test_an_error_that_the_server_answers_with_opens_nothing(stage: Stage, mode: str) -> None:
    stage.scene.mode = mode
    assert "CircuitOpen" not in await stage.sent(call("fast"), times=20)


async def test_one_trial_at_a_time_finds_out_whether_the_server_works_again(stage: Stage) -> None:
    await stage.apply(SHORT_BREAKER)
    stage.scene.mode = "503"
    await stage.sent(call("fast"), times=4)
    stage.scene.mode = "hang"
    before = len(stage.upstream.arrived)
    trials = [asyncio.create_task(stage.caller.post(call("fast")))]
    while len(stage.upstream.arrived) == before:
        if trials[-1].done():
            assert outcome(await trials[-1]) == "CircuitOpen"
            trials.append(asyncio.create_task(stage.caller.post(call("fast"))))
        await asyncio.sleep(0)
    stage.scene.mode = "well"
    stage.scene.release.set()
    assert outcome(await trials[-1]) == "ok"
    assert await stage.sent(call("fast"), times=3) == ["ok"] * 3


async def test_a_trial_that_fails_keeps_the_circuit_open(stage: Stage) -> None:
    await stage.apply(SHORT_BREAKER)
    stage.scene.mode = "503"
    await stage.sent(call("fast"), times=4)
    found: list[str] = []
    while "UpstreamUnavailable" not in found:
        found += await stage.sent(call("fast"))
    assert set(found) == {"CircuitOpen", "UpstreamUnavailable"}
    assert stage.server().opened == 2
