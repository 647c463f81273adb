"""REST servers that answer what no tool can use, and callers that try to lead a request elsewhere."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from aiohttp import web
from gateways import BOUNDS, SHORT_TIMEOUTS, RunningGateway, running_gateway
from mcp_caller import McpCaller, Reply, mcp_caller, modern
from mcp_clients import eventually
from rest_services import ORDERS, RestScript, described, rest_service
from upstreams import Arrived

from ostiary_gateway.upstream.openapi.rest_results import MOST_BYTES


@pytest.fixture
async def gateway() -> AsyncIterator[RunningGateway]:
    async with running_gateway() as gateway:
        yield gateway


@pytest.fixture
async def caller(gateway: RunningGateway) -> AsyncIterator[McpCaller]:
    async with mcp_caller(gateway.url("orders")) as caller:
        yield caller


async def call(caller: McpCaller, tool: str = "getOrder", **arguments: Any) -> Reply:
    return await caller.post(modern("tools/call", {"name": tool, "arguments": arguments or {"id": "7"}}))


def answering(
    body: Any, headers: Mapping[str, str] | None = None, *, status: int = 200, kind: str = "application/json"
) -> RestScript:
    """A service that always answers so."""

    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return web.Response(body=content, status=status, headers={"Content-Type": kind, **(headers or {})})

    return script


async def result_of(gateway: RunningGateway, caller: McpCaller, script: RestScript) -> dict[str, Any]:
    async with rest_service(script) as service:
        await gateway.apply(gateway.entry("orders", service.url, server=described(ORDERS)))
        result = (await call(caller)).result
    assert isinstance(result, dict)
    return result


def text_of(result: dict[str, Any]) -> str:
    return str(result["content"][0]["text"])


async def error_of(gateway: RunningGateway, caller: McpCaller, script: RestScript) -> dict[str, Any]:
    async with rest_service(script) as service:
        await gateway.apply(gateway.entry("orders", service.url, server=described(ORDERS)))
        return (await call(caller)).error


@pytest.mark.parametrize("status", [200, 500])
async def test_30_megabytes_are_not_read_and_the_caller_is_told(
    gateway: RunningGateway, caller: McpCaller, status: int
) -> None:
    sent = 0

    async def endless(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse(status=status, headers={"Content-Type": "application/json"})
        await response.prepare(request)
        for _ in range(30 * 16):
            await response.write(b'"' * 65536)
            sent += 65536
        return response

    result = await result_of(gateway, caller, endless)

    assert result["isError"] is True
    assert len(text_of(result)) < 5000
    assert sent < 10 * MOST_BYTES
    if status == 200:
        assert text_of(result).startswith(f"The answer is larger than {MOST_BYTES} bytes")


async def test_a_web_page_in_place_of_data_is_a_fault_of_the_server(gateway: RunningGateway, caller: McpCaller) -> None:
    error = await error_of(gateway, caller, answering(b"<html>Sign in, secret</html>", kind="text/html; charset=utf-8"))

    assert error["code"] == -31005
    assert "secret" not in json.dumps(error)
    assert gateway.app.store.snapshot is not None
    health = gateway.app.store.snapshot.proxies["default/orders"].servers[0].health
    assert health.counts == {"UpstreamInvalidAnswer": 1}


async def test_a_web_page_that_the_document_promises_is_text(gateway: RunningGateway, caller: McpCaller) -> None:
    document = json.loads(json.dumps(ORDERS))
    responses = {"200": {"description": "page", "content": {"text/html": {}}}}
    document["paths"]["/orders/{id}"]["get"]["responses"] = responses
    async with rest_service(answering(b"<p>7</p>", kind="text/html")) as service:
        await gateway.apply(gateway.entry("orders", service.url, server=described(document)))
        assert text_of((await call(caller)).result) == "<p>7</p>"


async def test_a_server_that_never_answers_ends_as_a_timeout(gateway: RunningGateway, caller: McpCaller) -> None:
    async def silent(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        await arrived.gone.wait()
        raise ConnectionError

    async with rest_service(silent) as service:
        server = described(ORDERS, timeouts=SHORT_TIMEOUTS)
        await gateway.apply(gateway.entry("orders", service.url, server=server))
        assert (await call(caller)).error["code"] == -31004


async def test_an_answer_that_never_ends_ends_as_a_timeout(gateway: RunningGateway, caller: McpCaller) -> None:
    async def trickles(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.01)

    async with rest_service(trickles) as service:
        server = described(ORDERS, timeouts=SHORT_TIMEOUTS)
        await gateway.apply(gateway.entry("orders", service.url, server=server))
        assert (await call(caller)).error["code"] == -31004


async def test_answers_that_are_being_read_count_for_their_callers() -> None:
    async def stalls(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        await response.write(b"a" * 600_000)
        await arrived.gone.wait()
        return response

    async with (
        running_gateway(bounds=BOUNDS.model_copy(update={"bytes_in_flight": 1 << 20})) as gateway,
        mcp_caller(gateway.url("orders")) as caller,
        rest_service(stalls) as service,
    ):
        await gateway.apply(gateway.entry("orders", service.url, server=described(ORDERS)))
        held = asyncio.create_task(call(caller))
        await eventually(lambda: gateway.app.pipeline.limiter.total.bytes >= 600_000)
        refused = (await call(caller)).error
        assert (refused["code"], refused["data"]["reason"]) == (-31002, "GatewayFull")
        held.cancel()
        await eventually(lambda: gateway.app.pipeline.limiter.total.bytes == 0)


async def test_an_error_status_is_a_result_that_a_model_can_act_on(gateway: RunningGateway, caller: McpCaller) -> None:
    result = await result_of(gateway, caller, answering({"detail": "no order 7"}, status=404))

    assert result["isError"] is True
    assert text_of(result) == 'HTTP 404 Not Found: {"detail": "no order 7"}'


async def test_an_error_page_is_reported_by_its_status_alone(gateway: RunningGateway, caller: McpCaller) -> None:
    result = await result_of(gateway, caller, answering(b"<h1>stack trace</h1>", status=500, kind="text/html"))

    assert text_of(result) == "HTTP 500 Internal Server Error"


async def test_a_limit_of_the_server_says_when_to_try_again(gateway: RunningGateway, caller: McpCaller) -> None:
    script = answering({}, {"Retry-After": "7"}, status=429)

    assert (
        text_of(await result_of(gateway, caller, script)) == "HTTP 429 Too Many Requests; try again after 7 seconds: {}"
    )


@pytest.mark.parametrize("status", [502, 503, 504])
async def test_a_gateway_error_is_the_fault_of_the_server_whatever_its_body(
    gateway: RunningGateway, caller: McpCaller, status: int
) -> None:
    script = answering({"jsonrpc": "2.0", "id": 1, "result": {"content": []}}, {"Retry-After": "2"}, status=status)

    error = await error_of(gateway, caller, script)

    assert error["code"] == -31003
    assert error["data"] == {"reason": "UpstreamUnavailable", "retryAfterMs": 2000}


async def test_a_refused_credential_is_not_the_callers_affair(gateway: RunningGateway, caller: McpCaller) -> None:
    reply = await error_of(gateway, caller, answering({}, {"WWW-Authenticate": "Bearer"}, status=401))

    assert reply["code"] == -31003
    assert reply["data"]["reason"] == "UpstreamUnauthorized"


@pytest.mark.parametrize(
    "location",
    ["https://elsewhere.example/orders/7", "//elsewhere.example/orders/7", "/orders/7", "", "http://[", "a\tb"],
)
async def test_a_redirect_elsewhere_or_in_a_circle_is_not_followed(
    gateway: RunningGateway, caller: McpCaller, location: str
) -> None:
    async with rest_service(answering({}, {"Location": location}, status=307)) as service:
        await gateway.apply(gateway.entry("orders", service.url, server=described(ORDERS)))
        error = (await call(caller)).error

        assert (error["code"], error["data"]["reason"]) == (-31005, "UpstreamRedirected")
        assert service.lines == ["GET /orders/7"]


async def test_a_redirect_within_the_server_is_followed_once_and_not_kept(
    gateway: RunningGateway, caller: McpCaller
) -> None:
    async def moves(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        if request.path.endswith("/"):
            return web.json_response({"moved": True})
        return web.Response(status=308, headers={"Location": f"{request.path}/"})

    async with rest_service(moves) as service:
        await gateway.apply(gateway.entry("orders", service.url, server=described(ORDERS)))
        for number in ("7", "8"):
            assert (await call(caller, id=number)).result["structuredContent"] == {"moved": True}
        assert service.lines == ["GET /orders/7", "GET /orders/7/", "GET /orders/8", "GET /orders/8/"]


@pytest.mark.parametrize(
    "body",
    [b'{"a": 1, "a": 2}', b"{", b"[1]", b"NaN", b'{"n": 123456789012345678901234567890}', b"\xff\xfe", b"[" * 5000],
)
async def test_what_is_no_strict_json_object_is_text_alone(
    gateway: RunningGateway, caller: McpCaller, body: bytes
) -> None:
    result = await result_of(gateway, caller, answering(body))

    assert "structuredContent" not in result
    assert text_of(result) == body.decode("utf-8", "replace")


async def test_other_bytes_are_counted_and_not_passed_on(gateway: RunningGateway, caller: McpCaller) -> None:
    result = await result_of(gateway, caller, answering(b"\x00\x01", kind="application/zip"))

    assert text_of(result) == "HTTP 200 OK: 2 bytes of application/zip, which are not passed on"


async def test_an_image_stays_an_image(gateway: RunningGateway, caller: McpCaller) -> None:
    result = await result_of(gateway, caller, answering(b"\x89PNG", kind="image/png"))

    assert result["content"] == [{"type": "image", "data": "iVBORw==", "mimeType": "image/png"}]


async def test_a_compressed_answer_is_refused_since_none_was_requested(
    gateway: RunningGateway, caller: McpCaller
) -> None:
    error = await error_of(gateway, caller, answering(b"\x1f\x8b", {"Content-Encoding": "gzip"}))

    assert error["code"] == -31005


@pytest.mark.parametrize(
    "value",
    [
        "..",
        ".",
        "../admin",
        "a/../../admin",
        "%2e%2e",
        "..%2fadmin",
        "%252e%252e%252f",
        "..\\admin",
        "..;/x",
        "a\x00b",
        "",
    ],
)
async def test_no_argument_leads_out_of_its_place_in_the_path(
    gateway: RunningGateway, caller: McpCaller, value: str
) -> None:
    async with rest_service(answering({})) as service:
        await gateway.apply(gateway.entry("orders", f"{service.url}/v1", server=described(ORDERS)))
        result = (await call(caller, id=value)).result

        assert result["isError"] is True
        assert "The argument id must not" in text_of(result)
        assert service.lines == []


@pytest.mark.parametrize("value", ["7?admin=1", "7#x", "7/items", "a b", "é", "7&x=1", "{id}", "7;v=1", "@host", "*"])
async def test_an_argument_is_encoded_whole(gateway: RunningGateway, caller: McpCaller, value: str) -> None:
    async with rest_service(answering({})) as service:
        await gateway.apply(gateway.entry("orders", f"{service.url}/v1", server=described(ORDERS)))
        await call(caller, id=value)

        (line,) = service.lines
        path = line.removeprefix("GET /v1/orders/")
        assert not set(path) & set("?#/& {};@*é")


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "\x00", "é", " a", "a" * 3000])
async def test_no_argument_adds_a_header(gateway: RunningGateway, caller: McpCaller, value: str) -> None:
    async with rest_service(answering([])) as service:
        await gateway.apply(gateway.entry("orders", service.url, server=described(ORDERS)))
        result = (await call(caller, "listOrders", **{"X-Tenant": value})).result

        assert result["isError"] is True
        assert service.lines == []


async def test_no_argument_sets_a_credential(gateway: RunningGateway, caller: McpCaller) -> None:
    async with rest_service(answering([])) as service:
        await gateway.apply(gateway.entry("orders", service.url, server=described(ORDERS)))
        for name in ("X-Api-Key", "Authorization", "Host", "Cookie", "Connection"):
            assert (await call(caller, "listOrders", **{name: "x"})).result["isError"] is True
        assert service.lines == []


async def test_arguments_that_do_not_match_are_explained_and_not_sent(
    gateway: RunningGateway, caller: McpCaller
) -> None:
    async with rest_service(answering({})) as service:
        await gateway.apply(gateway.entry("orders", service.url, server=described(ORDERS)))
        result = (await call(caller, "createOrder", body={"items": [{"sku": 1, "quantity": 0}]})).result

        assert result["isError"] is True
        assert "body/items/0/quantity: 0 is less than the minimum of 1" in text_of(result)
        assert service.lines == []


async def test_a_null_stands_for_an_argument_that_is_left_out(gateway: RunningGateway, caller: McpCaller) -> None:
    async with rest_service(answering([])) as service:
        await gateway.apply(gateway.entry("orders", service.url, server=described(ORDERS)))
        assert "isError" not in (await call(caller, "listOrders", status=None, tag=None)).result
        assert service.lines == ["GET /orders"]


async def test_the_server_sees_the_trace_and_nothing_of_mcp_or_of_the_caller(
    gateway: RunningGateway, caller: McpCaller
) -> None:
    async with rest_service(answering({})) as service:
        await gateway.apply(gateway.entry("orders", service.url, server=described(ORDERS)))
        await caller.post(
            modern("tools/call", {"name": "getOrder", "arguments": {"id": "7"}}),
            {"Authorization": "Bearer caller", "Cookie": "a=b", "X-Forwarded-For": "1.2.3.4"},
        )
        (arrived,) = service.upstream.arrived

    names = {name.lower() for name in arrived.headers}
    assert not any(name.startswith("mcp-") for name in names)
    assert names <= {"host", "accept", "accept-encoding", "via", "traceparent", "tracestate"}


async def test_a_caller_that_leaves_ends_the_request_to_the_server(gateway: RunningGateway, caller: McpCaller) -> None:
    async def waits(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    async with rest_service(waits) as service:
        await gateway.apply(gateway.entry("orders", service.url, server=described(ORDERS)))
        calling = asyncio.create_task(call(caller))
        arrived = await service.upstream.first("GET")
        calling.cancel()
        await arrived.gone.wait()
