"""A server's fault gives its caller one clear answer in bounded time, and affects no other."""

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from gateways import LONG_TIMEOUTS, SHORT_CONNECT_TIMEOUT, SHORT_TIMEOUTS, RunningGateway, running_gateway
from mcp_caller import McpCaller, Reply, legacy, mcp_caller, modern
from mcp_clients import eventually
from scripted_server import read_request, scripted
from timeouts import TIMEOUT_SECONDS
from upstreams import Arrived, answer, document, events, serving
from waiting import for_ever

from ostiary_core.contract.bounds import BoundsConfig
from ostiary_core.contract.documents import TimeoutsConfig

SMALL = BoundsConfig(
    request_bytes=1 << 16, message_bytes=1 << 16, requests_in_flight=50, streams=50, session_max_age=3_600_000
)
CALL = {"name": "get_users", "arguments": {}}
RESULT: dict[str, Any] = {"content": []}
#: The message to the caller for each code; never the upstream's own.
WORDS = {
    -31003: "The MCP server behind this gateway is unavailable",
    -31004: "The MCP server behind this gateway did not answer in time",
    -31005: "The MCP server behind this gateway gave an answer that is not valid MCP",
    -31006: "The answer of the MCP server behind this gateway is too large",
}

both_eras = pytest.mark.parametrize("era", ["legacy", "modern"])


@pytest.fixture
async def gateway() -> AsyncIterator[RunningGateway]:
    async with running_gateway(bounds=SMALL) as gateway:
        yield gateway


def call(era: str = "modern") -> dict[str, Any]:
    return (modern if era == "modern" else legacy)("tools/call", CALL, id=7)


def until(code: int) -> TimeoutsConfig:
    """How long to wait for a server whose fault has this code: where that is a timeout, a moment."""
    return SHORT_TIMEOUTS if code == -31004 else LONG_TIMEOUTS


async def call_via(gateway: RunningGateway, url: str, era: str = "modern", **entry: Any) -> Reply:
    """The response to a caller, long before the server's timeout, with nothing left in the gateway."""
    await gateway.apply(gateway.entry("mock", url, **entry))
    async with mcp_caller(gateway.url()) as caller:
        reply = await caller.post(call(era))
    await eventually(lambda: gateway.app.pipeline.limiter.requests == 0)
    return reply


def assert_error(reply: Reply, code: int, reason: str) -> None:
    assert reply.status == 200
    last = reply.messages[-1]
    words = last["error"].pop("message")
    assert last == {"jsonrpc": "2.0", "id": 7, "error": {"code": code, "data": {"reason": reason}}}
    assert words.startswith(f"{WORDS[code]}: ") if code == -31006 else words == WORDS[code]


# -- no connection


@both_eras
async def test_a_refused_connection(gateway: RunningGateway, era: str) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/mcp"
        assert_error(await call_via(gateway, url, era), -31003, "UpstreamUnreachable")


async def test_a_name_that_does_not_resolve(gateway: RunningGateway) -> None:
    assert_error(await call_via(gateway, "http://no-such-host.invalid/mcp"), -31003, "UpstreamUnreachable")


async def test_an_address_that_was_not_granted(gateway: RunningGateway) -> None:
    for url in ("http://127.0.0.1:1/mcp", "http://localhost:1/mcp", "http://169.254.169.254/mcp"):
        assert_error(await call_via(gateway, url, addresses=[]), -31003, "UpstreamAddressForbidden")


async def test_a_gateway_that_is_its_own_server_is_reported_as_a_loop_though_loopback_is_granted() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with running_gateway(port=port) as gateway:
        for host in ("127.0.0.1", "localhost"):
            error = (await call_via(gateway, f"http://{host}:{port}/mock/mcp")).error
            assert (error["code"], error["data"]) == (-31003, {"reason": "UpstreamLoop"})


