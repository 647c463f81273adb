"""A server may hang at any stage of an exchange: its caller gets an error in time."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from gateways import LONG_TIMEOUTS, SHORT_CONNECT_TIMEOUT, SHORT_TIMEOUTS, RunningGateway, running_gateway
from mcp_caller import LEGACY, Reply, mcp_caller, modern
from mcp_clients import eventually
from scripted_server import read_request, scripted
from timeouts import TIMEOUT_SECONDS
from waiting import for_ever

from ostiary_core.contract.documents import TimeoutsConfig

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
JSON_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
EVENTS_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
NOTICE = b'data: {"jsonrpc":"2.0","method":"notifications/message","params":{}}\n\n'


@pytest.fixture
async def gateway() -> AsyncIterator[RunningGateway]:
    async with running_gateway() as gateway:
        yield gateway


async def call_via(
    gateway: RunningGateway,
    script: Script,
    *,
    scheme: str = "http",
    padding: int = 0,
    timeouts: TimeoutsConfig = SHORT_TIMEOUTS,
    protocol_version: str | None = None,
) -> Reply:
    """The response to a caller, with nothing left in flight."""
    async with scripted(script) as port, mcp_caller(gateway.url()) as caller:
        server = {"timeouts": timeouts, "protocol_version": protocol_version}
        await gateway.apply(gateway.entry("mock", f"{scheme}://127.0.0.1:{port}/mcp", server=server))
        async with asyncio.timeout(TIMEOUT_SECONDS):
            reply = await caller.post(modern("tools/call", {"name": "x", "arguments": {"x": "y" * padding}}, id=7))
        await eventually(lambda: gateway.app.pipeline.limiter.requests == 0)
    return reply


def assert_error(reply: Reply, code: int, reason: str) -> None:
    assert (reply.status, reply.messages[-1]["id"]) == (200, 7)
    assert (reply.error["code"], reply.error["data"]) == (code, {"reason": reason})


async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await for_ever()


def saying(*pieces: bytes, every: float | None = None) -> Script:
    """Read the request, send the pieces, then repeat the last one, or hang until the gateway disconnects."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        for piece in pieces:
            writer.write(piece)
        await writer.drain()
        while every is not None:
            writer.write(pieces[-1])
            await writer.drain()
            await asyncio.sleep(every)
        await reader.read()

    return script


async def test_in_the_tls_handshake(gateway: RunningGateway) -> None:
    assert_error(
        await call_via(gateway, hang, scheme="https", timeouts=SHORT_CONNECT_TIMEOUT),
        -31004,
        "UpstreamConnectTimeout",
    )


@pytest.mark.parametrize("padding", [0, 900_000])
async def test_without_reading_the_request(gateway: RunningGateway, padding: int) -> None:
    assert_error(await call_via(gateway, hang, padding=padding), -31004, "UpstreamTimeout")


STAGES = {
    "before the status line": saying(b""),
    "within the status line": saying(b"HTTP/1.1 2"),
    "within the headers": saying(JSON_HEAD),
    "behind the headers of a document": saying(JSON_HEAD + b"Content-Length: 9\r\n\r\n"),
    "within a document": saying(JSON_HEAD + b'Content-Length: 9\r\n\r\n{"a":'),
    "within the chunks of a document": saying(JSON_HEAD + b'Transfer-Encoding: chunked\r\n\r\n5\r\n{"a":\r\n'),
    "within the size of a chunk": saying(JSON_HEAD + b"Transfer-Encoding: chunked\r\n\r\n5"),
    "before the first event": saying(EVENTS_HEAD),
    "within an event": saying(EVENTS_HEAD + b"6\r\ndata: \r\n"),
    "between two events": saying(EVENTS_HEAD + b"%x\r\n%b\r\n" % (len(NOTICE), NOTICE)),
    "behind an interim answer": saying(b"HTTP/1.1 100 Continue\r\n\r\n"),
}


@pytest.mark.parametrize("stage", STAGES)
async def test_a_server_that_hangs(gateway: RunningGateway, stage: str) -> None:
    assert_error(await call_via(gateway, STAGES[stage]), -31004, "UpstreamTimeout")


