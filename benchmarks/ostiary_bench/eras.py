"""Calls of both eras of MCP: in sessions, and stateless of the newest revision."""

import json
import urllib.request
from collections.abc import Mapping
from typing import Any, Final

from ostiary_bench import messages
from ostiary_bench.load import Load

_NEWEST: Final = "2026-07-28"
_SESSIONS: Final = "2025-11-25"
_META: Final = {
    "io.modelcontextprotocol/protocolVersion": _NEWEST,
    "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
_NO_HEADERS: Final[Mapping[str, str]] = {}
#: The parameters of a call without its tool.
_ARGUMENTS: Final[Mapping[str, Any]] = {"arguments": {"limit": 10}}
#: Far more than there are connections, so that no two requests of one session are in flight at a time: each has the
#: id 1, which the upstream's fixed response repeats.
_MANY: Final = 256


def stateless_call(tool: str = messages.TOOL, headers: Mapping[str, str] = _NO_HEADERS) -> Load:
    """Return calls of the newest revision, which has no sessions."""
    params = {"name": tool, **_ARGUMENTS, "_meta": _META}
    return _stateless({**messages.CALL, "params": params}, {"Mcp-Name": tool, **headers})


def stateless_list(headers: Mapping[str, str] = _NO_HEADERS) -> Load:
    """Return requests for a list of tools, of the newest revision."""
    return _stateless({**messages.LIST, "params": {"_meta": _META}}, headers)


def _stateless(message: Mapping[str, Any], headers: Mapping[str, str]) -> Load:
    mirrored = {"MCP-Protocol-Version": _NEWEST, "Mcp-Method": str(message["method"])}
    return Load(messages.encoded(message), headers={**mirrored, **headers})


def call_in_session(url: str, tool: str = messages.TOOL, headers: Mapping[str, str] = _NO_HEADERS) -> Load:
    """Return calls in one session, which is opened here."""
    in_session = {"MCP-Protocol-Version": _SESSIONS, "Mcp-Session-Id": open_session(url, headers), **headers}
    _post(url, {"jsonrpc": "2.0", "method": "notifications/initialized"}, in_session)
    call = {**messages.CALL, "params": {"name": tool, **_ARGUMENTS}}
    return Load(messages.encoded(call), headers=in_session)


def calls_in_sessions(url: str) -> Load:
    """Return calls in many sessions, in turns, which are opened here."""
    sessions = [open_session(url) for _ in range(_MANY)]
    return Load(messages.encoded(messages.CALL), headers={"MCP-Protocol-Version": _SESSIONS}, sessions=sessions)


def open_session(url: str, headers: Mapping[str, str] = _NO_HEADERS) -> str:
    """Open a session and return its id."""
    client = {"name": "bench", "version": "1"}
    params = {"protocolVersion": _SESSIONS, "capabilities": {}, "clientInfo": client}
    opened = _post(url, {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}, headers)
    return opened["Mcp-Session-Id"]


def _post(url: str, message: Mapping[str, Any], headers: Mapping[str, str]) -> Mapping[str, str]:
    """Send a message and return the headers of the response."""
    accepted = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    body = json.dumps(message).encode()
    request = urllib.request.Request(url, data=body, headers={**accepted, **headers})  # noqa: S310  our own URL
    with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310  our own URL
        return {name.title(): value for name, value in response.headers.items()}