@asynccontextmanager
async def deaf_port() -> AsyncIterator[int]:
    """A port whose backlog is full, so that a connection to it hangs."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        address = server.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(address)
        try:
            yield address[1]
        finally:
            for each in waiting:
                each.close()


async def test_a_connection_that_hangs(gateway: RunningGateway) -> None:
    async with deaf_port() as port:
        reply = await call_via(gateway, f"http://127.0.0.1:{port}/mcp", timeouts=SHORT_CONNECT_TIMEOUT)
    assert_error(reply, -31004, "UpstreamConnectTimeout")


async def test_tls_to_a_server_without_tls(gateway: RunningGateway) -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    async with scripted(plain) as port:
        assert_error(await call_via(gateway, f"https://127.0.0.1:{port}/mcp"), -31003, "UpstreamTLSFailed")


# -- bytes

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
EVENT = b': a comment\n\nevent: message\ndata: {"jsonrpc":"2.0","method":"notifications/message","params":{}}\n\n'


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


BYTES: dict[str, tuple[bytes, bool, int, str]] = {
    "closes without a byte": (b"", True, -31003, "UpstreamReset"),
    "hangs without a byte": (b"", False, -31004, "UpstreamTimeout"),
    "closes in the head": (b"HTTP/1.1 200 OK\r\nContent-", True, -31003, "UpstreamReset"),
    "hangs in the head": (b"HTTP/1.1 200 OK\r\nContent-", False, -31004, "UpstreamTimeout"),
    "closes in a document": (HEAD + b'Content-Length: 100\r\n\r\n{"jsonrpc":', True, -31003, "UpstreamReset"),
    "hangs in a document": (HEAD + b'Content-Length: 100\r\n\r\n{"jsonrpc":', False, -31004, "UpstreamTimeout"),
    "closes in a stream": (STREAM + chunk(EVENT), True, -31003, "UpstreamReset"),
    "hangs in a stream": (STREAM + chunk(EVENT), False, -31004, "UpstreamTimeout"),
    "closes within an event": (STREAM + chunk(EVENT + b'data: {"json'), True, -31003, "UpstreamReset"),
    "ends a stream without the answer": (STREAM + chunk(EVENT) + b"0\r\n\r\n", True, -31003, "UpstreamReset"),
    "breaks its framing": (STREAM + chunk(EVENT) + b"zzz\r\n", True, -31005, "UpstreamInvalidAnswer"),
    "speaks another protocol": (b"SSH-2.0-OpenSSH_9.9\r\n", True, -31005, "UpstreamInvalidAnswer"),
    "has a head without end": (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000, True, -31005, "UpstreamInvalidAnswer"),
    "contradicts itself on length": (
        HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        True,
        -31005,
        "UpstreamInvalidAnswer",
    ),
}


@both_eras
@pytest.mark.parametrize("name", BYTES)
async def test_a_server_that(gateway: RunningGateway, name: str, era: str) -> None:
    said, closes, code, reason = BYTES[name]

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(said)
        await writer.drain()
        if not closes:
            await reader.read()  # until the gateway hangs up

    async with scripted(script) as port:
        assert_error(await call_via(gateway, f"http://127.0.0.1:{port}/mcp", era, timeouts=until(code)), code, reason)


async def test_a_reset_in_the_middle(gateway: RunningGateway) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(STREAM + chunk(EVENT))
        await writer.drain()
        linger = (1).to_bytes(4, "little") + (0).to_bytes(4, "little")
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()

    async with scripted(script) as port:
        reply = await call_via(gateway, f"http://127.0.0.1:{port}/mcp")
    assert_error(reply, -31003, "UpstreamReset")


async def test_a_connection_that_died_idle_costs_no_call(gateway: RunningGateway) -> None:
    """The server closes after each answer without saying so; the next call must not run into the closed one."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, body = await read_request(reader)
        text = json.dumps({"jsonrpc": "2.0", "id": json.loads(body)["id"], "result": RESULT}).encode()
        writer.write(HEAD + b"Content-Length: %d\r\n\r\n" % len(text) + text)
        await writer.drain()

    async with scripted(script) as port, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", f"http://127.0.0.1:{port}/mcp"))
        for _ in range(20):
            assert (await caller.post(call())).result == RESULT
            await asyncio.sleep(0.005)


# -- HTTP

Responding = Callable[[Arrived], Awaitable[web.StreamResponse] | web.StreamResponse]
CHALLENGE = {"WWW-Authenticate": 'Bearer resource_metadata="https://evil.example"', "X-Secret": "words"}


def html(status: int, headers: dict[str, str] | None = None) -> Responding:
    def respond(arrived: Arrived) -> web.Response:
        return web.Response(
            status=status, text="<h1>secret words</h1>", content_type="text/html", headers={**(headers or {})}
        )

    return respond


