"""Pages of allowed origins may use the gateway from a browser; all others learn nothing (Fetch standard, CORS)."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from gateways import RunningGateway, running_gateway
from mcp_caller import LEGACY, McpCaller, Reply, legacy, mcp_caller, modern
from upstreams import Arrived, Upstream, answer, document, events, serving, with_handshake
from wire import connected

PAGE = "https://app.example.com"
ASKING = {"Origin": PAGE, "Access-Control-Request-Method": "POST"}
NEEDED = ["authorization", "content-type", "mcp-protocol-version", "mcp-method", "mcp-name", "mcp-session-id"]


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        if arrived.method == "tools/call":
            async with events(request) as stream:
                await stream.send(answer(arrived, {"content": []}))
            return stream.response
        return document(answer(arrived, {}))

    async with serving(with_handshake(script)) as upstream:
        yield upstream


@pytest.fixture
async def gateway(upstream: Upstream) -> AsyncIterator[RunningGateway]:
    async with running_gateway(origins=[PAGE]) as gateway:
        await gateway.apply(gateway.entry("mock", upstream.url))
        yield gateway


def cors_headers(reply: Reply) -> dict[str, str]:
    return {
        name.lower(): value
        for name, value in reply.headers.items()
        if name.lower().startswith("access-control-") or name.lower() == "vary"
    }


def listed(text: str) -> list[str]:
    return [each.strip().lower() for each in text.split(",")]


async def test_a_preflight_of_an_allowed_origin_lists_what_pages_may_send(
    caller: McpCaller, upstream: Upstream
) -> None:
    reply = await caller.request("OPTIONS", {**ASKING, "Access-Control-Request-Headers": "content-type"})

    assert (reply.status, reply.body) == (204, b"")
    assert cors_headers(reply)["access-control-allow-origin"] == PAGE
    assert listed(cors_headers(reply)["access-control-allow-methods"]) == ["post", "get", "delete"]
    assert set(listed(cors_headers(reply)["access-control-allow-headers"])) >= set(NEEDED)
    assert cors_headers(reply)["vary"] == "Origin"
    assert "access-control-allow-credentials" not in cors_headers(reply)
    assert upstream.arrived == []


async def test_a_preflight_admits_mirrored_parameters_and_nothing_else_that_is_asked_for(caller: McpCaller) -> None:
    asked = "mcp-param-region, Mcp-Param-X, cookie, x-secret, mcp-param-, mcp-param-a b, mcp-param-é"
    reply = await caller.request("OPTIONS", {**ASKING, "Access-Control-Request-Headers": asked})

    admitted = listed(cors_headers(reply)["access-control-allow-headers"])
    assert [name for name in admitted if name not in ("baggage", "traceparent", "tracestate", "last-event-id")] == [
        *NEEDED,
        "mcp-param-region",
        "mcp-param-x",
    ]


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "https://app.example.com.evil.example", ""])
async def test_a_preflight_of_any_other_origin_is_403_without_cors_headers(
    caller: McpCaller, upstream: Upstream, origin: str
) -> None:
    reply = await caller.request("OPTIONS", {**ASKING, "Origin": origin})

    assert (reply.status, reply.json["error"], cors_headers(reply)) == (403, "OriginNotAllowed", {})
    assert upstream.arrived == []


@pytest.mark.parametrize("missing", ASKING)
async def test_what_is_no_preflight_is_another_http_method(caller: McpCaller, missing: str) -> None:
    reply = await caller.request("OPTIONS", {name: value for name, value in ASKING.items() if name != missing})

    assert (reply.status, reply.headers["Allow"], cors_headers(reply)) == (405, "POST, GET, DELETE", {})


async def test_a_preflight_is_for_endpoints_only(gateway: RunningGateway) -> None:
    async with mcp_caller(gateway.url("nowhere")) as caller:
        reply = await caller.request("OPTIONS", ASKING)

    assert (reply.status, cors_headers(reply)) == (404, {})


@pytest.mark.parametrize("how", ["as events", 200, 400, 404, 405, 406, 415])
async def test_a_page_of_an_allowed_origin_may_read_every_answer(caller: McpCaller, how: int | str) -> None:
    reply = await {
        "as events": lambda: caller.post(modern("tools/call", {"name": "x"}), {"Origin": PAGE}),
        200: lambda: caller.post(legacy("ping"), {"Origin": PAGE}),
        400: lambda: caller.post(b"{", {"Origin": PAGE}),
        404: lambda: caller.post(legacy("ping"), {"Origin": PAGE, "Mcp-Session-Id": "x"}),
        405: lambda: caller.request("GET", {"Origin": PAGE, "MCP-Protocol-Version": "2026-07-28"}),
        406: lambda: caller.post(legacy("ping"), {"Origin": PAGE, "Accept": "text/html"}),
        415: lambda: caller.post(legacy("ping"), {"Origin": PAGE, "Content-Type": "text/plain"}),
    }[how]()

    assert reply.status == (200 if how == "as events" else how)
    assert cors_headers(reply)["access-control-allow-origin"] == PAGE
    assert set(listed(cors_headers(reply)["access-control-expose-headers"])) >= {"mcp-session-id", "www-authenticate"}
    assert reply.headers.getall("Vary") == ["Origin"]


async def test_a_page_can_read_the_id_of_its_session(caller: McpCaller) -> None:
    params = {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": "page", "version": "1"}}
    reply = await caller.post(legacy("initialize", params), {"Origin": PAGE})

    assert reply.headers["Mcp-Session-Id"]
    assert "mcp-session-id" in listed(cors_headers(reply)["access-control-expose-headers"])


async def test_other_origins_get_no_cors_headers(caller: McpCaller) -> None:
    for headers in ({}, {"Origin": "https://evil.example"}):
        for message in (legacy("ping"), modern("tools/call", {"name": "x"})):
            assert cors_headers(await caller.post(message, headers)) == {}


async def test_on_loopback_a_page_of_this_gateway_is_admitted_under_each_of_its_names(gateway: RunningGateway) -> None:
    port = gateway.app.port
    head = f"OPTIONS /mock/mcp HTTP/1.1\r\nHost: localhost\r\nOrigin: http://127.0.0.1:{port}\r\n"
    async with connected(port) as wire:
        await wire.send(f"{head}Access-Control-Request-Method: POST\r\n\r\n".encode())
        reply = await wire.reply()

    assert reply.headers["access-control-allow-origin"] == f"http://127.0.0.1:{port}"


async def test_details_of_one_request_are_not_recorded_for_the_next_on_its_connection(
    gateway: RunningGateway,
) -> None:
    request = b"DELETE /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n"
    head = f"OPTIONS /mock/mcp HTTP/1.1\r\nHost: localhost\r\nOrigin: {PAGE}\r\nAccess-Control-Request-Method: POST"
    async with connected(gateway.app.port) as wire:
        await wire.send(f"{head}\r\n\r\n".encode() + request)
        assert "access-control-allow-origin" in (await wire.reply()).headers
        assert "access-control-allow-origin" not in (await wire.reply()).headers
