"""What the settings block at a real gateway: new requests, open streams, sessions, and requests in flight."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from api_keys import AGENT_KEY, OTHER_KEY, api_key, bearer, keyed
from gateways import RunningGateway, running_gateway
from mcp_caller import LEGACY, McpCaller, Stream, legacy, mcp_caller, modern
from mcp_clients import eventually
from otlp_sink import http_sink
from prometheus_client import generate_latest
from upstreams import Arrived, Upstream, answer, document, events, progress_and_then

from ostiary_core.contract.blocks import BlockedConfig
from ostiary_core.contract.documents import TlsConfig
from ostiary_gateway.telemetry import Telemetry
from ostiary_gateway.telemetry.blocked_requests import BLOCKED_REQUESTS

KEYED = keyed(api_key(AGENT_KEY), api_key(OTHER_KEY, "default/other"))
CALL = modern("tools/call", {"name": "get_users", "arguments": {}})
LEGACY_CALL = legacy("tools/call", {"name": "get_users", "arguments": {}})
LISTEN = modern("subscriptions/listen", {"notifications": {"toolsListChanged": True}}, id="listen")
PING = legacy("ping")
CLIENT = {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
INITIALIZE = legacy("initialize", CLIENT)
RESULT: dict[str, Any] = {"content": []}
PRINCIPAL = BlockedConfig(principals=["default/agent"])
PROXY = BlockedConfig(proxies=["default/mock"])
UPSTREAM = BlockedConfig(upstreams=["127.0.0.1"])
EVERY_KIND = pytest.mark.parametrize(
    ("blocked", "code", "reason"),
    [
        (PRINCIPAL, -31001, "PrincipalBlocked"),
        (PROXY, -31001, "ProxyBlocked"),
        (UPSTREAM, -31003, "UpstreamBlocked"),
    ],
    ids=["principal", "proxy", "upstream"],
)


class Scene:
    """An upstream that answers every call once its gate is open, after a notification of progress."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.say: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def script(self, request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        if arrived.method in ("GET", "subscriptions/listen"):
            async with events(request) as stream:
                while True:
                    await stream.send(await self.say.get())
        if arrived.method == "tools/call" and not self.gate.is_set():
            return await progress_and_then(request, answer(arrived, RESULT), when=self.gate)
        return document(answer(arrived, RESULT))


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def block(gateway: RunningGateway, blocked: BlockedConfig | None) -> None:
    """Apply settings that block, with unchanged entries."""
    gateway.settings = gateway.settings.model_copy(update={"blocked": blocked})
    await gateway.apply(*gateway.applied)


@pytest.fixture
async def agent(gateway: RunningGateway, upstream: Upstream) -> AsyncIterator[McpCaller]:
    """A caller with a session and the key of the agent at the proxy `mock`."""
    await gateway.apply(gateway.entry("mock", upstream.url, [KEYED]))
    async with mcp_caller(gateway.url(), credential=bearer(AGENT_KEY)) as caller:
        await caller.initialize()
        yield caller


@EVERY_KIND
async def test_what_is_blocked_is_refused_with_a_clear_error_and_never_reaches_the_server(
    gateway: RunningGateway, upstream: Upstream, agent: McpCaller, blocked: BlockedConfig, code: int, reason: str
) -> None:
    assert (await agent.post(CALL)).result == RESULT  # its verdict is cached now
    before = len(upstream.arrived)
    await block(gateway, blocked)
    for message in (CALL, LEGACY_CALL, PING, modern("tools/list"), INITIALIZE):
        reply = await agent.post(message)
        assert (reply.status, reply.json["id"]) == (200, 1)
        assert (reply.error["code"], reply.error["data"]["reason"]) == (code, reason)
        assert "has blocked" in reply.error["message"]
    for method in ("GET", "DELETE"):
        assert (await agent.request(method)).status == (503 if reason == "UpstreamBlocked" else 403)
    assert (await agent.post(legacy("notifications/cancelled", {"requestId": 1}, id=None))).status in (403, 503)
    assert len(upstream.arrived) == before


