"""The listener of a console: what a connection may take."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from ostiary_operator.console import server as console_server
from ostiary_operator.console.options import ConsoleOptions
from ostiary_operator.console.server import IDLE_SECONDS, ConsoleServer

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Pages:
    """An application whose handler a test holds."""

    def __init__(self) -> None:
        self.began = asyncio.Event()
        self.go = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def answer(self, request: web.Request) -> web.Response:
        self.began.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return web.Response(text="x" * int(request.query.get("size", "1")))


@asynccontextmanager
async def serving(pages: Pages) -> AsyncIterator[ConsoleServer]:
    application = web.Application()
    application.router.add_get("/", pages.answer)
    server = ConsoleServer(application, ConsoleOptions(port=0))
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


async def connect(server: ConsoleServer) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", server.port)


@pytest.mark.parametrize("sent", [b"", b"GET / HT", REQUEST[:-2] + b"X-Slow: "])
async def test_a_connection_that_does_not_finish_a_request_is_closed(sent: bytes) -> None:
    async with serving(Pages()) as server:
        reader, writer = await connect(server)
        writer.write(sent)
        await writer.drain()
        server.sweep(time.monotonic())
        await asyncio.sleep(0)
        assert not reader.at_eof()
        server.sweep(time.monotonic() + IDLE_SECONDS + 1)
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        writer.close()


async def test_a_request_that_is_handled_has_no_deadline_of_its_connection() -> None:
    pages = Pages()
    async with serving(pages) as server:
        reader, writer = await connect(server)
        writer.write(REQUEST)
        await pages.began.wait()
        server.sweep(time.monotonic() + IDLE_SECONDS + 1)
        pages.go.set()
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()


async def test_a_browser_that_does_not_read_is_disconnected() -> None:
    pages = Pages()
    pages.go.set()
    async with serving(pages) as server:
        reader, writer = await connect(server)
        writer.write(REQUEST.replace(b"GET / ", b"GET /?size=30000000 "))
        await pages.began.wait()
        await reader.readline()
        server.sweep(time.monotonic() + IDLE_SECONDS + 1)
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await reader.readexactly(30_000_000)
        writer.close()


async def test_connections_beyond_the_bound_are_closed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console_server, "MOST_CONNECTIONS", 1)
    pages = Pages()
    pages.go.set()
    async with serving(pages) as server:
        _, first = await connect(server)
        first.write(REQUEST)
        await pages.began.wait()
        reader, second = await connect(server)
        assert await reader.read() == b""
        for writer in (first, second):
            writer.close()


async def test_what_a_browser_no_longer_waits_for_is_not_finished() -> None:
    pages = Pages()
    async with serving(pages) as server:
        _, writer = await connect(server)
        writer.write(REQUEST)
        await pages.began.wait()
        writer.close()
        await pages.cancelled.wait()


async def test_a_port_that_is_taken_is_an_error() -> None:
    async with serving(Pages()) as server:
        other = ConsoleServer(web.Application(), ConsoleOptions(port=server.port))
        with pytest.raises(OSError, match="address already in use"):
            await other.start()


@pytest.mark.parametrize("header", ["X-Long: " + "a" * 9000, "\r\n".join(f"X-{i}: a" for i in range(70))])
async def test_long_heads_are_refused(header: str) -> None:
    pages = Pages()
    pages.go.set()
    async with serving(pages) as server:
        reader, writer = await connect(server)
        writer.write(f"GET / HTTP/1.1\r\nHost: localhost\r\n{header}\r\n\r\n".encode())
        assert b" 400 " in await reader.readline()
        writer.close()


async def test_it_answers_browsers() -> None:
    pages = Pages()
    pages.go.set()
    async with serving(pages) as server:
        url = f"http://127.0.0.1:{server.port}/"
        async with aiohttp.ClientSession() as http, http.get(url) as response:
            assert await response.text() == "x"


async def test_what_a_request_holds_that_cannot_be_read_is_not_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(Pages()) as server:
        reader, writer = await connect(server)
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization : Bearer canary-of-a-token\r\n\r\n")
        assert b"400 Bad Request" in await reader.read()
        writer.close()
    assert "a request cannot be read: BadHttpMessage" in caplog.text
    assert "canary" not in caplog.text