def sending(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Responding:
    return lambda arrived: document(body(arrived) if callable(body) else body, status=status, headers=headers)


def good(arrived: Arrived) -> dict[str, Any]:
    return answer(arrived, RESULT)


ANSWERS: dict[str, tuple[Responding, int, str]] = {
    "401 with a challenge": (html(401, CHALLENGE), -31003, "UpstreamUnauthorized"),
    "401 as JSON": (sending({"error": "secret words"}, 401, CHALLENGE), -31003, "UpstreamUnauthorized"),
    "401 as JSON-RPC": (sending(good, 401, CHALLENGE), -31003, "UpstreamUnauthorized"),
    "403 with a challenge": (html(403, CHALLENGE), -31003, "UpstreamUnauthorized"),
    "403": (html(403), -31003, "UpstreamHostRefused"),
    "421": (html(421), -31003, "UpstreamHostRefused"),
    "407": (html(407), -31003, "UpstreamUnauthorized"),
    "301 elsewhere": (html(301, {"Location": "http://127.0.0.1:1/"}), -31005, "UpstreamRedirected"),
    "302 elsewhere": (html(302, {"Location": "http://169.254.169.254/"}), -31005, "UpstreamRedirected"),
    "307 to itself": (html(307, {"Location": "/mcp"}), -31005, "UpstreamRedirected"),
    "307 elsewhere": (html(307, {"Location": "http://127.0.0.1:1/mcp/"}), -31005, "UpstreamRedirected"),
    "308 to another scheme": (html(308, {"Location": "https://127.0.0.1/mcp/"}), -31005, "UpstreamRedirected"),
    "307 to nowhere": (html(307), -31005, "UpstreamRedirected"),
    "304": (html(304), -31005, "UpstreamRedirected"),
    "400 as HTML": (html(400), -31005, "UpstreamInvalidAnswer"),
    "404 as HTML": (html(404), -31005, "UpstreamInvalidAnswer"),
    "405": (html(405), -31005, "UpstreamInvalidAnswer"),
    "500 as HTML": (html(500), -31003, "UpstreamUnavailable"),
    "502 as HTML": (html(502), -31003, "UpstreamUnavailable"),
    "503 as JSON": (sending({"detail": "secret words"}, 503), -31003, "UpstreamUnavailable"),
    "500 as no JSON": (sending(b"secret words", 500), -31003, "UpstreamUnavailable"),
    "400 as JSON": (sending({"detail": "secret words"}, 400), -31005, "UpstreamInvalidAnswer"),
    "200 as HTML": (html(200), -31005, "UpstreamInvalidAnswer"),
    "200 and nothing": (sending(b""), -31005, "UpstreamInvalidAnswer"),
    "204": (lambda _: web.Response(status=204), -31005, "UpstreamInvalidAnswer"),
    "202": (lambda _: web.Response(status=202), -31005, "UpstreamInvalidAnswer"),
    "gzip": (sending(good, 200, {"Content-Encoding": "gzip"}), -31005, "UpstreamInvalidAnswer"),
    "br": (sending(good, 200, {"Content-Encoding": "br"}), -31005, "UpstreamInvalidAnswer"),
    "invalid JSON": (sending(b'{"jsonrpc":"2.0","id":7,"result":'), -31005, "UpstreamInvalidAnswer"),
    "a batch": (sending(lambda arrived: [good(arrived)]), -31005, "UpstreamInvalidAnswer"),
    "a number": (sending(b"7"), -31005, "UpstreamInvalidAnswer"),
    "another id": (sending({"jsonrpc": "2.0", "id": 8, "result": {}}), -31005, "UpstreamInvalidAnswer"),
    "an id of another type": (sending({"jsonrpc": "2.0", "id": True, "result": {}}), -31005, "UpstreamInvalidAnswer"),
    "no id": (sending({"jsonrpc": "2.0", "result": {}}), -31005, "UpstreamInvalidAnswer"),
    "a request": (sending({"jsonrpc": "2.0", "id": 7, "method": "ping"}), -31005, "UpstreamInvalidAnswer"),
    "result and error": (
        sending({"jsonrpc": "2.0", "id": 7, "result": {}, "error": {"code": 1, "message": ""}}),
        -31005,
        "UpstreamInvalidAnswer",
    ),
    "no object for a result": (sending({"jsonrpc": "2.0", "id": 7, "result": None}), -31005, "UpstreamInvalidAnswer"),
    "no object for an error": (sending({"jsonrpc": "2.0", "id": 7, "error": "no"}), -31005, "UpstreamInvalidAnswer"),
    "an error without a code": (
        sending({"jsonrpc": "2.0", "id": 7, "error": {"message": "no"}}),
        -31005,
        "UpstreamInvalidAnswer",
    ),
    "an error without words": (
        sending({"jsonrpc": "2.0", "id": 7, "error": {"code": -32000}}),
        -31005,
        "UpstreamInvalidAnswer",
    ),
    "another encoding": (
        sending(lambda arrived: json.dumps(good(arrived)).encode("utf-16")),
        -31005,
        "UpstreamInvalidAnswer",
    ),
    "events labelled as JSON": (sending(b"data: {}\n\n"), -31005, "UpstreamInvalidAnswer"),
    "too large": (sending(lambda arrived: answer(arrived, {"x": "y" * 70_000})), -31006, "UpstreamAnswerTooLarge"),
}


@both_eras
@pytest.mark.parametrize("name", ANSWERS)
async def test_an_answer_of(gateway: RunningGateway, name: str, era: str) -> None:
    responding, code, reason = ANSWERS[name]

    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        response = responding(arrived)
        return response if isinstance(response, web.StreamResponse) else await response

    async with serving(script) as upstream:
        reply = await call_via(gateway, upstream.url, era, timeouts=until(code))

    assert_error(reply, code, reason)
    assert "WWW-Authenticate" not in reply.headers
    assert b"secret" not in reply.body
    # Nothing is followed, and nothing is tried again; the server may be asked whether it speaks the other era.
    questions = ("server/discover", "initialize")
    assert [each.method for each in upstream.arrived if each.method not in questions] == ["tools/call"]


async def test_an_overloaded_server_says_when_to_come_again(gateway: RunningGateway) -> None:
    for status, header, wait in ((503, "7", 7000), (429, "0", 0), (503, "999999", 3_600_000), (503, "-1", None)):

        async def script(
            request: web.BaseRequest, arrived: Arrived, status: int = status, header: str = header
        ) -> web.StreamResponse:
            return web.Response(status=status, headers={"Retry-After": header})

        async with serving(script) as upstream:
            data = (await call_via(gateway, upstream.url)).error["data"]
        assert data == {"reason": "UpstreamUnavailable", **({"retryAfterMs": wait} if wait is not None else {})}


async def test_a_compressed_bomb_is_not_unpacked(gateway: RunningGateway) -> None:
    import gzip  # noqa: PLC0415  for this one

    bomb = gzip.compress(b"x" * (64 << 20))

    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        return web.Response(body=bomb, headers={"Content-Type": "application/json", "Content-Encoding": "gzip"})

    async with serving(script) as upstream:
        assert_error(await call_via(gateway, upstream.url), -31005, "UpstreamInvalidAnswer")
    assert upstream.arrived[0].headers["Accept-Encoding"] == "identity"


# -- events


def data(message: Any) -> bytes:
    return b"data: " + json.dumps(message).encode() + b"\n\n"


NOTICE = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": "before"}}
GOOD = {"jsonrpc": "2.0", "id": 7, "result": RESULT}
OTHER = {"jsonrpc": "2.0", "id": 8, "result": {"for": "another"}}
EVENTS: dict[str, tuple[bytes, int, str]] = {
    "nothing": (b"", -31003, "UpstreamReset"),
    "a notice only": (data(NOTICE), -31003, "UpstreamReset"),
    "no JSON": (data(NOTICE) + b"data: {not json}\n\n", -31005, "UpstreamInvalidAnswer"),
    "a batch": (data([GOOD]), -31005, "UpstreamInvalidAnswer"),
    "the answer to another request": (data(OTHER), -31005, "UpstreamInvalidAnswer"),
    "an answer with an id of another type": (data({**GOOD, "id": True}), -31005, "UpstreamInvalidAnswer"),
    "too large an event": (data(NOTICE) + b"data: " + b"x" * 70_000, -31006, "UpstreamAnswerTooLarge"),
    "too large an answer": (data({**GOOD, "x": "y" * 70_000}), -31006, "UpstreamAnswerTooLarge"),
}


@both_eras
@pytest.mark.parametrize("name", EVENTS)
async def test_a_stream_of(gateway: RunningGateway, name: str, era: str) -> None:
    said, code, reason = EVENTS[name]

    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        async with events(request) as stream:
            await stream.raw(said)
        return stream.response

    async with serving(script) as upstream:
        reply = await call_via(gateway, upstream.url, era, timeouts=until(code))

    assert_error(reply, code, reason)
    assert reply.headers["Content-Type"] == "text/event-stream"
    if said.startswith(data(NOTICE)):
        assert reply.messages[0] == NOTICE  # what came before the fault is not lost with it


async def answers_of(gateway: RunningGateway, said: bytes, era: str = "modern") -> list[dict[str, Any]]:
    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        async with events(request) as stream:
            await stream.raw(said)
        return stream.response

    async with serving(script) as upstream:
        return (await call_via(gateway, upstream.url, era)).messages


@both_eras
async def test_of_two_answers_the_first_counts(gateway: RunningGateway, era: str) -> None:
    second = {**GOOD, "result": {"second": True}}

    assert await answers_of(gateway, data(GOOD) + data(second), era) == [GOOD]
    assert await answers_of(gateway, data(NOTICE) + data(GOOD) + data(NOTICE) + data(second), era) == [
        NOTICE,
        GOOD,
        NOTICE,
    ]


@both_eras
async def test_the_answer_to_another_request_is_dropped_where_the_right_one_follows(
    gateway: RunningGateway, era: str
) -> None:
    assert await answers_of(gateway, data(OTHER) + data(GOOD), era) == [GOOD]


@both_eras
async def test_in_an_event_of_another_kind_there_is_no_answer(gateway: RunningGateway, era: str) -> None:
    other_kind = b"event: draft\n" + data({**GOOD, "result": {"draft": True}})

    assert (await answers_of(gateway, other_kind + data(GOOD), era))[-1] == GOOD
    assert (await answers_of(gateway, other_kind, era))[-1]["error"]["code"] == -31003


@both_eras
async def test_data_after_the_response_does_not_change_it(gateway: RunningGateway, era: str) -> None:
    assert await answers_of(gateway, data(GOOD) + b"data: {garbage\n\n", era) == [GOOD]
    assert await answers_of(gateway, data(GOOD) + b"data: " + b"x" * 70_000, era) == [GOOD]


async def test_a_legacy_stream_that_can_be_resumed_ends_without_an_error_of_ours(gateway: RunningGateway) -> None:
    resumable = b"id: 1\ndata:\n\n" + data(NOTICE)

    assert await answers_of(gateway, resumable, "legacy") == [NOTICE]
    assert [m.get("id") for m in await answers_of(gateway, resumable, "modern")] == [None, 7]
    # Clients ignore an id with NUL in it (HTML specification, Server-sent events), so they could not resume.
    assert [m.get("id") for m in await answers_of(gateway, resumable.replace(b"1", b"1\0"), "legacy")] == [None, 7]
    # An id in the text of a message is none of the stream.
    spoken = {**NOTICE, "params": {"data": "id: 1 grid: 2"}}
    assert [m.get("id") for m in await answers_of(gateway, data(spoken), "legacy")] == [None, 7]


async def test_an_endless_stream_of_notices_is_passed_on_and_never_kept(gateway: RunningGateway) -> None:
    sent = 0

    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        nonlocal sent
        async with events(request) as stream:
            while True:
                await stream.send({**NOTICE, "padding": "x" * 10_000})
                sent += 1
        return stream.response

    async with serving(script) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url))
        async with caller.stream(call()) as stream:
            for _ in range(1000):
                assert (await stream.message())["method"] == "notifications/message"
            stream.drop()
        await asyncio.wait_for(upstream.arrived[0].gone.wait(), TIMEOUT_SECONDS)