@EVERY_KIND
async def test_the_session_and_the_key_are_usable_again_once_the_block_is_removed(
    gateway: RunningGateway, agent: McpCaller, blocked: BlockedConfig, code: int, reason: str
) -> None:
    await block(gateway, blocked)
    assert (await agent.post(PING)).error["code"] == code
    await block(gateway, None)
    assert (await agent.post(PING)).status == 200
    assert (await agent.post(CALL)).result == RESULT


@asynccontextmanager
async def open_stream(gateway: RunningGateway, kind: str, key: str = AGENT_KEY) -> AsyncIterator[Stream]:
    async with mcp_caller(gateway.url(), credential=bearer(key)) as caller:
        if kind == "get":
            await caller.initialize()
        before = gateway.app.pipeline.limiter.streams
        async with caller.listen() if kind == "get" else caller.stream(LISTEN) as stream:
            await eventually(lambda: gateway.app.pipeline.limiter.streams == before + 1)
            yield stream


@pytest.mark.parametrize("kind", ["get", "listen"])
@EVERY_KIND
async def test_open_streams_of_what_is_blocked_are_closed_at_once(
    gateway: RunningGateway, agent: McpCaller, kind: str, blocked: BlockedConfig, code: int, reason: str
) -> None:
    async with open_stream(gateway, kind) as stream:
        await block(gateway, blocked)
        assert await stream.ended()
    await eventually(lambda: gateway.app.pipeline.limiter.streams == 0)


@pytest.mark.parametrize("kind", ["get", "listen"])
async def test_the_streams_and_calls_of_other_principals_go_on(
    gateway: RunningGateway, agent: McpCaller, scene: Scene, kind: str
) -> None:
    async with open_stream(gateway, kind, OTHER_KEY) as stream:
        await block(gateway, PRINCIPAL)
        assert (await agent.post(CALL, bearer(OTHER_KEY))).result == RESULT
        await scene.say.put({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})
        await stream.message()


async def test_a_blocked_proxy_or_server_leaves_other_proxies_alone(
    gateway: RunningGateway, upstream: Upstream, scene: Scene
) -> None:
    host = upstream.url.replace("127.0.0.1", "localhost")
    await gateway.apply(gateway.entry("mock", upstream.url), gateway.entry("other", host))
    for blocked in (PROXY, UPSTREAM):
        await block(gateway, blocked)
        async with mcp_caller(gateway.url()) as caller, mcp_caller(gateway.url("other")) as other:
            assert (await caller.post(CALL)).error["data"]["reason"].endswith("Blocked")
            assert (await other.post(CALL)).result == RESULT


async def test_a_port_in_the_block_must_be_the_servers(gateway: RunningGateway, upstream: Upstream) -> None:
    await gateway.apply(gateway.entry("mock", upstream.url))
    port = int(upstream.url.rsplit(":", 1)[1].partition("/")[0])
    async with mcp_caller(gateway.url()) as caller:
        await block(gateway, BlockedConfig(upstreams=[f"127.0.0.1:{port + 1}"]))
        assert (await caller.post(CALL)).result == RESULT
        await block(gateway, BlockedConfig(upstreams=[f"127.0.0.1:{port}"]))
        assert (await caller.post(CALL)).error["code"] == -31003


@pytest.mark.parametrize(("blocked", "code"), [(PROXY, -31003), (UPSTREAM, -31003)], ids=["proxy", "upstream"])
@pytest.mark.parametrize("call", [CALL, LEGACY_CALL], ids=["modern", "legacy"])
async def test_a_call_in_flight_to_what_is_blocked_ends_with_an_error(
    gateway: RunningGateway, agent: McpCaller, scene: Scene, blocked: BlockedConfig, code: int, call: dict[str, Any]
) -> None:
    scene.gate.clear()
    async with agent.stream(call) as stream:
        await stream.message()
        await block(gateway, blocked)
        error = (await stream.message())["error"]
    assert (error["code"], error["data"]["reason"]) == (code, "UpstreamBlocked")


@asynccontextmanager
async def calling(caller: McpCaller, scene: Scene, call: dict[str, Any]) -> AsyncIterator[Stream]:
    """A call in flight, in a session of its own."""
    await caller.initialize()
    scene.gate.clear()
    async with caller.stream(call) as stream:
        yield stream


