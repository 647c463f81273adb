"""An MCP server that records the bytes of each request, and a gateway in front of it.

Requests are cut as RFC 9112 has it and in no other way, so bytes that a gateway framed otherwise than it judged them
show as an additional request.
"""

import asyncio
import json
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from gateways import RunningGateway, policy, running_gateway

from ostiary_core.contract.documents import PolicyDocument


@dataclass(frozen=True, slots=True)
class Received:
    """One request: its first line, its headers as they came, and its body."""

    line: bytes
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def all(self, name: str) -> list[str]:
        """The values of a header, by its lower-case name."""
        return [value for key, value in self.headers if key.lower() == name]


@dataclass(slots=True)
class RecordingUpstream:
    """A gateway and its upstream in a loop of their own, for many examples."""

    runner: asyncio.Runner = field(default_factory=asyncio.Runner)
    received: list[Received] = field(default_factory=list)
    broken: list[bytes] = field(default_factory=list)
    gateway: RunningGateway = field(init=False)
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def open(self, *policies: PolicyDocument) -> None:
        """Start both."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._stack.callback(server.close)
        self.gateway = await self._stack.enter_async_context(running_gateway(drain_seconds=0.1))
        port = server.sockets[0].getsockname()[1]
        await self.gateway.apply(self.gateway.entry("mock", f"http://127.0.0.1:{port}/mcp", policies))

    async def close(self) -> None:
        """Stop both."""
        await self._stack.aclose()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                line, *lines = head[:-4].split(b"\r\n")
                headers = tuple(_header(each) for each in lines)
                lengths = [value for name, value in headers if name.lower() == "content-length"]
                if len(lengths) > 1 or not all(value.isdecimal() for value in lengths):
                    self.broken.append(head)
                    return
                body = await reader.readexactly(int(lengths[0]) if lengths else 0)
                self.received.append(Received(line, headers, body))
                writer.write(_answer(body))
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        except (ValueError, asyncio.LimitOverrunError) as error:
            self.broken.append(repr(error).encode())
        finally:
            writer.close()

    def send(self, pieces: Sequence[bytes]) -> tuple[bytes, list[Received]]:
        """Send bytes on a connection of their own; return what the gateway said and what reached the upstream."""
        return self.runner.run(self._send(pieces))

    async def _send(self, pieces: Sequence[bytes]) -> tuple[bytes, list[Received]]:
        before = len(self.received)
        reader, writer = await asyncio.open_connection("127.0.0.1", self.gateway.app.port)
        content = b""
        try:
            for piece in pieces:
                writer.write(piece)
                await asyncio.sleep(0)
            # A request that is not whole is never answered, and one that is whole is within the time of this loop. Were
            # it not, what it does would be seen by the next example: a slow machine hides nothing.
            while chunk := await asyncio.wait_for(reader.read(65536), 0.02 if content else 0.1):
                content += chunk
        except (TimeoutError, ConnectionError):
            pass
        finally:
            writer.close()
        return content, self.received[before:]


def _header(line: bytes) -> tuple[str, str]:
    name, value = line.decode("latin-1").split(": ", 1)
    return name, value


def _answer(body: bytes) -> bytes:
    try:
        message = json.loads(body)
    except ValueError:
        message = None
    identifier = message.get("id") if isinstance(message, dict) else None
    if identifier is None:
        return b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
    text = json.dumps({"jsonrpc": "2.0", "id": identifier, "result": {}}).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(text) + text


@contextmanager
def recording_upstream(*rules: dict[str, Any]) -> Iterator[RecordingUpstream]:
    """A gateway with one policy of these rules at ``/mock/mcp``, and its upstream."""
    made = RecordingUpstream()
    made.runner.run(made.open(policy("p", *rules)))
    try:
        yield made
    finally:
        made.runner.run(made.close())
        made.runner.close()