INITIALIZE = legacy("initialize", {"protocolVersion": "2025-11-25", "capabilities": {}}, id=7)


async def initialized(
    gateway: RunningGateway, script: Callable[[web.BaseRequest, Arrived], Awaitable[web.StreamResponse]]
) -> Reply:
    async with serving(script) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url))
        return await caller.post(INITIALIZE)


@pytest.mark.parametrize("revision", ["2026-07-28", "1999-01-01", "", None, 5, ["2025-11-25"]])
async def test_a_server_that_negotiates_a_revision_without_a_handshake(gateway: RunningGateway, revision: Any) -> None:
    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        return document(answer(arrived, {"protocolVersion": revision}), headers={"Mcp-Session-Id": "s"})

    assert_error(await initialized(gateway, script), -31005, "UpstreamInvalidAnswer")


@pytest.mark.parametrize("session", ["", "with space", "é", "x" * 5000])
async def test_a_server_whose_session_id_is_none(gateway: RunningGateway, session: str) -> None:
    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        return document(answer(arrived, {"protocolVersion": "2025-11-25"}), headers={"Mcp-Session-Id": session})

    assert_error(await initialized(gateway, script), -31005, "UpstreamInvalidAnswer")


async def test_what_is_buffered_before_the_initialize_response_is_bounded(gateway: RunningGateway) -> None:
    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        async with events(request) as stream:
            for _ in range(100):
                await stream.send({**NOTICE, "padding": "x" * 10_000})
            await for_ever()
        return stream.response

    assert_error(await initialized(gateway, script), -31006, "UpstreamAnswerTooLarge")


