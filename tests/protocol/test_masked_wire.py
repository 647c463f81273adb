"""No value reaches a client by the way in which a server writes its messages, nor by the stream that they come on."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web
from gateways import RunningGateway
from masked_values import TEXT, VALUES, leaked, masking, unescaped
from mcp_caller import LEGACY, McpCaller, legacy, modern
from merged_proxies import merged
from upstreams import Arrived, answer, document, events, serving

HEAD = {"jsonrpc": "2.0"}
RESULT = {"content": [{"type": "text", "text": TEXT}], "structuredContent": {"a": [TEXT]}, "_meta": {"x/y": TEXT}}
ELICITATION = {"message": TEXT, "requestedSchema": {"type": "object", "properties": {"a": {"title": TEXT}}}}
SAMPLING = {"messages": [{"role": "user", "content": {"type": "text", "text": TEXT}}], "systemPrompt": TEXT}
#: What a server may send on its own, on any stream.
TOLD: list[dict[str, Any]] = [
    {**HEAD, "method": "notifications/progress", "params": {"progressToken": "t", "progress": 1, "message": TEXT}},
    {**HEAD, "method": "notifications/message", "params": {"level": "info", "logger": TEXT, "data": [TEXT]}},
    {**HEAD, "method": "notifications/message", "params": {"level": "info", "data": TEXT}},
    {**HEAD, "method": "notifications/tasks/status", "params": {"taskId": "t", "statusMessage": TEXT}},
    {**HEAD, "method": "notifications/own", "params": {"any": {TEXT: TEXT}}},
    {**HEAD, "method": "notifications/cancelled", "params": {"requestId": 9, "reason": TEXT}},
    {**HEAD, "id": 71, "method": "elicitation/create", "params": ELICITATION},
    {**HEAD, "id": 72, "method": "sampling/createMessage", "params": {**SAMPLING, "maxTokens": 5}},
    {**HEAD, "id": 73, "method": "roots/list", "params": {"_meta": {"x/y": TEXT}}},
    {**HEAD, "id": 74, "result": RESULT},
    {**HEAD, "id": 75, "error": {"code": -1, "message": TEXT, "data": TEXT}},
]
#: Results of requests besides calls.
RESULTS: dict[str, dict[str, Any]] = {
    "prompts/get": {"description": TEXT, "messages": [{"role": "user", "content": {"type": "text", "text": TEXT}}]},
    "resources/read": {"contents": [{"uri": "crm://1", "text": TEXT, "_meta": {"x/y": [TEXT]}}]},
    "completion/complete": {"completion": {"values": [TEXT, *VALUES.values()], "total": 9}},
    "tasks/result": RESULT,
    "tasks/get": {"taskId": "t", "status": "working", "statusMessage": TEXT, "createdAt": "2026-01-01T00:00:00Z"},
    "tools/list": {"tools": [{"name": "pay", "description": TEXT, "inputSchema": {"type": "object", "title": TEXT}}]},
    "prompts/list": {"prompts": [{"name": "p", "title": TEXT, "arguments": [{"name": "a", "description": TEXT}]}]},
    "resources/list": {"resources": [{"uri": "crm://1", "name": TEXT}, {"uri": f"c://{VALUES['Email']}", "name": "n"}]},
    "resources/templates/list": {"resourceTemplates": [{"uriTemplate": "crm://{id}", "name": "n", "title": TEXT}]},
    "ping": {"_meta": {"x/y": TEXT}},
    "logging/setLevel": {"note": TEXT},
}
PARAMS: dict[str, dict[str, Any]] = {
    "prompts/get": {"name": "p"},
    "resources/read": {"uri": "crm://1"},
    "completion/complete": {"ref": {"type": "ref/prompt", "name": "p"}, "argument": {"name": "a", "value": ""}},
    "tasks/result": {"taskId": "t"},
    "tasks/get": {"taskId": "t"},
    "logging/setLevel": {"level": "info"},
}


def lines(text: str) -> list[str]:
    """The text of a message on lines of their own, each at the end of a member."""
    return text.replace(', "', ',\n"').split("\n")


def in_lines(text: str, end: str) -> bytes:
    return (end.join(f"data: {line}" for line in lines(text)) + end + end).encode()


FRAMES: dict[str, Callable[[str], bytes]] = {
    "LF": lambda text: f"data: {text}\n\n".encode(),
    "CRLF": lambda text: f"event: message\r\ndata: {text}\r\n\r\n".encode(),
    "CR": lambda text: f"event: message\rdata: {text}\r\r".encode(),
    "lines": lambda text: in_lines(text, "\n"),
    "CRLF lines": lambda text: in_lines(text, "\r\n"),
    "no space": lambda text: f"id: 7\ndata:{text}\n\n".encode(),
    "comment": lambda text: f": {TEXT}\nretry: 10\ndata: {text}\n: {TEXT}\n\n".encode(),
    "other field": lambda text: f"note: {TEXT}\nevent: {TEXT}\n\ndata: {text}\n\n".encode(),
}


class Scene:
    """A server that says all of it on every stream, in one way of writing events; in pieces where it is told to."""

    def __init__(self, frame: str = "LF", size: int = 1 << 20) -> None:
        self.frame, self.size = FRAMES[frame], size
        self.streams = True

    async def script(self, request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        if arrived.method == "GET":
            return await self._stream(request, TOLD)
        if arrived.method == "DELETE" or "id" not in arrived.message or "method" not in arrived.message:
            return web.Response(status=202)
        if arrived.method == "initialize":
            told = {
                "protocolVersion": LEGACY,
                "capabilities": {"tools": {}, "resources": {}, "prompts": {}, "experimental": {"x": {"n": TEXT}}},
                "serverInfo": {"name": "s", "title": TEXT, "version": "1"},
                "instructions": TEXT,
            }
            return document(answer(arrived, told), headers={"Mcp-Session-Id": "s-1"})
        result = answer(arrived, RESULTS.get(arrived.method, RESULT))
        if self.streams:
            return await self._stream(request, [*TOLD, result])
        return document(result)

    async def _stream(self, request: web.BaseRequest, messages: list[dict[str, Any]]) -> web.StreamResponse:
        async with events(request) as stream:
            for message in messages:
                written = self.frame(json.dumps(message))
                for start in range(0, len(written), self.size):
                    await stream.raw(written[start : start + self.size])
        return stream.response


def found_in(body: bytes) -> list[str]:
    """The kinds whose values are in what was received: as it is, and in its messages."""
    text = body.decode()
    texts = [text]
    for block in text.replace("\r\n", "\n").replace("\r", "\n").split("\n\n"):
        data = "\n".join(line[5:].removeprefix(" ") for line in block.split("\n") if line.startswith("data:"))
        texts += [unescaped(json.loads(data))] if data.strip() else []
    return leaked("\n".join(texts))


@pytest.mark.parametrize("size", [1 << 20, 7])
@pytest.mark.parametrize("frame", FRAMES)
async def test_no_way_of_writing_events_brings_a_value(
    gateway: RunningGateway, caller: McpCaller, frame: str, size: int
) -> None:
    async with serving(Scene(frame, size).script) as upstream:
        await gateway.apply(gateway.entry("mock", upstream.url, [masking()]))
        assert found_in((await caller.initialize()).body) == []
        for message in (modern("tools/call", {"name": "pay"}), legacy("tools/call", {"name": "pay"})):
            reply = await caller.post(message)
            assert found_in(reply.body) == []
            assert "masked" in reply.body.decode()


@pytest.mark.parametrize("more", [None, {"Last-Event-ID": "7"}], ids=["new", "resumed"])
@pytest.mark.parametrize("frame", FRAMES)
async def test_no_stream_of_a_session_brings_a_value(
    gateway: RunningGateway, caller: McpCaller, frame: str, more: dict[str, str] | None
) -> None:
    async with serving(Scene(frame).script) as upstream:
        await gateway.apply(gateway.entry("mock", upstream.url, [masking()]))
        await caller.initialize()
        reply = await caller.request("GET", {"Accept": "text/event-stream", **(more or {})})
        assert reply.status == 200
        assert found_in(reply.body) == []
        assert "masked" in reply.body.decode()


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("method", RESULTS)
async def test_no_kind_of_result_brings_a_value(
    gateway: RunningGateway, caller: McpCaller, method: str, streams: bool
) -> None:
    scene = Scene()
    scene.streams = streams
    async with serving(scene.script) as upstream:
        await gateway.apply(gateway.entry("mock", upstream.url, [masking()]))
        await caller.initialize()
        for message in (legacy(method, PARAMS.get(method, {})), modern(method, PARAMS.get(method, {}))):
            reply = await caller.post(message)
            assert found_in(reply.body) == []


async def test_a_merged_proxy_brings_no_value_on_any_stream(gateway: RunningGateway, caller: McpCaller) -> None:
    async with serving(Scene().script) as first, serving(Scene("CRLF").script) as second:
        await gateway.apply(merged(gateway, {"crm": first.url, "web": second.url}, [masking()]))
        received = [(await caller.initialize()).body]
        for method in RESULTS:
            params = PARAMS.get(method, {}) | ({"name": "crm_p"} if method == "prompts/get" else {})
            received += [(await caller.post(make(method, params))).body for make in (legacy, modern)]
        received.append((await caller.post(legacy("tools/call", {"name": "web_pay"}))).body)
        assert [kinds for body in received if (kinds := found_in(body))] == []


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "text/html", "text/event-stream", ""])
@pytest.mark.parametrize("status", [200, 400, 401, 404, 429, 500, 503])
async def test_no_body_of_an_http_error_brings_a_value(
    gateway: RunningGateway, caller: McpCaller, status: int, kind: str
) -> None:
    body = json.dumps({"error": TEXT}) if kind == "application/json" else TEXT

    async def script(_: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        headers = {"WWW-Authenticate": f'Bearer error="{VALUES["Email"]}"', "X-Note": VALUES["CardNumber"]}
        return web.Response(status=status, body=body.encode(), headers={**headers, "Content-Type": kind})

    async with serving(script) as upstream:
        await gateway.apply(gateway.entry("mock", upstream.url, [masking()]))
        for method in ("initialize", "tools/call"):
            client = {"name": "t", "version": "1"}
            params = {"name": "pay", "protocolVersion": LEGACY, "capabilities": {}, "clientInfo": client}
            for message in (legacy(method, params), modern(method, params)):
                reply = await caller.post(message)
                assert leaked(f"{dict(reply.headers)}\n{reply.body.decode()}") == []
