"""SIGTERM loses no response: calls finish, streams end, and the process exits in time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from configs import ConfigWriter, entry
from gateway_process import GatewayProcess, gateway_process
from gateways import LONG_TIMEOUTS, LOOPBACK, RunningGateway, running_gateway
from mcp import MCPError
from mcp_caller import Reply, legacy, mcp_caller, modern
from mcp_clients import ERAS, Era, connect, eventually
from sdk_server import Gates, asking_server
from timeouts import TIMEOUT_SECONDS
from upstreams import (
    Arrived,
    Upstream,
    answer,
    document,
    events,
    initialize_answer,
    progress_and_then,
    serving,
)
from volumes import swap_in_config
from waiting import for_ever

from ostiary_core.contract.documents import ServerConfig

RESULT = {"content": [{"type": "text", "text": "done"}]}
CALL = {"name": "get_users", "arguments": {}}
LISTEN = modern("subscriptions/listen", {"notifications": {"toolsListChanged": True}}, id=5)


class Scene:
    """An upstream whose calls wait for the gate and whose streams stay silent."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()

    async def script(self, request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        if arrived.method in ("GET", "subscriptions/listen"):
            async with events(request):
                await for_ever()
        if arrived.method == "tools/list":
            await self.gate.wait()
            return document(answer(arrived, {"tools": []}))
        return await progress_and_then(request, answer(arrived, RESULT), when=self.gate)


@pytest.fixture
def scene() -> Scene:
    return Scene()


@asynccontextmanager
async def started(
    directory: Path, upstream: Upstream, *, drain: float = 120.0, delay: float = 0.0
) -> AsyncIterator[GatewayProcess]:
    """A gateway process in front of the upstream, ready. Whatever waits for the whole drain fails for want of time."""
    operator = ConfigWriter()
    server = ServerConfig(name="up", url=upstream.url, timeouts=LONG_TIMEOUTS, addresses=LOOPBACK)
    swap_in_config(directory, operator.files(entry("mock", servers=[server])), secret=operator.secret)
    async with gateway_process(directory, drain_seconds=drain, drain_delay_seconds=delay) as gateway:

        async def ready() -> bool:
            return await status(gateway.admin_port, "/readyz") == 200

        await eventually(ready)
        yield gateway


async def status(port: int, path: str) -> int:
    async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{port}{path}") as response:
        return response.status


async def is_leaving(gateway: GatewayProcess) -> bool:
    return await status(gateway.admin_port, "/readyz") == 503


def url(gateway: GatewayProcess) -> str:
    return f"http://127.0.0.1:{gateway.port}/mock/mcp"


async def test_sigterm_answers_what_is_in_flight_and_ends_with_zero(
    tmp_path: Path, scene: Scene, upstream: Upstream
) -> None:
    async with started(tmp_path, upstream) as gateway, mcp_caller(url(gateway)) as caller:
        document_waits = asyncio.create_task(caller.post(legacy("tools/list", {})))
        await upstream.first("tools/list")
        async with caller.stream(modern("tools/call", CALL)) as stream:
            await stream.message()
            gateway.terminate()
            await eventually(lambda: is_leaving(gateway))
            assert await status(gateway.admin_port, "/healthz") == 200
            refused = await caller.post(legacy("ping"))
            assert (refused.status, refused.json["error"]) == (503, "Draining")
            assert refused.headers["Retry-After"] == "1"
            scene.gate.set()
            assert (await stream.message())["result"] == RESULT
            assert await stream.ended()
        assert (await document_waits).result == {"tools": []}
        assert await gateway.ended() == 0
        assert "unanswered" not in gateway.log
        assert "Traceback" not in gateway.log


async def test_what_a_call_in_flight_asked_its_caller_for_still_reaches_it(tmp_path: Path) -> None:
    received = asyncio.Event()

    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        if "result" in arrived.message:
            received.set()
            return web.Response(status=202)
        if arrived.method == "initialize":
            return initialize_answer(arrived)
        async with events(request) as stream:
            await stream.send({"jsonrpc": "2.0", "id": "ask", "method": "sampling/createMessage", "params": {}})
            await received.wait()
            await stream.send(answer(arrived, RESULT))
        return stream.response

    async with (
        serving(script) as upstream,
        started(tmp_path, upstream) as gateway,
        mcp_caller(url(gateway)) as caller,
    ):
        await caller.initialize()
        async with caller.stream(legacy("tools/call", CALL)) as stream:
            assert (await stream.message())["id"] == "ask"
            gateway.terminate()
            await eventually(lambda: is_leaving(gateway))
            assert (await caller.post({"jsonrpc": "2.0", "id": "ask", "result": {}})).status == 202
            assert (await stream.message())["result"] == RESULT
        assert await gateway.ended() == 0


async def test_an_idle_gateway_ends_at_once(tmp_path: Path, upstream: Upstream) -> None:
    async with started(tmp_path, upstream) as gateway, mcp_caller(url(gateway)) as caller:
        await caller.initialize()  # and its connection stays open, idle
        gateway.terminate()
        assert await gateway.ended() == 0


async def test_open_streams_end_gracefully_and_delay_no_shutdown(tmp_path: Path, upstream: Upstream) -> None:
    async with started(tmp_path, upstream) as gateway, mcp_caller(url(gateway)) as caller:
        await caller.initialize()
        async with caller.listen() as gets, caller.stream(LISTEN) as listens:
            await upstream.first("subscriptions/listen")
            await upstream.first("GET")
            gateway.terminate()
            assert (await listens.message())["result"] == {
                "resultType": "complete",
                "_meta": {"io.modelcontextprotocol/subscriptionId": 5},
            }
            assert await listens.ended()
            assert await gets.ended()
        assert await gateway.ended() == 0


async def test_what_never_ends_is_cut_off_at_the_bound(tmp_path: Path, upstream: Upstream) -> None:
    async with started(tmp_path, upstream, drain=0.3) as gateway, mcp_caller(url(gateway)) as caller:
        async with caller.stream(modern("tools/call", CALL)) as stream:
            await stream.message()
            gateway.terminate()
            assert await gateway.ended() == 0
        assert "1 requests were still unanswered" in gateway.log
        assert "Traceback" not in gateway.log


FORMS = {
    "a document": ("tools/list", legacy("tools/list", {}, id=9)),
    "a modern document": ("tools/list", modern("tools/list", {}, id=9)),
    "events, of which some have come": ("tools/call", legacy("tools/call", CALL, id=9)),
    "modern events, of which some have come": ("tools/call", modern("tools/call", CALL, id=9)),
}


@pytest.mark.parametrize("form", FORMS)
async def test_a_call_in_flight_when_draining_ends_gets_an_error_in_its_own_form(
    form: str, tmp_path: Path, upstream: Upstream
) -> None:
    method, message = FORMS[form]
    async with started(tmp_path, upstream, drain=0.3) as gateway, mcp_caller(url(gateway)) as caller:
        waiting = asyncio.create_task(caller.post(message))
        await upstream.first(method)
        gateway.terminate()
        reply = await asyncio.wait_for(waiting, TIMEOUT_SECONDS)
        assert await gateway.ended() == 0
    assert reply.status == 200
    last = reply.messages[-1]
    assert (last["id"], last["error"]["code"]) == (9, -31003)
    assert last["error"]["data"] == {"reason": "Draining", "retryAfterMs": 1000}
    assert "may have been carried out" in last["error"]["message"]
    assert "Traceback" not in gateway.log


async def test_a_failed_initialize_with_an_event_stream_gets_a_json_error(tmp_path: Path) -> None:
    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        async with events(request) as stream:
            await stream.send({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info"}})
            await for_ever()
        raise AssertionError

    params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    async with (
        serving(script) as upstream,
        started(tmp_path, upstream, drain=0.3) as gateway,
        mcp_caller(url(gateway)) as caller,
    ):
        waiting = asyncio.create_task(caller.post(legacy("initialize", params, id=9)))
        await upstream.first("initialize")
        gateway.terminate()
        reply = await asyncio.wait_for(waiting, TIMEOUT_SECONDS)
        assert await gateway.ended() == 0
    assert reply.messages[-1]["error"]["data"]["reason"] == "Draining"


async def test_a_call_that_can_be_resumed_elsewhere_is_ended_without_an_error_when_draining_ends(
    tmp_path: Path,
) -> None:
    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        if arrived.method == "initialize":
            return initialize_answer(arrived)
        async with events(request) as stream:
            params = {"progressToken": 1, "progress": 1}
            await stream.send({"jsonrpc": "2.0", "method": "notifications/progress", "params": params}, id="e1")
            await for_ever()
        raise AssertionError

    async with (
        serving(script) as upstream,
        started(tmp_path, upstream, drain=0.3) as gateway,
        mcp_caller(url(gateway)) as caller,
    ):
        await caller.initialize()
        async with caller.stream(legacy("tools/call", CALL, id=9)) as stream:
            assert (await stream.message())["method"] == "notifications/progress"
            gateway.terminate()
            assert await stream.ended()
        assert await gateway.ended() == 0


async def test_an_incomplete_body_gets_a_refusal_when_draining_ends(tmp_path: Path, upstream: Upstream) -> None:
    async with started(tmp_path, upstream, drain=0.3) as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(
            b"POST /mock/mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 100\r\n\r\n{"
        )
        await eventually(lambda: in_flight(gateway))
        gateway.terminate()
        answered = (await asyncio.wait_for(reader.read(), TIMEOUT_SECONDS)).decode()
        writer.close()
        assert await gateway.ended() == 0
    assert answered.startswith("HTTP/1.1 503 ")
    assert '"Draining"' in answered


async def in_flight(gateway: GatewayProcess) -> bool:
    """Whether the gateway holds bytes of a body."""
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"http://127.0.0.1:{gateway.admin_port}/metrics") as response,
    ):
        return "ostiary_bytes_in_flight 1.0" in await response.text()


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("form", ["document", "events"])
async def test_a_client_of_the_official_sdk_gets_an_error_for_a_call_that_was_cut_off(
    form: str, era: Era, tmp_path: Path
) -> None:
    gates = Gates()
    async with (
        asking_server(gates, json_response=form == "document") as behind,
        started(tmp_path, Upstream(behind), drain=0.3) as gateway,
        connect(url(gateway), era=era) as client,
    ):
        waiting = asyncio.create_task(client.call_tool("gated", {}))
        await gates.reached.wait()
        gateway.terminate()
        with pytest.raises(MCPError):
            await asyncio.wait_for(waiting, TIMEOUT_SECONDS)
        assert await gateway.ended() == 0
        gates.open.set()


async def test_while_load_balancers_learn_requests_are_still_taken(
    tmp_path: Path, scene: Scene, upstream: Upstream
) -> None:
    scene.gate.set()
    async with started(tmp_path, upstream, delay=4.0) as gateway, mcp_caller(url(gateway)) as caller:
        gateway.terminate()

        async def leaving() -> bool:
            return await status(gateway.admin_port, "/readyz") == 503

        await eventually(leaving)
        assert (await caller.post(legacy("tools/list", {}))).result == {"tools": []}
        assert await gateway.ended() == 0


async def test_an_idle_connection_gets_connection_close_before_requests_are_refused(
    tmp_path: Path, scene: Scene, upstream: Upstream
) -> None:
    scene.gate.set()
    async with started(tmp_path, upstream, delay=4.0) as gateway, mcp_caller(url(gateway)) as caller:
        kept = await caller.post(legacy("tools/list", {}))
        assert "Connection" not in kept.headers
        gateway.terminate()
        await eventually(lambda: is_leaving(gateway))
        received = await caller.post(legacy("tools/list", {}))
        assert (received.status, received.headers["Connection"]) == (200, "close")
        assert await gateway.ended() == 0


async def test_a_connection_without_a_request_is_closed_before_one_would_be_refused(
    tmp_path: Path, scene: Scene, upstream: Upstream
) -> None:
    scene.gate.clear()
    async with started(tmp_path, upstream, delay=0.3) as gateway, mcp_caller(url(gateway)) as caller:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        async with caller.stream(modern("tools/call", CALL)) as stream:  # a call that holds the drain up
            await stream.message()
            gateway.terminate()
            async with asyncio.timeout(TIMEOUT_SECONDS):
                assert await reader.read() == b""
            scene.gate.set()
            assert (await stream.message())["result"] == RESULT
        writer.close()
        assert await gateway.ended() == 0


async def test_a_stream_that_began_before_the_drain_keeps_its_connection_open(
    tmp_path: Path, scene: Scene, upstream: Upstream
) -> None:
    async with started(tmp_path, upstream, delay=4.0) as gateway, mcp_caller(url(gateway)) as caller:
        async with caller.stream(modern("tools/call", CALL)) as stream:
            await stream.message()
            gateway.terminate()
            await eventually(lambda: is_leaving(gateway))
            scene.gate.set()
            assert (await stream.message())["result"] == RESULT
            assert await stream.ended()
        received = await caller.post(legacy("tools/list", {}))  # on the same connection
        assert (received.status, received.headers["Connection"]) == (200, "close")
        assert await gateway.ended() == 0


async def test_a_signal_before_the_first_config_ends_it_too(tmp_path: Path) -> None:
    async with gateway_process(tmp_path) as gateway:
        assert await status(gateway.admin_port, "/readyz") == 503
        gateway.terminate()
        assert await gateway.ended() == 0


# -- within one loop: what a process cannot show


async def test_a_stream_whose_server_hesitates_over_the_drain_ends_as_well() -> None:
    gate = asyncio.Event()

    async def hesitating(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        await gate.wait()
        async with events(request):
            await for_ever()
        raise AssertionError

    async with (
        running_gateway(drain_seconds=120.0) as gateway,
        serving(hesitating) as upstream,
        mcp_caller(gateway.url()) as caller,
    ):
        await gateway.apply(gateway.entry("mock", upstream.url))
        posting = asyncio.create_task(caller.post(LISTEN))
        await upstream.first("subscriptions/listen")
        stopping = asyncio.create_task(gateway.app.stop())
        await eventually(lambda: gateway.app.pipeline.draining)
        gate.set()
        reply: Reply = await asyncio.wait_for(posting, TIMEOUT_SECONDS)
        await asyncio.wait_for(stopping, TIMEOUT_SECONDS)

    assert reply.result["resultType"] == "complete"


async def test_a_gateway_can_be_stopped_twice(gateway: RunningGateway) -> None:
    await gateway.apply()
    await gateway.app.stop()
