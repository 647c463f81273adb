"""Values of every kind in every place that a client can read, in both eras, as documents and as streams."""

import base64
import json
from typing import Any

import pytest
from aiohttp import web
from gateways import running_gateway
from masked_values import ADA, TEXT, VALUES, leaked, masking, unescaped
from mcp_caller import legacy, mcp_caller, modern
from upstreams import Arrived, document, events, serving


def places() -> dict[str, dict[str, Any]]:
    """Results that hold the values in one place each."""
    escaped = "".join(f"\\u{ord(each):04x}" for each in json.dumps(TEXT)[1:-1])
    file = {"uri": "crm://file", "mimeType": "text/plain", "blob": base64.b64encode(TEXT.encode()).decode()}
    block = {"type": "text", "text": "ok"}
    return {
        "text": {"content": [{"type": "text", "text": TEXT}]},
        "second block": {"content": [block, {"type": "text", "text": TEXT}]},
        "json in text": {"content": [{"type": "text", "text": json.dumps({"a": [TEXT]})}]},
        "escaped json in text": {"content": [{"type": "text", "text": f'{{"a": "{escaped}"}}'}]},
        "json in json": {"content": [{"type": "text", "text": json.dumps({"a": json.dumps({"b": TEXT})})}]},
        "structured": {"content": [], "structuredContent": {"deep": [{"er": TEXT}], **VALUES}},
        "keys": {"content": [], "structuredContent": {"by": {value: kind for kind, value in VALUES.items()}}},
        "number": {"content": [], "structuredContent": {"card": int(ADA.card.replace(" ", ""))}},
        "resource text": {"content": [{"type": "resource", "resource": {"uri": "crm://1", "text": TEXT}}]},
        "resource blob": {"content": [{"type": "resource", "resource": file}]},
        "link": {
            "content": [{"type": "resource_link", "uri": "crm://1", "name": "n", "title": TEXT, "description": TEXT}]
        },
        "meta": {"content": [], "_meta": {"example.com/note": TEXT}},
        "block meta": {"content": [{**block, "_meta": {"example.com/note": {"a": [TEXT]}}}]},
        "tool error": {"content": [{"type": "text", "text": TEXT}], "isError": True},
        "unknown member": {"content": [], "note": {"text": TEXT}},
    }


def answers_of(arrived: Arrived, name: str) -> list[dict[str, Any]]:
    """What the server sends for one call: notifications, a request, and the result or error."""
    head = {"jsonrpc": "2.0"}
    if name == "error":
        error = {"code": -32050, "message": TEXT, "data": {"who": [TEXT]}}
        return [{**head, "id": arrived.message["id"], "error": error}]
    if name == "notifications":
        progress = {"progressToken": "t", "progress": 1, "message": TEXT}
        log = {"level": "info", "logger": "crm", "data": {"note": TEXT, "rows": [TEXT]}}
        return [
            {**head, "method": "notifications/progress", "params": progress},
            {**head, "method": "notifications/message", "params": log},
            {**head, "id": arrived.message["id"], "result": {"content": []}},
        ]
    return [{**head, "id": arrived.message["id"], "result": places()[name]}]


async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
    """Answer as a document, or as a stream where the tool is called `stream:...`."""
    if not arrived.body:
        return web.Response(status=405)
    if arrived.method == "initialize":
        result = {
            "protocolVersion": "2025-11-25",
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "s", "version": "1"},
        }
        return document({"jsonrpc": "2.0", "id": arrived.message["id"], "result": result})
    if arrived.method == "tools/list":
        return document({"jsonrpc": "2.0", "id": arrived.message["id"], "result": {"tools": []}})
    if "id" not in arrived.message:
        return web.Response(status=202)
    how, _, name = arrived.message["params"]["name"].partition(":")
    found = answers_of(arrived, name)
    if how == "document":
        return document(found[-1])
    async with events(request) as stream:
        for message in found:
            await stream.send(message)
    return stream.response


@pytest.mark.timeout(120)
@pytest.mark.parametrize("how", ["document", "stream"])
@pytest.mark.parametrize("era", ["modern", "legacy"])
async def test_no_value_of_any_kind_leaks_from_any_place(how: str, era: str) -> None:
    names = [*places(), "error", *(["notifications"] if how == "stream" else [])]
    found: dict[str, list[str]] = {}
    async with serving(script) as upstream, running_gateway() as gateway, mcp_caller(gateway.url("mock")) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url, [masking()]))
        for name in names:
            params = {"name": f"{how}:{name}", "arguments": {}, "_meta": {"progressToken": "t"}}
            message = modern("tools/call", params) if era == "modern" else legacy("tools/call", params)
            if era == "modern":
                message["params"]["_meta"]["progressToken"] = "t"
            reply = await caller.post(message)
            assert reply.status == 200, (name, reply.body)
            text = "\n".join(unescaped(each) for each in reply.messages)
            if kinds := leaked(text):
                found[name] = kinds
    assert found == {}
