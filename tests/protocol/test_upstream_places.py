"""Servers at another path than configured, or that require another Host, are reached or reported."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from gateways import RunningGateway, running_gateway
from mcp_caller import mcp_caller, modern
from mcp_clients import Era, connect
from sdk_server import asking_server
from timeouts import TIMEOUT_SECONDS
from upstreams import Arrived, Script, answer, document, serving
from waiting import for_ever

RESULT: dict[str, Any] = {"content": []}
CALL = modern("tools/call", {"name": "get_users", "arguments": {"secret": "of the caller"}}, id=7)
both_statuses = pytest.mark.parametrize("status", [307, 308])


@pytest.fixture
async def gateway() -> AsyncIterator[RunningGateway]:
    async with running_gateway() as gateway:
        yield gateway


def redirecting(status: int, location: str) -> Script:
    """A server that redirects from /mcp and answers at any other path."""

    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        if request.path_qs == "/mcp":
            return web.Response(status=status, headers={"Location": location})
        return document(answer(arrived, {**RESULT, "at": request.path_qs}))

    return script


@both_statuses
async def test_a_redirect_to_another_path_is_followed_once_with_the_same_message_and_then_known(
    gateway: RunningGateway, status: int
) -> None:
    async with serving(redirecting(status, "/mcp/")) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url))
        for _ in range(3):
            assert (await caller.post(CALL)).result["at"] == "/mcp/"

    assert len(upstream.arrived) == 4, "one request learns where the server is"
    assert {(each.http_method, each.headers["Host"]) for each in upstream.arrived} == {
        ("POST", upstream.url.removeprefix("http://").removesuffix("/mcp"))
    }
    assert len({each.body for each in upstream.arrived[:2]}) == 1


async def test_a_temporary_redirect_to_another_name_is_followed_each_time(gateway: RunningGateway) -> None:
    async with serving(redirecting(307, "/elsewhere")) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url))
        for _ in range(2):
            assert (await caller.post(CALL)).result["at"] == "/elsewhere"
    assert len(upstream.arrived) == 4


async def test_a_place_that_is_none_any_more_is_forgotten(gateway: RunningGateway) -> None:
    moved = True

    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        if request.path == ("/mcp" if moved else "/mcp/"):
            return web.Response(status=308 if moved else 404, headers={"Location": "/mcp/"})
        return document(answer(arrived, RESULT))

    async with serving(script) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url))
        assert (await caller.post(CALL)).result == RESULT
        moved = False
        assert "error" in (await caller.post(CALL)).json
        assert (await caller.post(CALL)).result == RESULT


async def test_a_server_that_redirects_again_and_again_is_followed_once(gateway: RunningGateway) -> None:
    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        return web.Response(status=308, headers={"Location": f"{request.path}x"})

    async with serving(script) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url))
        assert (await caller.post(CALL)).error["data"] == {"reason": "UpstreamRedirected"}
    assert len(upstream.arrived) == 2


async def test_the_target_of_a_refused_redirect_is_reported_to_the_operator_only(
    gateway: RunningGateway, caplog: pytest.LogCaptureFixture
) -> None:
    elsewhere = "https://login.example/start?state=secret"
    async with serving(redirecting(307, elsewhere)) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url))
        reply = await caller.post(CALL)

    assert reply.error["data"] == {"reason": "UpstreamRedirected"}
    assert b"login.example" not in reply.body
    fault = gateway.app.store.snapshot.proxies["default/mock"].server.health.fault  # type: ignore[union-attr]
    assert fault is not None
    assert fault.message == "the upstream answered HTTP 307 and redirects to https://login.example/start"
    assert "redirects to https://login.example/start" in caplog.text
    assert "secret" not in caplog.text


def checking(allowed: str) -> Script:
    """A server that checks Host as the official SDKs do, and says why it refuses."""

    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        if request.headers["Host"] != allowed:
            return web.Response(status=421, text="Invalid Host header\r\n\x1b[31m" + "x" * 5000)
        return document(answer(arrived, RESULT))

    return script


async def test_a_server_that_checks_host_is_reported_with_its_message_and_the_host_that_was_sent(
    gateway: RunningGateway, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(checking("localhost:8000")) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url))
        reply = await caller.post(CALL)

    assert reply.error["data"] == {"reason": "UpstreamHostRefused"}
    assert b"Invalid Host" not in reply.body
    (told,) = [record.getMessage() for record in caplog.records if "HostRefused" in record.getMessage()]
    assert re.search(r"HTTP 421: Invalid Host header \[31mx+\.\.\. \(the gateway sends Host: 127\.0\.0\.1:\d+\)$", told)
    assert len(told) < 400


async def test_the_host_that_is_set_is_sent_in_place_of_the_urls(gateway: RunningGateway) -> None:
    async with serving(checking("localhost:8000")) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url, server={"host": "localhost:8000"}))
        assert (await caller.post(CALL)).result == RESULT


async def test_a_refusal_with_an_endless_body_costs_no_time(gateway: RunningGateway) -> None:
    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        response = web.StreamResponse(status=403)
        await response.prepare(request)
        await response.write(b"half a word")
        await for_ever()
        return response

    async with serving(script) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url))
        async with asyncio.timeout(TIMEOUT_SECONDS):
            assert (await caller.post(CALL)).error["data"] == {"reason": "UpstreamHostRefused"}


async def test_the_query_of_a_url_is_sent_to_the_server(gateway: RunningGateway) -> None:
    async with serving(redirecting(308, "/none")) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", f"{upstream.url}?profile=a%20b&x"))
        assert (await caller.post(CALL)).result["at"] == "/mcp?profile=a%20b&x"


async def test_headers_that_are_set_go_to_the_server_with_every_request(gateway: RunningGateway) -> None:
    headers = [{"name": "X-Tenant", "value": "a, b"}, {"name": "X-Empty", "value": ""}]

    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        return document(answer(arrived, RESULT)) if arrived.body else web.Response(status=405)

    async with serving(script) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url, server={"headers": headers}))
        await caller.post(CALL, {"X-Tenant": "of the caller"})
        await caller.request("GET", {"Accept": "text/event-stream"})
    assert [(each.http_method, each.headers["X-Tenant"], each.headers["X-Empty"]) for each in upstream.arrived] == [
        ("POST", "a, b", ""),
        ("GET", "a, b", ""),
    ]


both_eras = pytest.mark.parametrize("era", ["legacy", "modern"])


@both_eras
async def test_the_official_client_works_with_an_official_server_at_the_path_with_a_slash(
    gateway: RunningGateway, era: Era
) -> None:
    async with asking_server(path="/mcp/") as url:
        await gateway.apply(gateway.entry("mock", url))
        async with connect(gateway.url(), era=era) as client:
            assert "grow" in {tool.name for tool in (await client.list_tools()).tools}


@both_eras
async def test_an_official_server_that_checks_host_takes_the_one_that_is_set(gateway: RunningGateway, era: Era) -> None:
    async with asking_server(allowed_hosts=["crm.example"]) as url, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", url))
        assert (await caller.post(modern("tools/list"))).error["data"] == {"reason": "UpstreamHostRefused"}
        await gateway.apply(gateway.entry("mock", url, server={"host": "crm.example"}))
        async with connect(gateway.url(), era=era) as client:
            assert (await client.list_tools()).tools
