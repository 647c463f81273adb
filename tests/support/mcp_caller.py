"""An MCP caller that sends exactly what the test wants, over real HTTP: messages, headers, sessions, streams."""

import asyncio
import io
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy
from timeouts import TIMEOUT_SECONDS
from yarl import URL

MODERN = "2026-07-28"
LEGACY = "2025-11-25"
BOTH_TYPES = "application/json, text/event-stream"
#: Larger ones aiohttp wants as a file, with a warning that is an error here.
_SENT_AS_BYTES = 1 << 20
_NAMES = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri", "tasks/get": "taskId"}


def legacy(method: str, params: Mapping[str, Any] | None = None, *, id: Any = 1) -> dict[str, Any]:  # noqa: A002
    """A message of the session era; without an id (None) it is a notification."""
    message: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
    if id is not None:
        message["id"] = id
    if params is not None:
        message["params"] = dict(params)
    return message


def envelope(revision: str = MODERN) -> dict[str, Any]:
    """The `_meta` that every request of the modern era holds."""
    return {
        "io.modelcontextprotocol/protocolVersion": revision,
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }


def modern(method: str, params: Mapping[str, Any] | None = None, *, id: Any = 1) -> dict[str, Any]:  # noqa: A002
    """A request of the modern era."""
    return legacy(method, {**(params or {}), "_meta": envelope()}, id=id)


def modern_headers(message: Mapping[str, Any], revision: str = MODERN) -> dict[str, str]:
    """The headers that mirror a modern request."""
    method = message["method"]
    headers = {"MCP-Protocol-Version": revision, "Mcp-Method": method}
    if method in _NAMES:
        headers["Mcp-Name"] = message["params"][_NAMES[method]]
    return headers


def is_modern(message: Any) -> bool:
    """Whether a message has the modern envelope."""
    meta = (message.get("params") or {}).get("_meta") if isinstance(message, dict) else None
    return isinstance(meta, dict) and "io.modelcontextprotocol/protocolVersion" in meta


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole HTTP answer."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The messages of an event stream that has ended, or the one of a document."""
        if self.headers.get("Content-Type") != "text/event-stream":
            return [self.json]
        blocks = self.body.decode().replace("\r\n", "\n").split("\n\n")
        return [message for block in blocks if (message := _message(block)) is not None]

    @property
    def error(self) -> dict[str, Any]:
        """The JSON-RPC error of the last message."""
        error = self.messages[-1]["error"]
        assert isinstance(error, dict)
        return error

    @property
    def result(self) -> dict[str, Any]:
        """The result of the last message."""
        result = self.messages[-1]["result"]
        assert isinstance(result, dict)
        return result


def _message(block: str) -> dict[str, Any] | None:
    data = "\n".join(line[5:].strip() for line in block.splitlines() if line.startswith("data:"))
    return json.loads(data) if data else None


class Stream:
    """An answer that is still coming."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self._response = response
        self._buffer = ""

    async def block(self) -> str | None:
        """The next block, without its blank line; None at the end of the stream."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while "\n\n" not in self._buffer:
                chunk = await self._response.content.readany()
                if not chunk:
                    return None
                self._buffer = (self._buffer + chunk.decode()).replace("\r\n", "\n")
        block, _, self._buffer = self._buffer.partition("\n\n")
        return block

    async def message(self) -> dict[str, Any]:
        """The next message; comments and priming events are passed over."""
        while True:
            block = await self.block()
            assert block is not None, "the stream ended"
            message = _message(block)
            if message is not None:
                return message

    async def ended(self) -> bool:
        """Wait for the end of the stream, passing over what still comes; False where it broke off."""
        try:
            while await self.block() is not None:
                pass
        except aiohttp.ClientPayloadError:
            return False
        return True

    def drop(self) -> None:
        """Go away: close the connection."""
        self._response.close()


class McpCaller:
    """Talks to one endpoint.

    ``session`` is sent once :meth:`initialize` has opened one, ``credential`` are headers that are sent always.
    """

    def __init__(self, url: str | URL, http: aiohttp.ClientSession, credential: Mapping[str, str]) -> None:
        self.url = url
        self.credential = credential
        self.session: str | None = None
        self._http = http

    def headers(self, message: Any, more: Mapping[str, str | None] | None = None) -> CIMultiDict[str]:
        """What is sent with a message; ``more`` replaces, and takes away where it says None."""
        headers: CIMultiDict[str] = CIMultiDict(
            {"Content-Type": "application/json", "Accept": BOTH_TYPES, "Accept-Encoding": "identity"}
        )
        headers.update(self.credential)
        if is_modern(message):
            headers.update(modern_headers(message))
        elif self.session is not None:
            headers["Mcp-Session-Id"] = self.session
            headers["MCP-Protocol-Version"] = LEGACY
        for name, value in (more or {}).items():
            headers.popall(name, None)
            if value is not None:
                headers[name] = value
        return headers

    async def post(self, message: Any, more: Mapping[str, str | None] | None = None) -> Reply:
        """Post a message, or bytes as they are, and take the whole answer."""
        async with self.posting(message, more) as response:
            return Reply(response.status, response.headers, await response.read())

    async def request(self, method: str, more: Mapping[str, str | None] | None = None) -> Reply:
        """Send a request without a body."""
        headers = self.headers(None, {"Content-Type": None, **(more or {})})
        async with self._http.request(method, self.url, headers=headers) as response:
            return Reply(response.status, response.headers, await response.read())

    @asynccontextmanager
    async def posting(
        self, message: Any, more: Mapping[str, str | None] | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Post a message and have its answer's head."""
        data = message if isinstance(message, bytes) else json.dumps(message).encode()
        body = io.BytesIO(data) if len(data) > _SENT_AS_BYTES else data
        async with self._http.post(self.url, data=body, headers=self.headers(message, more)) as response:
            yield response

    @asynccontextmanager
    async def stream(self, message: Any, more: Mapping[str, str | None] | None = None) -> AsyncIterator[Stream]:
        """Post a message whose answer is read as it comes."""
        async with self.posting(message, more) as response:
            yield Stream(response)

    @asynccontextmanager
    async def listen(self, more: Mapping[str, str | None] | None = None) -> AsyncIterator[Stream]:
        """Open the session's GET stream."""
        headers = self.headers(None, {"Content-Type": None, "Accept": "text/event-stream", **(more or {})})
        async with self._http.get(self.url, headers=headers) as response:
            yield Stream(response)

    async def initialize(self) -> Reply:
        """Open a session."""
        client = {"name": "test", "version": "1"}
        params = {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": client}
        reply = await self.post(legacy("initialize", params, id="init"))
        assert reply.status == 200, reply
        self.session = reply.headers.get("Mcp-Session-Id")
        assert (await self.post(legacy("notifications/initialized", id=None))).status == 202
        return reply


@asynccontextmanager
async def mcp_caller(
    url: str | URL, *, authority: Path | None = None, credential: Mapping[str, str] | None = None
) -> AsyncIterator[McpCaller]:
    """A caller with connections of its own; it trusts the certificates of this authority instead of the system's."""
    timeout = aiohttp.ClientTimeout(total=20)
    tls = None if authority is None else ssl.create_default_context(cafile=str(authority))
    connector = aiohttp.TCPConnector(ssl=tls if tls is not None else True)
    async with aiohttp.ClientSession(auto_decompress=False, timeout=timeout, connector=connector) as http:
        yield McpCaller(url, http, credential or {})
