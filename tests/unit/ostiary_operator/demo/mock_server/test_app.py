import json
from typing import Any

import httpx2
import pytest
from mcp_clients import MockProcess

LEGACY = ("2025-03-26", "2025-06-18", "2025-11-25")
MODERN = "2026-07-28"
_ACCEPT = {"accept": "application/json, text/event-stream"}


@pytest.mark.parametrize("version", LEGACY)
async def test_a_session_of_each_older_revision_works_from_start_to_end(mock: MockProcess, version: str) -> None:
    async with _http() as http:
        opened = await http.post(mock.url, json=_initialize(version))
        session = {"mcp-session-id": opened.headers["mcp-session-id"], "mcp-protocol-version": version}
        ready = await http.post(mock.url, json=_message("notifications/initialized"), headers=session)
        listed = await http.post(mock.url, json=_message("tools/list", number=2), headers=session)
        ended = await http.delete(mock.url, headers=session)
        late = await http.post(mock.url, json=_message("tools/list", number=3), headers=session)

    assert _result(opened)["protocolVersion"] == version
    assert ready.status_code == 202
    assert len(_result(listed)["tools"]) == 15
    assert ended.status_code in {200, 204}
    assert late.status_code == 404


async def test_the_stateless_revision_needs_no_session(mock: MockProcess) -> None:
    async with _http() as http:
        call = _modern_call("add", {"a": 2, "b": 3})
        answer = await http.post(mock.url, json=call, headers=_modern_headers("tools/call", "add"))

    assert answer.status_code == 200
    assert "mcp-session-id" not in answer.headers
    assert _result(answer)["structuredContent"] == {"sum": 5}
    assert _result(answer)["resultType"] == "complete"


@pytest.mark.parametrize("port", ["", ":1234"])
@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "[::1]"])
async def test_loopback_names_are_accepted_with_and_without_a_port(mock: MockProcess, name: str, port: str) -> None:
    assert await _status(mock, {"host": name + port, "origin": f"http://{name}{port}"}) == 200


@pytest.mark.parametrize(
    ("header", "value", "status"),
    [
        ("host", "evil.example", 421),
        ("host", "localhost.evil.example:7878", 421),
        ("origin", "https://evil.example", 403),
        ("origin", "null", 403),
    ],
)
async def test_other_names_are_refused(mock: MockProcess, header: str, value: str, status: int) -> None:
    assert await _status(mock, {header: value}) == status


async def test_health_needs_no_name(mock: MockProcess) -> None:
    async with _http() as http:
        answer = await http.get(f"{mock.origin}/healthz", headers={"host": "10.0.0.7:7878"})

    assert (answer.status_code, answer.text) == (200, "ok")


async def _status(mock: MockProcess, headers: dict[str, str]) -> int:
    async with _http() as http:
        call = _modern_call("echo", {"message": "hello"})
        answer = await http.post(mock.url, json=call, headers=_modern_headers("tools/call", "echo") | headers)
        return answer.status_code


def _http() -> httpx2.AsyncClient:
    return httpx2.AsyncClient(headers=_ACCEPT, trust_env=False, timeout=10)


def _message(method: str, *, params: Any = None, number: int | None = None) -> dict[str, Any]:
    message = {"jsonrpc": "2.0", "method": method, "params": params or {}}
    return message if number is None else message | {"id": number}


def _initialize(version: str) -> dict[str, Any]:
    client = {"name": "test", "version": "1"}
    params = {"protocolVersion": version, "capabilities": {}, "clientInfo": client}
    return _message("initialize", params=params, number=1)


def _modern_call(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    prefix = "io.modelcontextprotocol"
    meta = {f"{prefix}/protocolVersion": MODERN, f"{prefix}/clientCapabilities": {}}
    return _message("tools/call", params={"name": name, "arguments": arguments, "_meta": meta}, number=1)


def _modern_headers(method: str, name: str) -> dict[str, str]:
    return {"mcp-protocol-version": MODERN, "mcp-method": method, "mcp-name": name}


def _result(answer: httpx2.Response) -> Any:
    """The result, whether it came as JSON or as the last event of a stream."""
    text = answer.text
    if answer.headers["content-type"].startswith("text/event-stream"):
        text = [line.removeprefix("data:") for line in text.splitlines() if line.startswith("data:")][-1]
    return json.loads(text)["result"]
