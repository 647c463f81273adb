"""Endpoints of one MCP server that fail at any point of an exchange, and tell what they were sent.

async with faulty_endpoints(2) as server:
    server.plan(Fault.RESET, Fault.NONE)      # for the next requests, whichever endpoint gets them
    await gateway.apply(gateway.entry("mock", server.url, server=server.document(retry)))
    …
    assert server.count("tools/call") == 1    # how often it was received whole, and so carried out
"""

import asyncio
import json
import socket
from collections import deque
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from scripted_server import read_request, scripted


class Fault(StrEnum):
    """What an endpoint does with a request."""

    NONE = "answer"
    EVENTS = "answer in a stream"
    # Without carrying the request out:
    CLOSE_UNREAD = "close unread"
    FORGOTTEN = "404 for a session that it knew"
    # Once it has carried the request out:
    RESET = "close without a byte"
    HANG = "send nothing"
    HALF_HEAD = "close within the head"
    NO_BODY = "close after the head"
    HALF_BODY = "close within the body"
    NO_EVENT = "close after the head of a stream"
    COMMENT = "close a stream after a comment"
    HALF_EVENT = "close within the first event"
    PROGRESS = "close a stream after a notification"
    BAD_GATEWAY = "502"
    UNAVAILABLE = "503"
    UNAVAILABLE_JSON = "503 with a JSON-RPC error"
    GATEWAY_TIMEOUT = "504"
    SERVER_ERROR = "500"
    OVERLOAD = "429"
    NOT_HTTP = "bytes that are not HTTP"
    OTHER_ID = "the answer to another request"
    RPC_ERROR = "a JSON-RPC error"
    TOOL_ERROR = "a result with isError"


_STATUSES = {
    Fault.BAD_GATEWAY: b"502 Bad Gateway",
    Fault.UNAVAILABLE: b"503 Service Unavailable",
    Fault.UNAVAILABLE_JSON: b"503 Service Unavailable",
    Fault.GATEWAY_TIMEOUT: b"504 Gateway Timeout",
    Fault.SERVER_ERROR: b"500 Internal Server Error",
    Fault.OVERLOAD: b"429 Too Many Requests",
}
_STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
#: Results that are valid for every method.
RESULT: dict[str, Any] = {
    "resultType": "complete",
    "content": [],
    "contents": [],
    "messages": [],
    "tools": [],
    "resources": [],
    "resourceTemplates": [],
    "prompts": [],
    "completion": {"values": []},
    "protocolVersion": "2025-11-25",
    "capabilities": {"tools": {}, "resources": {}, "prompts": {}, "completions": {}},
    "serverInfo": {"name": "faulty", "version": "1"},
    "ttlMs": 0,
    "cacheScope": "private",
}


