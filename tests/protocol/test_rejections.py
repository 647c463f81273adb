"""A server that refuses a request with an HTTP status keeps its status and meaning, and the caller gets its own id."""

import json
from typing import Any

import pytest
from aiohttp import web
from gateways import RunningGateway, running_gateway
from mcp import Client
from mcp_caller import MODERN, McpCaller, Reply, legacy, mcp_caller, modern
from mcp_clients import connect
from otlp_sink import http_sink
from typescript_sdk import run_session
from upstreams import Arrived, answer, document, initialize_answer, serving, with_handshake

from ostiary_gateway.telemetry import Telemetry

RESULT: dict[str, Any] = {"tools": []}
NO_SESSION = "Bad Request: Missing session ID"


def error(identifier: Any, code: int = -32600, words: str = NO_SESSION, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"jsonrpc": "2.0", "error": {"code": code, "message": words, **more}}
    return found if identifier is ... else {**found, "id": identifier}


async def refused(gateway: RunningGateway, response: Any, message: dict[str, Any]) -> Reply:
    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        status, body, kind = response
        headers = {"Content-Type": kind} if kind else {}
        return web.Response(status=status, body=body if isinstance(body, bytes) else json.dumps(body), headers=headers)

    async with serving(script) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url))
        return await caller.post(message)


JSON, TEXT = "application/json", "text/plain; charset=utf-8"


@pytest.mark.parametrize("status", [400, 404, 409, 422])
@pytest.mark.parametrize("identifier", ["server-error", None, ..., "", 0, -1, 99], ids=str)
@pytest.mark.parametrize("message", [legacy("tools/list", id=7), modern("tools/list", id="a")], ids=["old", "new"])
async def test_an_error_that_names_no_request_or_another_gets_the_id_of_the_request_that_it_refuses(
    gateway: RunningGateway, message: dict[str, Any], identifier: Any, status: int
) -> None:
    reply = await refused(gateway, (status, error(identifier, data={"supported": [MODERN]}), JSON), message)

    assert (reply.status, reply.json["id"]) == (status, message["id"])
    assert reply.error == {"code": -32600, "message": NO_SESSION, "data": {"supported": [MODERN]}}


@pytest.mark.parametrize("kind", [TEXT, "text/plain", None])
@pytest.mark.parametrize("status", [400, 409, 410, 422])
@pytest.mark.parametrize("message", [legacy("tools/call", {"name": "x"}, id=7), modern("tools/list", id=7)])
async def test_a_refusal_in_plain_text_keeps_its_status_and_becomes_a_json_rpc_error(
    gateway: RunningGateway, message: dict[str, Any], status: int, kind: str | None
) -> None:
    reply = await refused(gateway, (status, b"secret words: expect initialize request", kind or TEXT), message)

    assert (reply.status, reply.json["id"], reply.error["code"]) == (status, 7, -32600)
    assert reply.error["message"].startswith(f"The MCP server refused this request with HTTP {status}")
    assert reply.error["data"] == {"reason": "UpstreamRefused"}
    assert b"secret" not in reply.body


async def test_outside_a_session_the_refusal_says_what_may_be_missing(gateway: RunningGateway) -> None:
    reply = await refused(gateway, (422, b"Unexpected message, expect initialize request", TEXT), legacy("tools/list"))

    assert "initialize" in reply.error["message"]


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (404, b"404 page not found", TEXT),
        (405, b"Method Not Allowed", TEXT),
        (400, b"<h1>no</h1>", "text/html"),
        (400, {"detail": "no"}, JSON),
        (400, {"jsonrpc": "2.0", "id": None, "error": "no"}, JSON),
        (400, {"jsonrpc": "2.0", "id": None, "error": {"code": 1}}, JSON),
        (400, {"jsonrpc": "2.0", "id": 99, "result": {}}, JSON),
        (400, b'{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"\\ud800"}}', JSON),
    ],
)
async def test_what_is_no_refusal_of_an_mcp_server_stays_an_invalid_answer(
    gateway: RunningGateway, status: int, body: Any, kind: str
) -> None:
    reply = await refused(gateway, (status, body, kind), legacy("tools/list", id=7))

    assert (reply.status, reply.json["id"], reply.error["code"]) == (200, 7, -31005)


@pytest.mark.parametrize(("status", "identifier", "code"), [(500, "server-error", -31003), (500, None, -32603)])
async def test_from_500_on_only_an_error_that_names_no_request_is_one(
    gateway: RunningGateway, status: int, identifier: Any, code: int
) -> None:
    reply = await refused(gateway, (status, error(identifier, -32603), JSON), legacy("tools/list", id=7))

    assert (reply.json["id"], reply.error["code"]) == (7, code)