@pytest.mark.parametrize("call", [CALL, LEGACY_CALL], ids=["modern", "legacy"])
async def test_a_call_in_flight_of_a_blocked_principal_ends_and_those_of_others_go_on(
    gateway: RunningGateway, agent: McpCaller, scene: Scene, call: dict[str, Any]
) -> None:
    async with (
        mcp_caller(gateway.url(), credential=bearer(OTHER_KEY)) as other_agent,
        calling(other_agent, scene, call) as other,
        agent.stream(call) as mine,
    ):
        await mine.message()
        await other.message()
        await block(gateway, PRINCIPAL)
        assert not await mine.ended()  # it breaks off
        scene.gate.set()
        assert (await other.message())["result"] == RESULT
    await eventually(lambda: gateway.app.pipeline.limiter.requests == 0)


async def test_callers_without_a_credential_can_be_blocked(gateway: RunningGateway, upstream: Upstream) -> None:
    await gateway.apply(gateway.entry("mock", upstream.url))
    async with mcp_caller(gateway.url()) as caller:
        await block(gateway, BlockedConfig(principals=["anonymous"]))
        assert (await caller.post(CALL)).error["data"]["reason"] == "PrincipalBlocked"


async def test_a_caller_without_a_valid_key_is_still_refused_first(gateway: RunningGateway, agent: McpCaller) -> None:
    await block(gateway, PROXY)
    assert (await agent.post(CALL, {"Authorization": "Bearer another-key"})).status == 401


async def test_a_block_takes_effect_although_a_changed_entry_is_rejected(
    gateway: RunningGateway, upstream: Upstream, agent: McpCaller
) -> None:
    https = upstream.url.replace("http:", "https:")
    broken = gateway.entry("mock", https, [KEYED], server={"tls": TlsConfig(ca="no certificate")}, generation=2)
    gateway.applied = (broken,)
    await block(gateway, PRINCIPAL)
    assert gateway.app.store.rejected_entries
    assert (await agent.post(CALL)).error["data"]["reason"] == "PrincipalBlocked"


@EVERY_KIND
async def test_spans_metrics_and_log_name_what_was_blocked(
    upstream: Upstream, caplog: pytest.LogCaptureFixture, blocked: BlockedConfig, code: int, reason: str
) -> None:
    BLOCKED_REQUESTS[reason].forget({"default/mock"})  # it logs once a minute, also for the tests before
    with http_sink() as sink:
        telemetry = Telemetry.from_env({"OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint})
        async with running_gateway(telemetry=telemetry) as gateway:
            await gateway.apply(gateway.entry("mock", upstream.url, [KEYED]))
            await block(gateway, blocked)
            async with mcp_caller(gateway.url(), credential=bearer(AGENT_KEY)) as caller:
                assert (await caller.post(CALL)).error["code"] == code
            counts = generate_latest(gateway.app.metrics.registry).decode()
            spans = sink.wait_for(lambda found: any(each.kind == "SERVER" for each in found))
    assert f'ostiary_blocked_requests_total{{ostiary_proxy="default/mock",reason="{reason}"}}' in counts
    assert "a request was refused, since the settings block" in caplog.text
    assert AGENT_KEY not in caplog.text
    span = next(span for span in spans if span.kind == "SERVER")
    assert span.attributes["rpc.response.status_code"] == str(code)
    if code == -31001:
        assert span.attributes["ostiary.access.reason"] == reason


async def test_a_call_in_flight_ends_although_the_key_of_its_blocked_caller_is_revoked_at_once_too(
    gateway: RunningGateway, agent: McpCaller, upstream: Upstream, scene: Scene
) -> None:
    scene.gate.clear()
    async with agent.stream(CALL) as stream:
        await stream.message()
        gateway.applied = (gateway.entry("mock", upstream.url, [keyed()], generation=2),)
        await block(gateway, PRINCIPAL)
        assert not await stream.ended()  # it breaks off
    await eventually(lambda: gateway.app.pipeline.limiter.requests == 0)
