"""Many callers that disconnect anywhere and a server that does anything: afterwards nothing of them is left.

Whatever an early exit forgets to release (a count, an id, a connection, a task) is found here, by numbers and not by
examples. The response to each of them is tested elsewhere.
"""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest
from gateways import BOUNDS, RunningGateway, policy, running_gateway
from mcp_caller import legacy, modern
from mcp_clients import eventually
from scripted_server import read_request, scripted
from wire import post

from ostiary_core.contract.bounds import ServerShareConfig, ShareConfig
from ostiary_core.contract.documents import TimeoutsConfig

SECONDS: Final = 6.0
#: Calls that must be served before it ends, however long that takes.
ENOUGH: Final = 100
AT_ONCE: Final = 40
SHORT: Final = TimeoutsConfig(connect=200, request=400, idle=400)
NARROW: Final = BOUNDS.model_copy(
    update={
        "bytes_in_flight": 3 << 20,
        "per_proxy": ShareConfig(bytes_in_flight=2 << 20, requests_in_flight=30, streams=15),
        "per_server": ServerShareConfig(connections=15),
    }
)
STREAM: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
NOTICE: Final = b'data: {"jsonrpc":"2.0","method":"notifications/message","params":{"data":"' + b"x" * 200 + b'"}}\n\n'
LISTEN: Final = {"notifications": {"toolsListChanged": True}}