async def test_in_a_session_404_stays_404_whatever_its_body_so_that_clients_start_again(
    gateway: RunningGateway,
) -> None:
    bodies = [error("server-error"), error(None), b"Not Found: Session not found"]

    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        body = bodies.pop()
        if isinstance(body, bytes):
            return web.Response(status=404, body=body, headers={"Content-Type": TEXT})
        return document(body, status=404)

    async with serving(with_handshake(script)) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url))
        await caller.initialize()
        while bodies:
            reply = await caller.post(legacy("tools/list", id=7))
            assert (reply.status, reply.json["id"], reply.error["code"]) == (404, 7, -32001)


async def test_the_operator_reads_the_details_that_the_caller_does_not_get() -> None:
    with http_sink() as sink:
        async with running_gateway(
            telemetry=Telemetry.from_env({"OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint})
        ) as gateway:
            await refused(
                gateway, (422, b"Unexpected message,\n expect initialize request", TEXT), legacy("tools/list")
            )
        spans = sink.wait_for(lambda spans: any(each.kind == "CLIENT" for each in spans))
        [span] = [each for each in spans if each.kind == "CLIENT"]

    assert span.description == "HTTP 422: Unexpected message, expect initialize request"
    assert span.attributes["error.type"] == "-32600"


# -- servers of the handshake era only, as the official clients meet them


def of_the_handshake_era(refusal: web.Response) -> Any:
    """A server that knows sessions only: everything else is refused like this."""

    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        if arrived.method == "initialize":
            return initialize_answer(arrived)
        if "Mcp-Session-Id" not in arrived.headers:
            return web.Response(status=refusal.status, body=refusal.body, headers=dict(refusal.headers))
        if request.method != "POST":
            return web.Response(status=405)
        return document(answer(arrived, RESULT)) if "id" in arrived.message else web.Response(status=202)

    return script


def refusals() -> dict[str, web.Response]:
    return {
        "Python SDK 1.x": document(error("server-error"), status=400),
        "TypeScript SDK 1.x": document(error(None, -32000, "Bad Request: Server not initialized"), status=400),
        "rmcp": web.Response(status=422, text="Unprocessable Entity: Unexpected message, expect initialize request"),
        "Go SDK": web.Response(status=400, text="method not found"),
    }


#: Statuses that servers without `server/discover` use: to these the gateway bridges, so no client need fall back.
BRIDGED = {"Python SDK 1.x", "TypeScript SDK 1.x", "Go SDK"}


@pytest.mark.parametrize("server", refusals())
async def test_the_official_python_client_is_bridged_or_falls_back_to_a_session(
    gateway: RunningGateway, server: str
) -> None:
    async with serving(of_the_handshake_era(refusals()[server])) as upstream:
        await gateway.apply(gateway.entry("mock", upstream.url))
        async with connect(gateway.url(), era="legacy") as client:
            assert (await client.list_tools()).tools == []
        async with Client(gateway.url()) as client:  # as it likes: it asks for 2026-07-28 first
            assert client.protocol_version == ("2026-07-28" if server in BRIDGED else "2025-11-25")


@pytest.mark.node
@pytest.mark.parametrize("server", refusals())
async def test_the_official_typescript_client_is_bridged_or_falls_back_to_a_session(
    gateway: RunningGateway, server: str
) -> None:
    async with serving(of_the_handshake_era(refusals()[server])) as upstream:
        await gateway.apply(gateway.entry("mock", upstream.url))
        steps = [{"op": "server"}, {"op": "listTools"}]
        found, listed = await run_session(gateway.url(), sdk="v2", era="auto", steps=steps)

    assert found["result"]["protocolVersion"] == ("2026-07-28" if server in BRIDGED else "2025-11-25")
    assert listed["result"]["tools"] == []


async def test_a_revision_that_is_bridged_is_supported_whatever_a_legacy_server_refuses(
    gateway: RunningGateway,
) -> None:
    for refusal in refusals().values():
        async with serving(of_the_handshake_era(refusal)) as upstream, mcp_caller(gateway.url()) as caller:
            await gateway.apply(gateway.entry("mock", upstream.url))
            await caller.post(modern("server/discover"))
            assert MODERN in await supported(caller)


async def supported(caller: McpCaller) -> list[str]:
    reply = await caller.post(legacy("tools/list"), {"MCP-Protocol-Version": "2099-01-01"})
    found: list[str] = reply.error["data"]["supported"]
    return found