@dataclass(slots=True)
class FaultyServer:
    """Several endpoints, some of which nothing listens at."""

    ports: list[int] = field(default_factory=list)
    received: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    """What was received whole: the endpoint, and the message."""
    heads: list[bytes] = field(default_factory=list)
    result: dict[str, Any] = field(default_factory=lambda: dict(RESULT))
    retry_after: int | None = None
    has_sessions: bool = False
    """Whether each endpoint has sessions, which no other one knows."""
    _sessions: set[tuple[int, str]] = field(default_factory=set)
    _plan: deque[Fault] = field(default_factory=deque)
    _method: str | None = None

    @property
    def url(self) -> str:
        """Its URL, whose host leads nowhere."""
        return "http://mcp.example/mcp"

    def plan(self, *faults: Fault, method: str | None = None) -> None:
        """What happens to the next requests, with this method if one is given; all others are answered."""
        self._plan, self._method = deque(faults), method
        self.received.clear()
        self.heads.clear()

    def document(self, **retry: Any) -> dict[str, Any]:
        """What its entry says besides its URL."""
        endpoints = [{"address": "127.0.0.1", "port": port} for port in self.ports]
        return {"endpoints": endpoints, "retry": {"attempts": 1, "backoff": 1, **retry}}

    def count(self, method: str) -> int:
        """How often a request with this method was received whole."""
        return sum(message.get("method") == method for _, message in self.received)

    def places(self, method: str) -> list[int]:
        """Which endpoints received it, in order."""
        return [place for place, message in self.received if message.get("method") == method]

    async def serve(self, place: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        while True:
            first = await reader.readexactly(1)
            if self._next(Fault.CLOSE_UNREAD, self._method) is Fault.CLOSE_UNREAD:
                return
            head, body = await read_request(reader)
            message = json.loads(body) if body else {}
            fault = self._next(None, message.get("method"))
            session = self._session_of(first + head)
            if fault is Fault.FORGOTTEN:
                self._sessions.discard((place, session))
            if message.get("method") == "initialize" and self.has_sessions:
                session = f"session-{len(self._sessions)}"
                self._sessions.add((place, session))
            elif fault is Fault.FORGOTTEN or (session and (place, session) not in self._sessions):
                writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
                await writer.drain()
                continue
            self.heads.append(first + head)
            self.received.append((place, message))
            if fault is Fault.HANG:
                await reader.read()
                return
            writer.write(self._answer(fault, message, session))
            await writer.drain()
            if fault is not Fault.NONE:
                return

    def _next(self, wanted: Fault | None, method: str | None) -> Fault:
        """Take the next fault from the plan, if it is the wanted one and for this method."""
        is_next = self._plan and wanted in (None, self._plan[0]) and self._method in (None, method)
        return self._plan.popleft() if is_next else Fault.NONE

    @staticmethod
    def _session_of(head: bytes) -> str:
        found = (line[15:] for line in head.split(b"\r\n") if line.lower().startswith(b"mcp-session-id:"))
        return next(found, b"").decode().strip()

    def _answer(self, fault: Fault, message: dict[str, Any], session: str) -> bytes:
        identifier = message.get("id")
        response: dict[str, Any] = {"jsonrpc": "2.0", "id": identifier, "result": self.result}
        if fault is Fault.OTHER_ID:
            response["id"] = "another"
        if fault in (Fault.RPC_ERROR, Fault.UNAVAILABLE_JSON):
            response = {"jsonrpc": "2.0", "id": identifier, "error": {"code": -32000, "message": "no"}}
        if fault is Fault.TOOL_ERROR:
            response["result"] = {**self.result, "isError": True}
        text = json.dumps(response).encode()
        if fault in _OF_STREAMS:
            return _STREAM + _events(fault, message, text)
        if identifier is None and fault is Fault.NONE:
            return b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
        opens = session if message.get("method") == "initialize" else ""
        whole = self._head(fault, text, opens) + text
        cut = {Fault.RESET: 0, Fault.HALF_HEAD: 20, Fault.NO_BODY: len(whole) - len(text), Fault.HALF_BODY: -5}
        return b"\x00\x01not HTTP\r\n\r\n" if fault is Fault.NOT_HTTP else whole[: cut.get(fault)]

    def _head(self, fault: Fault, text: bytes, session: str) -> bytes:
        status = _STATUSES.get(fault, b"200 OK")
        is_plain = fault in _STATUSES and fault is not Fault.UNAVAILABLE_JSON
        kind = b"text/plain" if is_plain else b"application/json"
        more = b"Retry-After: %d\r\n" % self.retry_after if self.retry_after is not None else b""
        more += b"Mcp-Session-Id: %b\r\n" % session.encode() if session else b""
        head = b"HTTP/1.1 %b\r\nContent-Type: %b\r\nContent-Length: %d\r\n%b\r\n"
        return head % (status, kind, len(text), more)


_OF_STREAMS = {Fault.EVENTS, Fault.NO_EVENT, Fault.COMMENT, Fault.HALF_EVENT, Fault.PROGRESS}


def _events(fault: Fault, message: dict[str, Any], text: bytes) -> bytes:
    token = ((message.get("params") or {}).get("_meta") or {}).get("progressToken", "t")
    progress = {"progressToken": token, "progress": 1}
    told = json.dumps({"jsonrpc": "2.0", "method": "notifications/progress", "params": progress}).encode()
    return {
        Fault.EVENTS: b"data: " + text + b"\n\n",
        Fault.NO_EVENT: b"",
        Fault.COMMENT: b": working\n\n",
        Fault.HALF_EVENT: b"data: " + text[:-5],
        Fault.PROGRESS: b"data: " + told + b"\n\n",
    }[fault]


@asynccontextmanager
async def faulty_endpoints(live: int, *, dead: int = 0) -> AsyncIterator[FaultyServer]:
    """So many endpoints that serve, and so many where nothing listens."""
    server = FaultyServer()
    async with AsyncExitStack() as stack:
        for place in range(live):

            async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, place: int = place) -> None:
                await server.serve(place, reader, writer)

            server.ports.append(await stack.enter_async_context(scripted(script)))
        for _ in range(dead):
            unused = stack.enter_context(socket.socket())
            unused.bind(("127.0.0.1", 0))
            server.ports.append(unused.getsockname()[1])
        yield server
