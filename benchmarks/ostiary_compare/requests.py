"""The requests of the load: what a client sends in each era of MCP, and how it opens a session."""

import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from ostiary_bench import messages
from ostiary_compare.kinds import RequestKind
from ostiary_compare.mcp_server import LEGACY, MODERN
from ostiary_tools.common.errors import ToolError

#: The ids of requests have as many digits, so that all requests of a load are as long.
FIRST_ID: Final = 1_000_000
_ACCEPTED: Final = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
_CLIENT: Final = {"name": "compare", "version": "1"}
_META: Final = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientInfo": _CLIENT,
    "io.modelcontextprotocol/clientCapabilities": {},
}
_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a gateway serves MCP, what callers send to be let in, and what it calls the tools of the server."""

    url: str
    headers: Mapping[str, str]
    prefix: str = ""
    separator: str = "_"

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        names = {"prefix": self.prefix, "separator": self.separator}
        return {"url": self.url, "headers": dict(self.headers), **names}

    def tool(self, name: str) -> str:
        """Return the name that the gateway gives to a tool of the server."""
        return self.prefix + name.replace("_", self.separator)


class UnwelcomeError(ToolError):
    """A gateway refused a request.

    Attributes:
        status: of its response.
    """

    def __init__(self, url: str, status: int, text: bytes) -> None:
        super().__init__(f"{url} answered {status}: {text[:300]!r}")
        self.status = status


@dataclass(frozen=True, slots=True)
class RequestBytes:
    """A call as bytes, without the digits of its id."""

    before: bytes
    after: bytes

    def numbered(self, number: int) -> bytes:
        """Return the call with an id."""
        return b"%s%d%s" % (self.before, FIRST_ID + number, self.after)


def request_bytes(endpoint: Endpoint, kind: RequestKind) -> RequestBytes:
    """Return a request of this kind; in a session, one is opened for it.

    Raises:
        ToolError: no session could be opened.
    """
    method, params = "tools/list", dict[str, Any]()
    headers = {"Mcp-Method": method}
    if kind.tool is not None:
        method, params = "tools/call", {"name": endpoint.tool(kind.tool), "arguments": {"limit": 10}}
        headers = {"Mcp-Method": method, "Mcp-Name": params["name"]}
    if kind.has_session:
        headers = open_session(endpoint)
    else:
        params["_meta"] = _META
        headers["MCP-Protocol-Version"] = MODERN
    body = messages.encoded({"jsonrpc": "2.0", "id": FIRST_ID, "method": method, "params": params})
    return _as_bytes(endpoint, headers, body)


def _as_bytes(endpoint: Endpoint, session: Mapping[str, str], body: bytes) -> RequestBytes:
    parts = urlsplit(endpoint.url)
    lines = [f"POST {parts.path or '/'} HTTP/1.1", f"Host: {parts.netloc}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in {**_ACCEPTED, **endpoint.headers, **session}.items()]
    before, after = body.split(b"%d" % FIRST_ID)
    return RequestBytes("\r\n".join([*lines, "", ""]).encode() + before, after)


def open_session(endpoint: Endpoint) -> dict[str, str]:
    """Initialize, and return the headers of each request in the session; a gateway may give no id.

    Raises:
        UnwelcomeError: the gateway refused.
        ToolError: it did not answer, or not with a result.
    """
    params = {"protocolVersion": LEGACY[0], "capabilities": {}, "clientInfo": _CLIENT}
    opening = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}
    headers, text = _post(endpoint, opening, {})
    version = _result(endpoint, text)["protocolVersion"]
    session = {"MCP-Protocol-Version": str(version)}
    if given := headers.get("mcp-session-id"):
        session["Mcp-Session-Id"] = given
    _post(endpoint, {"jsonrpc": "2.0", "method": "notifications/initialized"}, session)
    return session


def _result(endpoint: Endpoint, text: bytes) -> dict[str, Any]:
    found = result_of(text)
    if found is None:
        raise ToolError(f"{endpoint.url} opened no session: {text[:300]!r}")
    return found


def result_of(text: bytes) -> dict[str, Any] | None:
    """Return the result of a response to a request, whether it is a document or an event stream."""
    for line in text.splitlines():
        data = line.removeprefix(b"data:").strip()
        if data.startswith(b"{") and "result" in (message := json.loads(data)):
            found: dict[str, Any] = message["result"]
            return found
    return None


def call(endpoint: Endpoint, session: Mapping[str, str], tool: str, *, number: int = 1) -> tuple[int, bytes]:
    """Call a tool of the server once in a session; return status and body.

    ``number`` is the id of the request, which no other one in flight in the session may have.

    Raises:
        ToolError: there was no response.
    """
    params = {"name": endpoint.tool(tool), "arguments": {"limit": 10}}
    message = {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}
    status, _, text = _exchange(endpoint, message, session)
    return status, text


def _post(endpoint: Endpoint, message: Mapping[str, Any], more: Mapping[str, str]) -> tuple[dict[str, str], bytes]:
    status, headers, text = _exchange(endpoint, message, more)
    if not 200 <= status < 300:
        raise UnwelcomeError(endpoint.url, status, text)
    return headers, text


def _exchange(
    endpoint: Endpoint, message: Mapping[str, Any], more: Mapping[str, str]
) -> tuple[int, dict[str, str], bytes]:
    headers = {**_ACCEPTED, **endpoint.headers, **more}
    request = urllib.request.Request(endpoint.url, data=messages.encoded(message), headers=headers)  # noqa: S310  ours
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as response:  # noqa: S310  our own URL
            return response.status, {name.lower(): value for name, value in response.headers.items()}, _body(response)
    except urllib.error.HTTPError as error:
        return error.code, {}, error.read()
    except (OSError, http.client.HTTPException) as error:
        raise ToolError(f"{endpoint.url} did not answer: {error}") from error


def _body(response: http.client.HTTPResponse) -> bytes:
    """Read a body within the time of a request: a stream that only keeps its connection alive would never end.

    Raises:
        TimeoutError: it did not end in time.
    """
    until = time.monotonic() + _SECONDS
    pieces: list[bytes] = []
    while piece := response.read1():
        pieces.append(piece)
        if time.monotonic() > until:
            raise TimeoutError(f"the answer did not end within {_SECONDS:g} s")
    return b"".join(pieces)
