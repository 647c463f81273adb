"""A server that fails too often gets no requests for a time, and a tool that hangs is cut off without the others."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from gateways import LONG_TIMEOUTS, LOOPBACK, SHORT_TIMEOUTS, RunningGateway, running_gateway
from mcp_caller import McpCaller, Reply, legacy, mcp_caller, modern
from merged_proxies import merged
from metric_samples import counted
from otlp_sink import http_sink
from upstreams import Arrived, Upstream, answer, document, serving, with_handshake

from ostiary_core.contract.documents import ServerConfig
from ostiary_core.contract.server_resilience import CircuitBreakerConfig
from ostiary_core.contract.server_selection import RoutingRuleConfig
from ostiary_gateway.telemetry import Telemetry
from ostiary_gateway.upstream.circuit_breaker import CircuitReport
from ostiary_operator.status.replica_reports import parse_report

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
    hangs: asyncio.Event = field(default_factory=asyncio.Event)
    release: asyncio.Event = field(default_factory=asyncio.Event)

    async def script(self, request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        """Answer one request."""
        return web.Response(status=405) if not arrived.body else await self._answer(request, arrived)

    async def _answer(self, request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        tool = (arrived.message.get("params") or {}).get("name", "")
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
                self.hangs.set()
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

    async def report(self) -> Any:
        """What the replica reports on its admin port."""
        url = f"http://127.0.0.1:{self.gateway.app.admin_port}/config"
        credential = {"Authorization": f"Bearer {self.gateway.admin_token.decode()}"}
        async with aiohttp.ClientSession(headers=credential) as http, http.get(url) as response:
            body = await response.read()
        parse_report(body, gateway="ostiary/default")  # the operator must be able to read what we say
        return json.loads(body)

    async def session(self) -> str:
        """Open a session of the legacy era."""
        await self.caller.initialize()
        return self.caller.session or ""

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


async def test_a_caller_that_gives_up_during_the_trial_decides_nothing(stage: Stage) -> None:
    await stage.apply(SHORT_BREAKER)
    stage.scene.mode = "503"
    await stage.sent(call("fast"), times=4)
    stage.scene.mode = "hang"
    hanging = asyncio.create_task(stage.scene.hangs.wait())
    trial = asyncio.create_task(stage.caller.post(call("fast")))
    while not hanging.done():
        await asyncio.wait([trial, hanging], return_when=asyncio.FIRST_COMPLETED)
        if trial.done():
            trial = asyncio.create_task(stage.caller.post(call("fast")))
    trial.cancel()
    stage.scene.mode = "well"
    while await stage.sent(call("fast")) != ["ok"]:
        pass
    assert stage.server().opened == 1


async def test_what_is_no_request_passes_an_open_circuit(stage: Stage) -> None:
    session = await stage.session()
    stage.scene.mode = "503"
    await stage.sent(legacy("tools/list"), times=4)
    assert await stage.sent(legacy("tools/list")) == ["CircuitOpen"]
    note = legacy("notifications/progress", {"progressToken": 1, "progress": 1}, id=None)
    assert (await stage.caller.post(note)).status == 202
    assert (await stage.caller.request("DELETE")).status == 405
    assert stage.upstream.count("DELETE") == 1
    assert session


async def test_the_evidence_of_an_open_circuit(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    await stage.sent(modern("tools/list"))
    stage.scene.of_tool["slow"] = "invalid"
    await stage.sent(call("slow"), times=6)
    stage.scene.mode = "503"
    await stage.sent(PING, times=20)

    labels = {"ostiary_proxy": "default/mock", "ostiary_server": "up"}
    of_tool = {**labels, "scope": "tool", "gen_ai_tool_name": "slow"}
    assert counted(stage.gateway, "ostiary_upstream_circuit_open", **of_tool) == 1
    assert counted(stage.gateway, "ostiary_upstream_circuit_open", **labels, scope="server") == 1
    assert counted(stage.gateway, "ostiary_upstream_circuit_openings_total", **labels) == 2
    assert counted(stage.gateway, "ostiary_upstream_faults_total", **labels, reason="CircuitOpen") > 2
    reported = (await stage.report())["entries"]["default/mock"]["servers"]["up"]
    assert reported["fault"]["kind"] == "UpstreamUnavailable"
    assert 0 < reported["circuit"].pop("retryAfterMs") <= 600_000
    assert reported["circuit"] == {"state": "Open", "openTools": 1, "tools": ["slow"]}
    opened = [message for message in caplog.messages if "opens its circuit" in message]
    assert [message.partition("/mcp)")[2] for message in opened] == [
        ": tool slow opens its circuit for 600 s: 4 of 4 requests failed within 60 s",
        " opens its circuit for 600 s: 5 of 10 requests failed within 60 s",
    ]


async def test_spans_say_which_circuit_refused_a_request_and_which_was_the_trial() -> None:
    scene = Scene("503")
    with http_sink() as sink:
        telemetry = Telemetry.from_env({"OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint})
        async with (
            running_gateway(telemetry=telemetry) as gateway,
            serving(with_handshake(scene.script)) as upstream,
            mcp_caller(gateway.url()) as caller,
        ):
            stage = Stage(gateway, scene, upstream, caller)
            await stage.apply(SHORT_BREAKER)
            outcomes = await stage.sent(call("fast"), times=5)
            scene.mode = "well"
            while outcomes[-1] != "ok":
                outcomes += await stage.sent(call("fast"))
            found = sink.wait_for(lambda spans: sum(each.kind == "SERVER" for each in spans) == len(outcomes))
    spans = [each for each in found if each.kind == "SERVER"]
    decisions = [each.attributes.get("ostiary.circuit.decision") for each in spans]
    assert decisions[:5] == [None, None, None, None, "refused"]
    assert decisions[-1] == "trial"
    assert spans[4].attributes["ostiary.circuit.server"] == "up"
    refused = {each.trace_id for each, decision in zip(spans, decisions, strict=True) if decision == "refused"}
    assert not any(each.kind == "CLIENT" and each.trace_id in refused for each in found), "nothing was sent"


async def test_a_merged_list_lacks_a_server_whose_circuit_is_open(stage: Stage) -> None:
    well = Scene()
    async with serving(with_handshake(well.script)) as other:
        urls = {"crm": stage.upstream.url, "wiki": other.url}
        await stage.gateway.apply(merged(stage.gateway, urls, of_each={"circuit_breaker": BREAKER}))
        stage.scene.mode = "503"
        assert await stage.sent(call("crm_fast"), times=4) == ["UpstreamUnavailable"] * 4
        arrived = len(stage.upstream.arrived)
        result = (await stage.caller.post(modern("tools/list"))).result
        assert {tool["name"] for tool in result["tools"]} == {"wiki_slow", "wiki_fast"}
        (missing,) = result["_meta"]["dev.ostiary/unavailable"]
        assert (missing["prefix"], missing["reason"]) == ("crm_", "CircuitOpen")
        assert await stage.sent(call("crm_fast")) == ["CircuitOpen"]
        assert await stage.sent(call("wiki_fast")) == ["ok"]
        assert len(stage.upstream.arrived) == arrived


async def test_failing_lists_open_the_circuit_of_one_of_several_servers(stage: Stage) -> None:
    async with serving(with_handshake(Scene().script)) as other:
        urls = {"crm": stage.upstream.url, "wiki": other.url}
        await stage.gateway.apply(merged(stage.gateway, urls, of_each={"circuit_breaker": BREAKER}))
        stage.scene.mode = "503"
        reasons = []
        for _ in range(10):
            (missing,) = (await stage.caller.post(modern("tools/list"))).result["_meta"]["dev.ostiary/unavailable"]
            reasons.append(missing["reason"])
        assert reasons[0] == "UpstreamUnavailable"
        assert reasons[-1] == "CircuitOpen"


async def test_a_routed_request_goes_to_the_next_server_of_its_rule(stage: Stage) -> None:
    async with serving(with_handshake(Scene().script)) as other:
        described = [
            ServerConfig(name=name, url=url, timeouts=LONG_TIMEOUTS, addresses=LOOPBACK, circuit_breaker=BREAKER)
            for name, url in (("first", stage.upstream.url), ("second", other.url))
        ]
        rule = RoutingRuleConfig(name="all", when=None, servers=["first", "second"])
        entry = stage.gateway.entry("mock", "", servers=described, server_selection="Route", routing=[rule])
        await stage.gateway.apply(entry)
        stage.scene.of_tool["slow"] = "invalid"
        outcomes = []
        for _ in range(5):
            assert await stage.sent(call("fast")) == ["ok"]
            outcomes += await stage.sent(call("slow"))
        assert outcomes == ["UpstreamInvalidAnswer"] * 4 + ["ok"]
        assert other.count("tools/call") == 1


@pytest.mark.parametrize("session", ["upstream-session", None])
async def test_a_modern_caller_of_a_legacy_server_is_the_whole_trial(stage: Stage, session: str | None) -> None:
    """Its call needs a handshake first, which is part of the trial and not another request."""
    scene = Scene()
    async with serving(with_handshake(scene.script, session=session)) as upstream:
        entry = {"circuit_breaker": SHORT_BREAKER, "timeouts": LONG_TIMEOUTS, "protocol_version": "2025-11-25"}
        await stage.gateway.apply(stage.gateway.entry("mock", upstream.url, server=entry))
        scene.mode = "503"
        outcomes = await stage.sent(call("fast"), times=4)
        while outcomes[-1] != "CircuitOpen":
            outcomes += await stage.sent(call("fast"))
        scene.mode = "well"
        while outcomes[-1] != "ok":
            outcomes += await stage.sent(call("fast"))
        assert await stage.sent(call("fast"), times=3) == ["ok"] * 3
