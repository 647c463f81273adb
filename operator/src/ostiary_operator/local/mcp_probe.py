"""A minimal MCP client for diagnostics: one request, one response.

Responses are untrusted input.
"""

import asyncio
import itertools
import json
import secrets
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

import aiohttp

from ostiary_core import strict_json
from ostiary_core.errors import OstiaryError
from ostiary_core.version import __version__

_REVISION: Final = "2025-11-25"
_STATELESS_REVISION: Final = "2026-07-28"
_ENVELOPE: Final = {
    "io.modelcontextprotocol/protocolVersion": _STATELESS_REVISION,
    "io.modelcontextprotocol/clientCapabilities": {},
}
_TIMEOUT: Final = aiohttp.ClientTimeout(total=15, sock_connect=5)
#: Limits of :func:`list_offers`: seconds for all lists of a server, and pages of each list.
_OFFERS_SECONDS: Final = 5.0
_PAGES: Final = 20
_LIMIT: Final = 4 * 1024 * 1024
_CHUNK: Final = 64 * 1024
_ACCEPT: Final = "application/json, text/event-stream"


@dataclass(frozen=True, slots=True)
class McpReply:
    """An HTTP response and the JSON-RPC message in it, if there is one.

    ``text`` is the start of the body.
    """

    status: int
    headers: Mapping[str, str]
    message: Mapping[str, Any]
    text: str

    @property
    def result(self) -> Mapping[str, Any] | None:
        """The result of a request that succeeded."""
        found = self.message.get("result")
        return found if isinstance(found, Mapping) else None

    @property
    def error(self) -> Mapping[str, Any]:
        """The JSON-RPC error of a request that failed; empty if there is none."""
        found = self.message.get("error")
        return found if isinstance(found, Mapping) else {}

    @property
    def reason(self) -> str:
        """The gateway's reason, from ``error.data`` or from a body without JSON-RPC."""
        data = self.error.get("data")
        if isinstance(data, Mapping):
            return str(data.get("reason") or "")
        plain = self.message.get("error")
        return plain if isinstance(plain, str) else ""