class Chaos:
    """Decides everything, from one seed."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)  # noqa: S311  no secret, but the same again for the same seed
        self.sessions: list[str] = []
        self.served = 0

    def chance(self, share: float) -> bool:
        return self.dice.random() < share

    # The server

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            _, body = await read_request(reader)
            self.served += 1
            await asyncio.sleep(self.dice.choice([0, 0, 0, 0.01, 0.05]))
            message = json.loads(body) if body else {}
            if message.get("method") == "initialize":
                writer.write(self.handshake(message))
            elif not body or message["method"] == "subscriptions/listen" or self.chance(0.35):
                if await self.events(writer, message):
                    return
            elif self.document(writer, message):
                return
            await writer.drain()
            if self.chance(0.1):
                return

    def handshake(self, message: dict[str, Any]) -> bytes:
        result = {"protocolVersion": "2025-06-18", "capabilities": {}, "serverInfo": {"name": "x", "version": "1"}}
        session = f"Mcp-Session-Id: s{self.dice.randrange(5)}\r\n".encode()
        return whole(200, json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}).encode(), session)

    def answer(self, message: dict[str, Any]) -> bytes:
        text = "y" * self.dice.choice([1, 100, 10_000, 200_000, 700_000])
        result = {"tools": [{"name": "ok"}, {"name": "hidden"}], "content": [{"type": "text", "text": text}]}
        return json.dumps({"jsonrpc": "2.0", "id": message.get("id"), "result": result}).encode()

    async def events(self, writer: asyncio.StreamWriter, message: dict[str, Any]) -> bool:
        """Stream; return whether the connection is over."""
        writer.write(STREAM + chunk(NOTICE * self.dice.choice([1, 5, 400])))
        await writer.drain()
        await asyncio.sleep(self.dice.random() * 0.2)
        event = b"data: %b\n\n" % self.answer(message) if self.chance(0.8) else b"data: {garbage\n\n"
        writer.write(chunk(event))
        if self.chance(0.2):
            writer.transport.abort()
            return True
        writer.write(b"0\r\n\r\n")
        return False

    def document(self, writer: asyncio.StreamWriter, message: dict[str, Any]) -> bool:
        """Answer, or do something else; return whether the connection is over."""
        text = whole(200, self.answer(message))
        match self.dice.randrange(8):
            case 0:
                writer.transport.abort()
            case 1:
                writer.write(text[: self.dice.randrange(300)])
            case 2:
                writer.write(text + b"HTTP/1.1 200 OK\r\n")
                return False
            case 3:
                writer.write(whole(self.dice.choice([202, 302, 400, 404, 500, 503]), b"x"))
                return False
            case _:
                writer.write(text)
                return False
        return True

    # The callers

    def request(self) -> bytes:
        path = self.dice.choice(["/mock/mcp", "/ruled/mcp"])
        lines = [f"Mcp-Session-Id: {self.dice.choice(self.sessions)}"] if self.sessions and self.chance(0.5) else []
        number, pad = self.dice.randrange(3), "z" * self.dice.choice([1, 70_000, 300_000])
        get = [f"GET {path} HTTP/1.1", "Host: localhost", "Accept: text/event-stream", *lines, "", ""]
        opening = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {}}
        kinds = [
            "\r\n".join(get).encode(),
            sent("/mock/mcp", legacy("initialize", opening)),
            sent(path, modern("subscriptions/listen", LISTEN)),
            sent(path, legacy("tools/list", {}, id=number), *lines),
            sent(path, legacy("tools/call", {"name": "ok", "pad": pad}, id=number), *lines),
            post(path, b"x" * 1000),
            sent(path, modern("tools/call", {"name": "ok", "arguments": {}}, id=number)),
        ]
        return self.dice.choice(kinds)

    async def call(self, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            for _ in range(self.dice.choice([1, 1, 3])):
                data = self.request()
                writer.write(data[: self.dice.randrange(len(data))] if self.chance(0.15) else data)
                if self.chance(0.3):
                    break
                await self.read(reader)
        except (ConnectionError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            if self.chance(0.5):
                writer.transport.abort()
            writer.close()

    async def read(self, reader: asyncio.StreamReader) -> None:
        async with asyncio.timeout(self.dice.choice([0.001, 0.01, 0.05, 0.5])):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            found = [line.partition(": ")[2] for line in head.split("\r\n") if line.startswith("Mcp-Session-Id")]
            self.sessions = (self.sessions + found)[-10:]
            while self.chance(0.9) and await reader.read(1 << 16):
                pass


def whole(status: int, body: bytes, more: bytes = b"") -> bytes:
    head = b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%b\r\n"
    return head % (status, len(body), more) + body


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def sent(path: str, message: dict[str, Any], *lines: str) -> bytes:
    if "_meta" in message.get("params", {}):
        lines = (*lines, "MCP-Protocol-Version: 2026-07-28", f"Mcp-Method: {message['method']}")
        if "name" in message["params"]:
            lines = (*lines, f"Mcp-Name: {message['params']['name']}")
    return post(path, json.dumps(message).encode(), *lines)


@asynccontextmanager
async def narrow_gateway(port: int) -> AsyncIterator[RunningGateway]:
    async with running_gateway(bounds=NARROW) as gateway:
        await configure(gateway, port, "first")
        yield gateway


async def configure(gateway: RunningGateway, port: int, rule: str) -> None:
    url = f"http://127.0.0.1:{port}/mcp"
    allow = policy("p", {"name": rule, "effect": "Allow", "tools": {"names": ["ok*"]}})
    await gateway.apply(
        gateway.entry("mock", url, timeouts=SHORT), gateway.entry("ruled", url, [allow], timeouts=SHORT)
    )


def left(gateway: RunningGateway) -> dict[str, Any]:
    """Whatever is still counted, open or waiting."""
    line, pools = gateway.app.pipeline, gateway.app.pools
    counters = [line.limiter.total, *line.limiter.sources.by_key.values(), *line.limiter.proxies.by_key.values()]
    servers = [*pools._servers.values(), *pools._retiring]
    routes = [endpoint.route.pool for server in servers for endpoint in server._each]
    found = {
        "tallies": sum(t.requests + t.streams + t.bytes + t.connections + t.uploads for t in counters),
        "sources": len(line.limiter.sources.by_key),
        "ids": len(line.request_ids),
        "streams": len(line.streams._streams),
        "connections": len(gateway.app._data.connections),
        "in use": sum(server._in_use for server in servers),
        "dialing": sum(pool._dialing + len(pool._waiters) for pool in routes),
        "busy": sum(len(pool._all) - len(pool._idle) for pool in routes),
        "deadlines": sum(len(pool._deadlines._waiting) for pool in routes),
        "answering": sum("_answer" in repr(task.get_coro()) for task in asyncio.all_tasks()),
    }
    return {name: count for name, count in found.items() if count > 0}


@pytest.mark.parametrize("seed", [1])
async def test_callers_and_servers_that_disconnect_anywhere_leave_nothing_behind(
    seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    chaos, calls, reloads = Chaos(seed), 0, 0
    async with scripted(chaos.serve) as port, narrow_gateway(port) as gateway:
        end = asyncio.get_running_loop().time() + SECONDS
        calling: set[asyncio.Task[None]] = set()
        while asyncio.get_running_loop().time() < end or chaos.served <= ENOUGH:
            while len(calling) < AT_ONCE:
                calling.add(asyncio.create_task(chaos.call(gateway.app.port)))
                calls += 1
            done, calling = await asyncio.wait(calling, return_when=asyncio.FIRST_COMPLETED)
            for each in done:
                each.result()
            if calls // 300 > reloads:
                reloads += 1
                await configure(gateway, port, f"rule-{reloads}")
        await asyncio.gather(*calling)
        await eventually(lambda: not left(gateway))
    assert not [r for r in caplog.records if r.levelname in ("ERROR", "CRITICAL") and r.name.startswith("ostiary")]
