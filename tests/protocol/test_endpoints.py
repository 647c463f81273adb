"""A server with several endpoints: every one gets requests, and all look to it like requests to one server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from aiohttp import web
from gateways import RunningGateway, running_gateway
from mcp_caller import mcp_caller, modern
from upstreams import Arrived, Upstream, answer, document, serving

CALL = modern("tools/call", {"name": "get_users", "arguments": {}}, id=7)


@pytest.fixture
async def gateway() -> AsyncIterator[RunningGateway]:
    async with running_gateway() as gateway:
        yield gateway


async def answers(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
    return document(answer(arrived, {"content": []}))


def listed(*upstreams: Upstream) -> list[dict[str, Any]]:
    """These servers as the endpoints of one."""
    return [{"address": "127.0.0.1", "port": port_of(each)} for each in upstreams]


def port_of(upstream: Upstream) -> int:
    return int(upstream.url.rpartition(":")[2].partition("/")[0])


async def test_every_listed_endpoint_gets_requests_with_the_host_of_the_url(gateway: RunningGateway) -> None:
    async with AsyncExitStack() as stack:
        three = [await stack.enter_async_context(serving(answers)) for _ in range(3)]
        caller = await stack.enter_async_context(mcp_caller(gateway.url()))
        await gateway.apply(gateway.entry("mock", "http://mock.example:7878/mcp", server={"endpoints": listed(*three)}))
        for _ in range(40):
            assert (await caller.post(CALL)).result == {"content": []}

    assert all(each.arrived for each in three)
    assert {each.headers["Host"] for upstream in three for each in upstream.arrived} == {"mock.example:7878"}


async def test_a_busy_endpoint_gets_no_further_request_while_another_is_free(gateway: RunningGateway) -> None:
    release = asyncio.Event()

    async def waits(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        await release.wait()
        return await answers(request, arrived)

    async with serving(waits) as slow, serving(answers) as quick, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", "http://mock.example/mcp", server={"endpoints": listed(slow, quick)}))
        hanging = asyncio.create_task(slow.first("tools/call"))
        call = asyncio.create_task(caller.post(CALL))
        while not hanging.done():
            call = call if not call.done() else asyncio.create_task(caller.post(CALL))
            await asyncio.wait([call, hanging], return_when=asyncio.FIRST_COMPLETED)
        before = len(quick.arrived)
        for _ in range(20):
            assert (await caller.post(CALL)).result == {"content": []}
        assert len(slow.arrived) == 1
        assert len(quick.arrived) >= before + 20
        release.set()
        assert (await call).result == {"content": []}


async def test_an_address_that_is_forbidden_is_refused_as_an_endpoint_too(gateway: RunningGateway) -> None:
    metadata = [{"address": "169.254.169.254", "port": 80}]
    async with mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", "http://mock.example/mcp", server={"endpoints": metadata}))
        response = await caller.post(CALL)
    assert response.json["error"]["data"]["reason"] == "UpstreamAddressForbidden"
