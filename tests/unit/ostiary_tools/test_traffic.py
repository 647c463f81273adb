"""The traffic tool must count every call of an endpoint correctly: tests of restarts rely on it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web
from web_application import serving_application

from ostiary_tools.traffic import Traffic, TrafficResult

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(call: Handler, listen: Handler) -> AsyncIterator[str]:
    """A server that opens sessions, and answers and streams as the test sets."""

    async def post(request: web.Request) -> web.StreamResponse:
        message = await request.json()
        if message["method"] == "initialize":
            return web.json_response({"jsonrpc": "2.0", "id": 0, "result": {}}, headers={"Mcp-Session-Id": "s"})
        return await call(request) if "id" in message else web.Response(status=202)

    application = web.Application()
    application.add_routes([web.post("/mcp", post), web.get("/mcp", listen)])
    async with serving_application(application) as origin:
        yield f"{origin}/mcp"


async def answered(request: web.Request) -> web.StreamResponse:
    message = await request.json()
    return web.json_response({"jsonrpc": "2.0", "id": message["id"], "result": {"content": []}})


async def ended(request: web.Request) -> web.StreamResponse:
    stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await stream.prepare(request)
    return stream


async def refused(request: web.Request) -> web.StreamResponse:
    return web.json_response({"error": "Draining"}, status=503)


async def tally_of(call: Handler, listen: Handler, *, streams: int = 1) -> TrafficResult:
    async with serving(call, listen) as url, aiohttp.ClientSession() as http:
        traffic = Traffic(http, url, {}, "get_users")
        await traffic.run(rate=100, streams=streams, seconds=0.2)
        return traffic.result


async def test_calls_that_are_answered_are_counted_with_their_time() -> None:
    tally = await tally_of(answered, ended)
    assert (len(tally.latencies), tally.failures.total()) == (20, 0)
    assert "calls: 20, failed 0" in tally.report()


async def test_a_refusal_is_a_failure_and_is_not_tried_again() -> None:
    tally = await tally_of(refused, ended)
    assert tally.latencies == []
    assert tally.failures == {'HTTP 503 "Draining"': 20}


async def test_an_error_of_a_tool_is_a_failure() -> None:
    async def failing(request: web.Request) -> web.StreamResponse:
        return web.json_response({"jsonrpc": "2.0", "id": 1, "result": {"isError": True, "content": []}})

    assert (await tally_of(failing, ended)).failures.total() == 20


async def test_a_connection_that_is_closed_without_an_answer_is_a_failure() -> None:
    async def gone(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        await asyncio.get_running_loop().create_future()
        raise AssertionError

    assert (await tally_of(gone, ended)).failures.total() == 20


async def test_a_stream_that_ended_is_opened_again() -> None:
    again = asyncio.Event()
    calls = 0

    async def listen(request: web.Request) -> web.StreamResponse:
        nonlocal calls
        calls += 1
        if calls > 1:
            again.set()
        return await ended(request)

    async def call(request: web.Request) -> web.StreamResponse:
        await again.wait()
        return await answered(request)

    tally = await tally_of(call, listen)
    assert tally.opened > 1
    assert not tally.stream_failures


async def test_a_stream_that_is_refused_is_a_failure() -> None:
    tried = asyncio.Event()
    calls = 0

    async def listen(request: web.Request) -> web.StreamResponse:
        nonlocal calls
        calls += 1
        if calls > 1:  # so the first refusal was counted
            tried.set()
        return await refused(request)

    async def call(request: web.Request) -> web.StreamResponse:
        await tried.wait()
        return await answered(request)

    tally = await tally_of(call, listen)
    assert tally.opened == 0
    assert "failed 0 times" not in tally.report()
