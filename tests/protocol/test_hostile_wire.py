"""Hostile messages get a clear answer, cost little, and reach no server.

docs/hostile-wire.md has the whole table. Every gateway here traces every request, since hostile input must not break
tracing.
"""

import asyncio
import json
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from gateways import RunningGateway, running_gateway
from mcp_caller import LEGACY, MODERN, McpCaller, legacy, mcp_caller, modern
from otlp_sink import Sink, http_sink
from upstreams import Arrived, Upstream, answer, document, serving, with_handshake
from wire import connected, post

from ostiary_gateway.telemetry import Telemetry

pytestmark = pytest.mark.usefixtures("quiet")

CALL = {"name": "get_users", "arguments": {}}
VERSION, CAPABILITIES = "io.modelcontextprotocol/protocolVersion", "io.modelcontextprotocol/clientCapabilities"


@pytest.fixture(scope="module")
def sink() -> Any:
    with http_sink() as sink:
        yield sink


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        return document(answer(arrived, {})) if arrived.body else web.Response()

    async with serving(with_handshake(script)) as upstream:
        yield upstream


@pytest.fixture
async def gateway(upstream: Upstream, sink: Sink) -> AsyncIterator[RunningGateway]:
    traced = {"OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint, "OTEL_TRACES_SAMPLER": "always_on"}
    async with running_gateway(telemetry=Telemetry.from_env(traced)) as gateway:
        await gateway.apply(gateway.entry("mock", upstream.url), gateway.entry("other", upstream.url))
        yield gateway


# -- JSON


def ping(params: bytes) -> bytes:
    return b'{"jsonrpc":"2.0","id":1,"method":"ping","params":' + params + b"}"


NO_JSON = {
    "a key that stands twice": ping(b'{"a":1,"a":1}'),
    "a key that stands twice, once in disguise": ping(b'{"name":1,"n\\u0061me":2}'),
    "a lone surrogate": ping(b'{"a":"\\ud800"}'),
    "a lone low surrogate": ping(b'{"a":"\\udc00x"}'),
    "a lone surrogate in a key": ping(b'{"\\ud83d":1}'),
    "a surrogate in UTF-8": ping(b'{"a":"\xed\xa0\x80"}'),
    "an overlong slash": ping(b'{"a":"\xc0\xaf"}'),
    "an overlong quote": ping(b'{"a":"x\xc0\xa2,"b":"}'),
    "an overlong NUL": ping(b'{"a":"\xe0\x80\x80"}'),
    "a character beyond Unicode": ping(b'{"a":"\xf4\x90\x80\x80"}'),
    "half a character": ping(b'{"a":"\xc3"}'),
    "Latin-1": ping('{"a":"é"}'.encode("latin-1")),
    "a byte order mark": b"\xef\xbb\xbf" + ping(b"{}"),
    "UTF-16": ping(b"{}").decode().encode("utf-16"),
    "UTF-32": ping(b"{}").decode().encode("utf-32-le"),
    "arrays to the bottom": ping(b"[" * 200_000 + b"]" * 200_000),
    "arrays without end": ping(b"[" * 400_000),
    "objects to the bottom": ping(b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "an integer of 10,000 digits": ping(b'{"a":' + b"9" * 10_000 + b"}"),
    "a negative integer of 10,000 digits": ping(b'{"a":-' + b"9" * 10_000 + b"}"),
    "an exponent of 10,000 digits": ping(b'{"a":1e' + b"9" * 10_000 + b"}"),
    "an integer beyond 64 bits": ping(b'{"a":18446744073709551616}'),
    "a number that is not finite": ping(b'{"a":1e999}'),
    "NaN": ping(b'{"a":NaN}'),
    "Infinity": ping(b'{"a":-Infinity}'),
    "two documents": ping(b"{}") + ping(b"{}"),
    "a NUL behind it": ping(b"{}") + b"\x00",
    "a comment": ping(b"{}/**/"),
    "a trailing comma": ping(b'{"a":1,}'),
    "single quotes": ping(b"{'a':1}"),
    "nothing": b"",
    "white space": b" \n\t",
    "a NUL": b"\x00",
}


@pytest.mark.parametrize("name", NO_JSON)
async def test_a_body_that_is_not_strict_json_is_a_parse_error_and_is_not_forwarded(
    caller: McpCaller, upstream: Upstream, name: str
) -> None:
    reply = await caller.post(NO_JSON[name])

    assert (reply.status, reply.json["error"]["code"], reply.json["id"]) == (400, -32700, None)
    assert reply.json["error"]["message"]
    assert len(reply.body) < 600
    assert upstream.arrived == []


@pytest.mark.parametrize("digits", [10_000, 300_000])
async def test_a_fraction_of_too_many_digits_is_rounded_or_refused_and_never_forwarded(
    caller: McpCaller, upstream: Upstream, digits: int
) -> None:
    """JSON has no bound for them, and every reader rounds: what is sent is the number as we read it."""
    await caller.post(ping(b'{"a":0.' + b"3" * digits + b"}"))

    assert all(len(arrived.body) < 200 for arrived in upstream.arrived)


async def test_what_is_refused_takes_no_memory_beyond_its_size(caller: McpCaller) -> None:
    tracemalloc.start()
    try:
        for text in NO_JSON.values():
            await caller.post(text)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 30 * max(map(len, NO_JSON.values()))


# -- messages


BATCHES = [b"[]", b"[[]]", b"[1]", b"[" + ping(b"{}") + b"]", b"[" + ping(b"{}") + b"," + ping(b"{}") + b"]"]


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("revision", ["2025-03-26", LEGACY, MODERN])
async def test_a_batch_is_refused_in_every_revision(
    caller: McpCaller, upstream: Upstream, batch: bytes, revision: str
) -> None:
    reply = await caller.post(batch, {"MCP-Protocol-Version": revision})

    assert (reply.status, reply.json["error"]["code"]) == (400, -32600)
    assert "Batches" in reply.json["error"]["message"]
    assert upstream.arrived == []


@pytest.mark.parametrize("era", ["legacy", "modern"])
@pytest.mark.parametrize("identifier", [1.5, 1.0, None, True, [], {}, [1], {"a": 1}, "x" * 100_000])
async def test_an_id_of_another_kind_or_size_is_refused(
    caller: McpCaller, upstream: Upstream, identifier: Any, era: str
) -> None:
    message = {**(legacy if era == "legacy" else modern)("tools/call", CALL), "id": identifier}
    reply = await caller.post(message)

    assert (reply.status, reply.json["error"]["code"], reply.json["id"]) == (400, -32600, None)
    assert upstream.arrived == []


@pytest.mark.parametrize("identifier", [0, -1, 2**63 - 1, 2**64 - 1, "", " ", "\x00", "é" * 100, "1.5", "null"])
async def test_every_other_id_is_answered_letter_for_letter(caller: McpCaller, identifier: Any) -> None:
    for message in (legacy("ping", id=identifier), modern("tools/call", CALL, id=identifier)):
        reply = await caller.post(message)
        assert (reply.status, reply.json["id"], type(reply.json["id"])) == (200, identifier, type(identifier))


WRONG: list[Any] = [None, True, 5, 1.5, "x", [], ["x"], {}, {"a": {}}]
TRACED = ["traceparent", "tracestate", "baggage", "progressToken", "io.modelcontextprotocol/clientInfo"]
TRACED += ["io.modelcontextprotocol/logLevel"]


@pytest.mark.parametrize("value", WRONG, ids=repr)
@pytest.mark.parametrize("key", TRACED)
async def test_a_member_of_meta_of_any_type_does_no_harm(caller: McpCaller, key: str, value: Any) -> None:
    for message in (legacy("ping"), modern("tools/call", CALL)):
        message.setdefault("params", {}).setdefault("_meta", {})[key] = value
        assert (await caller.post(message)).status in {200, 400}


@pytest.mark.parametrize(
    "value", [*WRONG, "00-" + "0" * 32 + "-" + "0" * 16 + "-01", "00-" + "a" * 5000, "\x00", "é"], ids=repr
)
async def test_the_server_hears_a_context_that_is_ours_or_none(
    caller: McpCaller, upstream: Upstream, value: Any
) -> None:
    message = legacy("ping", {"_meta": {"traceparent": value, "tracestate": value}})
    assert (await caller.post(message)).status == 200

    sent = upstream.arrived[-1].message["params"]["_meta"]["traceparent"]
    assert sent == upstream.arrived[-1].headers["traceparent"] != value


@pytest.mark.parametrize("meta", [5, "x", [], True, 1.5])
async def test_meta_that_is_no_object_is_refused(caller: McpCaller, upstream: Upstream, meta: Any) -> None:
    for message in (legacy("ping", {"_meta": meta}), legacy("tools/call", {**CALL, "_meta": meta})):
        reply = await caller.post(message)
        assert (reply.status, reply.json["error"]["code"]) == (400, -32602)
    assert upstream.arrived == []


@pytest.mark.parametrize("key", [VERSION, CAPABILITIES])
@pytest.mark.parametrize("value", WRONG, ids=repr)
async def test_an_envelope_of_wrong_types_is_refused(
    caller: McpCaller, upstream: Upstream, key: str, value: Any
) -> None:
    if key == CAPABILITIES and isinstance(value, dict):
        return
    message = modern("tools/call", CALL)
    message["params"]["_meta"][key] = value
    reply = await caller.post(message)

    assert reply.status == 400
    assert reply.json["error"]["code"] in {-32602, -32020}
    assert upstream.arrived == []


ANYWHERE = [
    "traceparent",
    "tracestate",
    "baggage",
    "User-Agent",
    "Mcp-Session-Id",
    "X-Forwarded-For",
    "Accept",
    "Cookie",
]


@pytest.mark.parametrize("header", ANYWHERE)
async def test_bytes_that_are_not_text_do_not_damage_the_trace(
    gateway: RunningGateway, upstream: Upstream, sink: Sink, header: str
) -> None:
    sink.clear()
    line = f"{header}: \udcff\udcfe\u00e9,="
    for path in ("/mock/mcp", "/nowhere/mcp"):
        async with connected(gateway.app.port) as wire:
            await wire.send(post(path, json.dumps(legacy("tools/list")).encode(), line))
            assert (await wire.reply()).status in {200, 404, 406}
    await asyncio.to_thread(sink.wait_for, lambda spans: sum(span.kind == "SERVER" for span in spans) == 2)


# -- headers against the body

CONTRADICTIONS: dict[str, dict[str, str | None]] = {
    "another method": {"Mcp-Method": "tools/list"},
    "a method in other letters": {"Mcp-Method": "Tools/Call"},
    "a method in base64": {"Mcp-Method": "=?base64?dG9vbHMvY2FsbA==?="},
    "no method": {"Mcp-Method": None},
    "an empty method": {"Mcp-Method": ""},
    "another name": {"Mcp-Name": "delete_users"},
    "a name in other letters": {"Mcp-Name": "Get_Users"},
    "another name in base64": {"Mcp-Name": "=?base64?ZGVsZXRlX3VzZXJz?="},
    "a name in base64 without its padding": {"Mcp-Name": "=?base64?Z2V0X3VzZXJz=?="},
    "a name in base64 of the other alphabet": {"Mcp-Name": "=?base64?Z2V0X3VzZXJ-?="},
    "a name in base64 with blanks": {"Mcp-Name": "=?base64?Z2V0 X3VzZXJz?="},
    "a name under a marker in capitals": {"Mcp-Name": "=?BASE64?Z2V0X3VzZXJz?="},
    "a name in quotes": {"Mcp-Name": '"get_users"'},
    "a name in percents": {"Mcp-Name": "get%5Fusers"},
    "no name": {"Mcp-Name": None},
    "an empty name": {"Mcp-Name": ""},
    "two names": {"Mcp-Name": "get_users, get_users"},
    "another revision": {"MCP-Protocol-Version": LEGACY},
    "a revision that does not exist": {"MCP-Protocol-Version": "9999-99-99"},
    "no revision": {"MCP-Protocol-Version": None},
    "two revisions": {"MCP-Protocol-Version": f"{MODERN}, {MODERN}"},
    "a parameter that is badly encoded": {"Mcp-Param-Region": "=?base64?%?="},
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
async def test_a_header_that_contradicts_the_body_is_a_mismatch(
    caller: McpCaller, upstream: Upstream, name: str
) -> None:
    reply = await caller.post(modern("tools/call", CALL, id=3), CONTRADICTIONS[name])

    assert (reply.status, reply.json["error"]["code"], reply.json["id"]) == (400, -32020, 3)
    assert upstream.arrived == []


@pytest.mark.parametrize("value", ["get_users", " get_users\t", "=?base64?Z2V0X3VzZXJz?="])
async def test_a_name_that_agrees_passes_in_each_encoding(caller: McpCaller, value: str) -> None:
    assert (await caller.post(modern("tools/call", CALL), {"Mcp-Name": value})).status == 200


# -- answers that clients post

ANSWER = {"jsonrpc": "2.0", "id": 1, "result": {}}
NO_ANSWERS: list[dict[str, Any]] = [
    {**ANSWER, "error": {"code": 1, "message": "x"}},
    {**ANSWER, "method": "ping"},
    {**ANSWER, "method": None},
    {**ANSWER, "params": {}},
    {**ANSWER, "id": None},
    {**ANSWER, "id": 1.5},
    {**ANSWER, "result": []},
    {**ANSWER, "result": None},
    {**ANSWER, "jsonrpc": "1.0"},
    {"jsonrpc": "2.0", "result": {}},
    {"jsonrpc": "2.0", "id": 1},
    {"jsonrpc": "2.0", "id": 1, "error": "x"},
    {"id": 1, "result": {}},
]


async def test_an_answer_passes_to_the_server_of_its_session(caller: McpCaller, upstream: Upstream) -> None:
    await caller.initialize()

    for message in (ANSWER, {"jsonrpc": "2.0", "id": "a", "error": {"code": -1, "message": "no"}}):
        assert (await caller.post(message)).status == 202
        assert upstream.arrived[-1].message == message
        assert upstream.arrived[-1].headers["Mcp-Session-Id"] == "upstream-session"


async def test_an_answer_passes_to_no_other_server_and_without_a_session_to_none(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream
) -> None:
    await caller.initialize()
    before = len(upstream.arrived)
    async with mcp_caller(gateway.url("other")) as other:
        assert (await other.post(ANSWER, {"Mcp-Session-Id": caller.session})).status == 404
        assert (await other.post(ANSWER)).status == 400
        assert (await other.post(ANSWER, {"Mcp-Session-Id": "made-up"})).status == 404
    assert len(upstream.arrived) == before


@pytest.mark.parametrize("message", NO_ANSWERS, ids=json.dumps)
async def test_what_is_only_nearly_an_answer_is_refused_in_a_session(
    caller: McpCaller, upstream: Upstream, message: dict[str, Any]
) -> None:
    await caller.initialize()
    before = len(upstream.arrived)
    assert (await caller.post(message)).status == 400
    assert len(upstream.arrived) == before


async def test_the_newest_revision_takes_no_answers(caller: McpCaller, upstream: Upstream) -> None:
    await caller.initialize()
    before = len(upstream.arrived)
    for headers in ({"Mcp-Session-Id": None}, {}):
        reply = await caller.post(ANSWER, {"MCP-Protocol-Version": MODERN, **headers})
        assert reply.status == 400
        assert reply.json["error"]["code"] in {-32600, -32020}
    assert len(upstream.arrived) == before


# -- bodies where none belong


@pytest.mark.parametrize("method", ["GET", "DELETE", "OPTIONS"])
@pytest.mark.parametrize(
    "framing", ["Content-Length: 5", "Content-Length: 1000000000000", "Transfer-Encoding: chunked"]
)
async def test_a_body_that_belongs_to_no_post_is_refused(
    gateway: RunningGateway, upstream: Upstream, method: str, framing: str
) -> None:
    head = f"{method} /mock/mcp HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n"
    head += f"Origin: http://localhost:{gateway.app.port}\r\nAccess-Control-Request-Method: POST\r\n{framing}\r\n\r\n"
    async with connected(gateway.app.port) as wire:
        # No more than the body: aiohttp refuses a packet whole of which any part is malformed.
        await wire.send(head.encode() + (b"hello" if framing.endswith(": 5") else b"5\r\nhello\r\n"))
        reply = await wire.reply()
        assert (reply.status, reply.json["error"], reply.headers["connection"]) == (400, "UnexpectedBody", "close")
        assert await wire.closed()
    assert upstream.arrived == []


async def test_a_delete_with_content_length_zero_is_accepted(caller: McpCaller) -> None:
    await caller.initialize()
    assert (await caller.request("DELETE", {"Content-Length": "0"})).status != 400


# -- methods


@pytest.mark.parametrize("method", ["no/such", "Tools/Call", "rpc.discover", "tools", "x" * 5000])
async def test_a_method_that_is_not_in_our_table_is_refused(caller: McpCaller, upstream: Upstream, method: str) -> None:
    for message, status in ((legacy(method), 200), (modern(method), 404)):
        reply = await caller.post(message)
        assert (reply.status, reply.json["error"]["code"], reply.json["id"]) == (status, -32601, 1)
        assert len(reply.body) < 1000
    assert upstream.arrived == []


@pytest.mark.parametrize("method", [None, 5, [], {}, True, ["tools/call"]])
async def test_a_method_that_is_no_text_is_refused(caller: McpCaller, upstream: Upstream, method: Any) -> None:
    reply = await caller.post({**legacy("ping"), "method": method})

    assert (reply.status, reply.json["error"]["code"]) == (400, -32600)
    assert upstream.arrived == []