async def test_a_stream_that_ends_before_the_initialize_response_becomes_a_json_error(
    gateway: RunningGateway,
) -> None:
    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        async with events(request) as stream:
            await stream.send(NOTICE)
        return stream.response

    reply = await initialized(gateway, script)
    assert_error(reply, -31003, "UpstreamReset")
    assert reply.headers["Content-Type"] == "application/json"


# -- others


async def test_a_dead_server_does_not_slow_the_others(gateway: RunningGateway) -> None:
    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        return document(answer(arrived, RESULT))

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serving(script) as upstream, scripted(hang) as port:
        await gateway.apply(gateway.entry("dead", f"http://127.0.0.1:{port}/mcp"), gateway.entry("mock", upstream.url))
        async with mcp_caller(gateway.url("dead")) as unlucky, mcp_caller(gateway.url()) as caller:
            waiting = [asyncio.create_task(post(unlucky)) for _ in range(30)]
            await eventually(lambda: gateway.app.pipeline.limiter.requests == 30)
            for _ in range(20):
                assert (await caller.post(call())).result == RESULT
            assert not any(task.done() for task in waiting)
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)


async def test_names_that_do_not_resolve_do_not_slow_the_others(
    gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, resolve, threads = threading.Event(), socket.getaddrinfo, set()

    def silent(host: str, *args: Any, **more: Any) -> Any:
        if not str(host).endswith(".example"):
            return resolve(host, *args, **more)
        threads.add(threading.current_thread())
        release.wait()
        raise socket.gaierror(socket.EAI_AGAIN, "no answer")

    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        return document(answer(arrived, RESULT))

    monkeypatch.setattr("socket.getaddrinfo", silent)
    names = [f"dead-{number}" for number in range(20)]
    async with serving(script) as upstream, AsyncExitStack() as stack:
        stack.callback(release.set)
        url = upstream.url.replace("127.0.0.1", "localhost")
        dead = [gateway.entry(name, f"http://{name}.example/mcp", timeouts=SHORT_CONNECT_TIMEOUT) for name in names]
        await gateway.apply(*dead, gateway.entry("mock", url))
        unlucky = [await stack.enter_async_context(mcp_caller(gateway.url(name))) for name in names]
        for _ in range(3):
            for reply in await asyncio.gather(*map(post, unlucky)):
                assert_error(reply, -31004, "UpstreamConnectTimeout")
        assert len(threads) == len(names), "one look-up of a name at a time"
        async with mcp_caller(gateway.url()) as caller:
            assert (await caller.post(call())).result == RESULT


async def post(caller: McpCaller) -> Reply:
    return await caller.post(call())


@pytest.mark.parametrize(
    ("method", "params", "sent"),
    [
        *[(name, {}, 3) for name in ("tools/list", "resources/list", "prompts/list", "server/discover")],
        ("resources/read", {"uri": "file:///a"}, 3),
        ("tools/call", CALL, 2),
    ],
)
async def test_on_a_kept_connection_that_ends_reads_are_sent_once_more_and_calls_never(
    gateway: RunningGateway, method: str, params: dict[str, Any], sent: int
) -> None:
    arrived: list[str] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        is_first = not arrived
        while True:
            _, body = await read_request(reader)
            arrived.append(json.loads(body)["method"])
            if is_first and len(arrived) > 1:
                return
            text = json.dumps({"jsonrpc": "2.0", "id": json.loads(body)["id"], "result": RESULT}).encode()
            writer.write(HEAD + b"Content-Length: %d\r\n\r\n" % len(text) + text)

    async with scripted(script) as port, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", f"http://127.0.0.1:{port}/mcp"))
        assert (await caller.post(call())).result == RESULT
        reply = (await caller.post(modern(method, params, id=8))).json
    assert ("result" in reply) is (sent == 3)
    assert arrived == ["tools/call", *[method] * (sent - 1)]
