"""Raw bytes to a port of loopback, for what no HTTP client would send."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from timeouts import TIMEOUT_SECONDS

_SECONDS = TIMEOUT_SECONDS


@dataclass(frozen=True, slots=True)
class RawReply:
    """One HTTP answer, its headers by lower-case name."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Wire:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        """Send bytes."""
        self.writer.write(data)
        await self.writer.drain()

    async def head(self) -> RawReply:
        """Read the head of an answer."""
        async with asyncio.timeout(_SECONDS):
            lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
        return RawReply(int(lines[0].split()[1]), headers, b"")

    async def reply(self) -> RawReply:
        """Read a whole answer with a Content-Length, or without a body."""
        head = await self.head()
        async with asyncio.timeout(_SECONDS):
            body = await self.reader.readexactly(int(head.headers.get("content-length", "0")))
        return RawReply(head.status, head.headers, body)

    async def closed(self) -> bool:
        """Wait until the other side closes; False if it says something instead."""
        async with asyncio.timeout(_SECONDS):
            try:
                return await self.reader.read(1) == b""
            except ConnectionResetError:
                return True


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Wire]:
    """A connection to a port of loopback."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Wire(reader, writer)
    finally:
        writer.close()


def post(path: str, body: bytes, *lines: str, host: str = "127.0.0.1", length: int | None = None) -> bytes:
    """The bytes of a POST with these further header lines; ``length`` replaces the true Content-Length, -1 omits it."""
    size = len(body) if length is None else length
    head = [f"POST {path} HTTP/1.1", f"Host: {host}", "Content-Type: application/json"]
    head += ["Accept: application/json, text/event-stream", *lines]
    if size >= 0:
        head.append(f"Content-Length: {size}")
    return "\r\n".join([*head, "", ""]).encode("utf-8", "surrogateescape") + body


async def exchange(port: int, data: bytes) -> RawReply:
    """Send bytes on a new connection and read one answer."""
    async with connected(port) as wire:
        await wire.send(data)
        return await wire.reply()
