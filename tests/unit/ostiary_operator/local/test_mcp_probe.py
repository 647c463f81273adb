"""The doctor's MCP client against servers with every permitted response, and some forbidden ones."""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from web_application import serving_application

from ostiary_operator.local.mcp_probe import McpClientSession
from ostiary_tools.cluster.certificates import write_authority_and_server

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
HELLO = b'{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25","serverInfo":{"name":"m"}}}'


@asynccontextmanager
async def serving(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/mcp", handler)
    async with serving_application(app, tls) as origin:
        yield f"{origin}/mcp"


async def test_an_answer_in_a_stream_is_found_behind_other_events() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b'id: 1\n\ndata: {"jsonrpc":"2.0","method":"notifications/progress"}\r\n\r\n')
        await response.write(b"event: message\ndata: " + HELLO + b"\n\n")
        await response.write(b": goes on\n\n")
        return response

    async with serving(handler) as url, McpClientSession(url) as session:
        assert (await session.initialize()).result is not None


async def test_the_session_is_named_in_what_follows_and_ended() -> None:
    seen: list[tuple[str, str | None, str | None]] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        seen.append((request.method, request.headers.get("Mcp-Session-Id"), request.headers.get("Authorization")))
        return web.Response(body=HELLO, content_type="application/json", headers={"Mcp-Session-Id": "s"})

    async with serving(handler) as url, McpClientSession(url, bearer="t") as session:
        await session.initialize()
    assert seen == [("POST", None, "Bearer t"), ("POST", "s", "Bearer t"), ("DELETE", "s", "Bearer t")]


async def test_a_redirect_is_not_followed_so_the_token_stays() -> None:
    asked: list[str] = []

    async def elsewhere(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        return web.Response()

    async with serving(elsewhere) as other:

        async def handler(request: web.Request) -> web.StreamResponse:
            return web.Response(status=307, headers={"Location": other})

        async with serving(handler) as url, McpClientSession(url, bearer="t") as session:
            assert (await session.initialize()).status == 307
    assert asked == []


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"error": 7}', b"\xff", b""])
async def test_what_is_no_message_is_an_answer_without_one(body: bytes) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(status=502, body=body)

    async with serving(handler) as url, McpClientSession(url) as session:
        reply = await session.initialize()
        assert (reply.status, reply.result, reply.error, reply.reason) == (502, None, {}, "")


async def test_an_answer_without_end_is_not_read_to_its_end() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while request.transport is not None and not request.transport.is_closing():
            await response.write(b" " * 1_000_000)
        return response

    async with serving(handler) as url, McpClientSession(url) as session:
        with pytest.raises(aiohttp.ClientPayloadError, match="larger than"):
            await session.initialize()


async def test_past_a_load_balancer_the_certificate_must_be_for_the_published_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_authority_and_server(tmp_path, names=["mcp.example.com"], addresses=[])
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.crt"))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(tmp_path / "server.crt", tmp_path / "server.key")
    hosts: list[str | None] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        hosts.append(request.headers.get("Host"))
        return web.Response(body=HELLO, content_type="application/json")

    async with serving(handler, tls) as url:
        async with McpClientSession(url, host="mcp.example.com:8443") as session:
            assert (await session.initialize()).result is not None
        async with McpClientSession(url, host="other.example.com") as session:
            with pytest.raises(aiohttp.ClientConnectorCertificateError, match=r"other\.example\.com"):
                await session.initialize()
    assert set(hosts) == {"mcp.example.com:8443"}