DAWDLING = {
    "with a byte of its headers from time to time": saying(b"HTTP/1.1 200 OK\r\nX: ", b"x", every=0.02),
    "with a header from time to time": saying(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n", every=0.02),
    "with interim answers from time to time": saying(b"HTTP/1.1 102 Processing\r\n\r\n", every=0.02),
}


@pytest.mark.parametrize("how", DAWDLING)
async def test_a_server_that_dawdles(gateway: RunningGateway, how: str) -> None:
    reply = await call_via(gateway, DAWDLING[how])

    assert reply.error["code"] in {-31004, -31005}


async def test_a_document_that_comes_byte_by_byte_has_a_bound_in_all(gateway: RunningGateway) -> None:
    dribbling = saying(JSON_HEAD + b"Content-Length: 100000\r\n\r\n{", b" ", every=0.02)

    assert_error(await call_via(gateway, dribbling), -31004, "UpstreamTimeout")


async def test_a_document_for_another_era_has_the_same_bound(gateway: RunningGateway) -> None:
    session = {"protocolVersion": LEGACY, "capabilities": {}, "serverInfo": {"name": "up", "version": "1"}}
    is_called = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            message = json.loads((await read_request(reader))[1])
            if message["method"] == "tools/call":
                break
            text = json.dumps({"jsonrpc": "2.0", "id": message.get("id"), "result": session}).encode()
            document = JSON_HEAD + b"Content-Length: %d\r\n\r\n" % len(text) + text
            writer.write(document if "id" in message else b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
        is_called.set()
        writer.write(JSON_HEAD + b"Content-Length: 100000\r\n\r\n{")
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.02)

    # Its handshake must fit as well, on a machine that does much else.
    timeouts = SHORT_TIMEOUTS.model_copy(update={"idle": 60_000, "request": 3_000})
    reply = await call_via(gateway, script, timeouts=timeouts, protocol_version=LEGACY)
    assert_error(reply, -31004, "UpstreamTimeout")
    assert is_called.is_set()


FLOODS = {
    "headers": saying(b"HTTP/1.1 200 OK\r\n", b"X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n" * 100, every=0),
    "one header": saying(b"HTTP/1.1 200 OK\r\nX: ", b"y" * 4096, every=0),
    "interim answers": saying(b"HTTP/1.1 102 Processing\r\n\r\n" * 100, every=0),
    "trailers": saying(JSON_HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n" * 100, every=0),
    "extensions of a chunk": saying(JSON_HEAD + b"Transfer-Encoding: chunked\r\n\r\n5;", b"x" * 4096, every=0),
    "a document": saying(
        JSON_HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1000\r\n" + b" " * 4096 + b"\r\n", every=0
    ),
    "an event": saying(EVENTS_HEAD + b"1\r\n:\r\n", b"1000\r\n" + b"x" * 4096 + b"\r\n", every=0),
}


@pytest.mark.parametrize("what", FLOODS)
async def test_a_server_that_sends_without_end(gateway: RunningGateway, what: str) -> None:
    reply = await call_via(gateway, FLOODS[what])

    assert reply.error["code"] in {-31003, -31004, -31005, -31006}
    assert reply.error["data"]["reason"].startswith("Upstream")


@pytest.mark.parametrize("padding", [100, 900_000])
async def test_the_response_of_a_server_that_has_not_read_the_request_is_relayed(
    gateway: RunningGateway, padding: int
) -> None:
    text = json.dumps({"jsonrpc": "2.0", "id": 7, "result": {}}).encode()

    async def early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(JSON_HEAD + b"Content-Length: %d\r\n\r\n" % len(text) + text)
        await writer.drain()
        await reader.read()

    assert (await call_via(gateway, early, padding=padding, timeouts=LONG_TIMEOUTS)).result == {}


async def test_after_a_server_that_answered_before_it_had_read_the_next_caller_is_answered(
    gateway: RunningGateway,
) -> None:
    never = asyncio.Event()  # held here: a task that waits for an event that no one else knows is garbage

    async def early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        text = json.dumps({"jsonrpc": "2.0", "id": 7, "result": {}}).encode()
        writer.write(JSON_HEAD + b"Content-Length: %d\r\n\r\n" % len(text) + text)
        await writer.drain()
        await never.wait()

    async with scripted(early) as port, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", f"http://127.0.0.1:{port}/mcp"))
        for padding in (900_000, 0):
            reply = await caller.post(modern("tools/call", {"name": "x", "arguments": {"x": "y" * padding}}, id=7))
            assert reply.result == {}