class McpClientSession:
    """An MCP session at one endpoint; leaving the context ends it.

    ``host`` is sent as Host, and the certificate must name it: needed where ``url`` is not the published URL.
    ``bearer`` is sent to this endpoint only: redirects are not followed. ``trace_id`` marks our requests, so that they
    can be told apart from those of clients; the trace is not sampled (W3C Trace Context). ``headers`` are sent with
    every request; ``tls`` replaces the usual settings of TLS.
    """

    def __init__(
        self,
        url: str,
        *,
        host: str | None = None,
        bearer: str | None = None,
        trace_id: str = "",
        headers: Mapping[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._url = url
        self._is_stateless = False
        self._headers = {"Accept": _ACCEPT, "User-Agent": f"ostiary-doctor/{__version__}"}
        self._headers |= {"traceparent": f"00-{trace_id}-{secrets.token_hex(8)}-00"} if trace_id else {}
        self._headers |= {"Host": host} if host else {}
        self._headers |= {"Authorization": f"Bearer {bearer}"} if bearer else {}
        self._headers |= headers or {}
        self._tls_name = urlsplit(f"//{host}").hostname if host and url.startswith("https:") else None
        # Created here, not at import: SSL_CERT_FILE is read at this moment.
        connector = aiohttp.TCPConnector(ssl=tls or ssl.create_default_context())
        self._session = aiohttp.ClientSession(
            timeout=_TIMEOUT, cookie_jar=aiohttp.DummyCookieJar(), connector=connector
        )
        self._ids = itertools.count(1)

    async def __aenter__(self) -> Self:
        """Return the client; no connection is opened yet."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the session, if there is one."""
        try:
            if "Mcp-Session-Id" in self._headers:
                async with self._session.delete(
                    self._url, headers=self._headers, allow_redirects=False, server_hostname=self._tls_name
                ):
                    pass
        except (aiohttp.ClientError, TimeoutError, OSError):
            pass  # the session expires by itself
        finally:
            await self._session.close()

    async def initialize(self) -> McpReply:
        """Negotiate the protocol version, and open a session if the server has sessions.

        Raises:
            aiohttp.ClientError, TimeoutError, OSError: there is no response.
        """
        info = {"name": "ostiary-doctor", "version": __version__}
        reply = await self.request("initialize", {"protocolVersion": _REVISION, "capabilities": {}, "clientInfo": info})
        if reply.result is not None:
            session = reply.headers.get("Mcp-Session-Id")
            self._headers |= {"Mcp-Session-Id": session} if session else {}
            self._headers |= {"MCP-Protocol-Version": str(reply.result.get("protocolVersion") or _REVISION)}
            await self._send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        return reply

    async def request(self, method: str, params: Mapping[str, Any]) -> McpReply:
        """Send a request and return its response.

        Raises:
            aiohttp.ClientError, TimeoutError, OSError: there is no response.
        """
        sent = dict(params) | ({"_meta": _ENVELOPE} if self._is_stateless else {})
        return await self._send({"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": sent})

    def use_stateless_revision(self) -> None:
        """Send later requests in the revision without sessions."""
        self._is_stateless = True
        self._headers["MCP-Protocol-Version"] = _STATELESS_REVISION

    async def post(self, suffix: str, body: Mapping[str, Any]) -> McpReply:
        """Post a JSON object to the endpoint with a suffix, which the gateway itself answers.

        Raises:
            aiohttp.ClientError, TimeoutError, OSError: there is no response.
        """
        return await self._send(body, suffix=suffix)

    async def _send(self, message: Mapping[str, Any], *, suffix: str = "") -> McpReply:
        headers = {**self._headers, "Content-Type": "application/json"}
        headers |= {"Mcp-Method": message["method"]} if self._is_stateless and not suffix else {}
        async with self._session.post(
            self._url + suffix,
            data=json.dumps(message).encode(),
            headers=headers,
            allow_redirects=False,
            server_hostname=self._tls_name,
        ) as response:
            streamed = response.content_type == "text/event-stream"
            body = await _read(response.content, until_event=message.get("id") if streamed else None)
            return McpReply(response.status, response.headers, _parsed(body), body[:500].decode("utf-8", "replace"))


async def list_offers(url: str, *, trace_id: str) -> None:
    """List all tools and prompts of an endpoint, so that its gateway learns their names.

    Ignore any failure.
    """
    try:
        async with asyncio.timeout(_OFFERS_SECONDS), McpClientSession(url, trace_id=trace_id) as session:
            if (await session.initialize()).result is None:
                return
            for method in ("tools/list", "prompts/list"):
                await _all_pages(session, method)
    except (aiohttp.ClientError, TimeoutError, OSError):
        return


async def _all_pages(session: "McpClientSession", method: str) -> None:
    cursor: dict[str, Any] = {}
    for _ in range(_PAGES):
        found = (await session.request(method, cursor)).result or {}
        if not isinstance(found.get("nextCursor"), str):
            return
        cursor = {"cursor": found["nextCursor"]}


async def _read(content: aiohttp.StreamReader, *, until_event: object) -> bytes:
    """Return the body; of a stream, the data of the event that responds to the request."""
    body = bytearray()
    async for chunk in content.iter_chunked(_CHUNK):
        body += chunk
        if until_event is not None and (found := _response_in(bytes(body), until_event)) is not None:
            return found
        if len(body) > _LIMIT:
            raise aiohttp.ClientPayloadError(f"its response is larger than {_LIMIT} bytes")
    return bytes(body)


def _response_in(stream: bytes, wanted: object) -> bytes | None:
    """Return the message with the id ``wanted`` among the complete events."""
    events = stream.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n\n")[:-1]
    for event in events:
        lines = (line[5:].removeprefix(b" ") for line in event.split(b"\n") if line.startswith(b"data:"))
        data = b"\n".join(lines)
        if _parsed(data).get("id") == wanted:
            return data
    return None


def _parsed(body: bytes) -> Mapping[str, Any]:
    """Return a body as a JSON object; an empty one if it is none."""
    try:
        found = strict_json.loads(body)
    except (OstiaryError, ValueError):
        return {}
    return found if isinstance(found, Mapping) else {}
