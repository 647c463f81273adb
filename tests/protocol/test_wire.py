"""Each misuse of HTTP gets a clear answer and never reaches a server."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from gateways import RunningGateway, running_gateway
from mcp_caller import LEGACY, MODERN, McpCaller, legacy, mcp_caller, modern, modern_headers
from mcp_clients import eventually
from upstreams import Arrived, Upstream, answer, document, serving, with_handshake
from wire import RawReply, connected, exchange, post

from ostiary_core.contract.bounds import BoundsConfig
from ostiary_gateway.pipeline import body as body_stage

pytestmark = pytest.mark.usefixtures("quiet")

SMALL = BoundsConfig(
    request_bytes=4096, message_bytes=1 << 20, requests_in_flight=5, streams=5, session_max_age=3_600_000
)
PING = json.dumps(legacy("ping")).encode()
BIG = json.dumps(legacy("tools/call", {"name": "x", "arguments": {"padding": "x" * 8000}})).encode()


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        return document(answer(arrived, {}))

    async with serving(with_handshake(script)) as upstream:
        yield upstream


@pytest.fixture
async def gateway(upstream: Upstream) -> AsyncIterator[RunningGateway]:
    async with running_gateway(bounds=SMALL, origins=["https://app.example.com"]) as gateway:
        await gateway.apply(gateway.entry("mock", upstream.url))
        yield gateway


async def raw(gateway: RunningGateway, data: bytes) -> RawReply:
    return await exchange(gateway.app.port, data)


def refused(reply: RawReply, status: int, reason: str) -> None:
    assert (reply.status, reply.json["error"]) == (status, reason)
    assert reply.json["message"]


# -- paths and hosts


@pytest.mark.parametrize("path", ["/mock/mcp", "/mock/mcp?x=1", "/mock/mcp?", "/mock/mcp?/../other"])
async def test_the_endpoint_is_found_by_its_path(gateway: RunningGateway, path: str) -> None:
    assert (await raw(gateway, post(path, PING))).status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/mcp",
        "/mock",
        "/mock/",
        "/mock/mcp//",
        "//mock/mcp/",
        "/mock//mcp",
        "//mock/mcp",
        "/x/../mock/mcp",
        "/mock/./mcp",
        "/mock%2fmcp",
        "/m%6fck/mcp",
        "/Mock/mcp",
        "/mock/MCP",
        "/mock/mcp;a",
        "/mock/mcp%20",
        "/mock/mcpx",
        "/mockx/mcp",
        "/mock/mcp%00",
        "/mock/mcp/..%2fadmin",
        "/../../etc/passwd",
        "http://127.0.0.1/mock/mcp",
        "http://evil.example/mock/mcp",
        "*",
        "/" + "x" * 4000,
    ],
)
async def test_no_other_spelling_of_a_path_is_served(gateway: RunningGateway, upstream: Upstream, path: str) -> None:
    reply = await raw(gateway, post(path, PING))

    assert reply.status in {404, 400}  # aiohttp refuses what is no URL
    assert upstream.arrived == []


@pytest.mark.parametrize("path", ["/mock/mcp\udcff", "mock/mcp", "/mock/mcp\x00", "/mock /mcp"])
async def test_what_is_no_path_is_400(gateway: RunningGateway, upstream: Upstream, path: str) -> None:
    assert (await raw(gateway, post(path, PING))).status == 400
    assert upstream.arrived == []


async def test_an_endpoint_with_a_slash_at_its_end_is_the_endpoint(gateway: RunningGateway, upstream: Upstream) -> None:
    assert (await raw(gateway, post("/mock/mcp/", PING))).status == 200
    assert upstream.count("ping") == 1


@pytest.mark.parametrize("path", ["/mock", "/mock/", "/mock/mcp//"])
async def test_the_refusal_of_a_similar_path_names_the_endpoint(gateway: RunningGateway, path: str) -> None:
    reply = await raw(gateway, post(path, PING))

    refused(reply, 404, "NotTheEndpoint")
    assert "/mock/mcp" in reply.json["message"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST:8080", "[::1]:9", "127.0.0.1:1"])
async def test_a_gateway_on_loopback_accepts_loopback_names(gateway: RunningGateway, host: str) -> None:
    assert (await raw(gateway, post("/mock/mcp", PING, host=host))).status == 200


OTHER_HOSTS = ["evil.example", "localhost.", "localhost.evil.example", "127.0.0.2", "[::1", "localhost@evil", "", "::1"]


@pytest.mark.parametrize("host", OTHER_HOSTS)
async def test_a_gateway_on_loopback_refuses_other_names_because_of_dns_rebinding(
    gateway: RunningGateway, upstream: Upstream, host: str
) -> None:
    refused(await raw(gateway, post("/mock/mcp", PING, host=host)), 403, "HostNotAllowed")
    assert upstream.arrived == []


async def test_a_request_without_a_host_is_refused(gateway: RunningGateway) -> None:
    assert (await raw(gateway, b"GET /mock/mcp HTTP/1.1\r\nAccept: text/event-stream\r\n\r\n")).status == 400
    refused(await raw(gateway, b"GET /mock/mcp HTTP/1.0\r\nAccept: text/event-stream\r\n\r\n"), 400, "NoHost")


async def test_with_hostnames_a_proxy_is_at_those_only(upstream: Upstream) -> None:
    async with running_gateway(host="0.0.0.0") as gateway:  # noqa: S104  only so that the rule for loopback does not hold
        await gateway.apply(gateway.entry("mock", upstream.url, hostnames=["mcp.example.com"]))
        for host, status in (("mcp.example.com", 200), ("MCP.example.com:8080", 200)):
            assert (await raw(gateway, post("/mock/mcp", PING, host=host))).status == status
        for host in ("127.0.0.1", "mcp.example.com.", "x.mcp.example.com", "mcp.example.co"):
            assert (await raw(gateway, post("/mock/mcp", PING, host=host))).status == 404


@pytest.mark.parametrize("method", ["PUT", "PATCH", "HEAD", "OPTIONS", "TRACE", "CONNECT", "PROPFIND"])
async def test_another_http_method_is_405(gateway: RunningGateway, upstream: Upstream, method: str) -> None:
    target = "mock:80" if method == "CONNECT" else "/mock/mcp"
    async with connected(gateway.app.port) as wire:
        await wire.send(f"{method} {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        head = await wire.head()

    assert head.status in {405} | ({400, 404} if method == "CONNECT" else set())
    if head.status == 405:
        assert head.headers["allow"] == "post, get, delete"
    assert upstream.arrived == []


# -- origins


@pytest.mark.parametrize("origin", ["https://app.example.com", "http://localhost:{port}", "http://127.0.0.1:{port}"])
async def test_an_origin_that_is_ours_or_allowed_passes(
    gateway: RunningGateway, caller: McpCaller, origin: str
) -> None:
    assert (await caller.post(legacy("ping"), {"Origin": origin.format(port=gateway.app.port)})).status == 200


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "",
        "http://localhost",
        "http://localhost:1",
        "https://localhost:{port}",
        "http://localhost:{port}/",
        "http://localhost:x@evil.example:{port}",
        "http://localhost.evil.example:{port}",
        "HTTP://LOCALHOST:{port}",
        "https://app.example.com.evil.example",
        "https://app.example.com:443",
        "http://app.example.com",
        "file://",
        "http://[",
    ],
)
async def test_any_other_origin_is_403(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream, origin: str
) -> None:
    reply = await caller.post(legacy("ping"), {"Origin": origin.format(port=gateway.app.port)})

    assert (reply.status, reply.json["error"]) == (403, "OriginNotAllowed")
    assert upstream.arrived == []


async def test_the_hostname_of_one_tenants_proxy_is_no_origin_at_anothers(upstream: Upstream) -> None:
    async with running_gateway() as gateway:
        gateway.settings = gateway.settings.model_copy(update={"external_url": "https://mcp.example.com"})
        await gateway.apply(
            gateway.entry("mock", upstream.url), gateway.entry("theirs", upstream.url, hostnames=["localhost"])
        )
        page = {"Origin": "https://localhost", "Host": "localhost"}
        async with mcp_caller(gateway.url("theirs")) as caller:
            assert (await caller.post(legacy("ping"), page)).status == 200
        async with mcp_caller(gateway.url()) as caller:
            refused = await caller.post(legacy("ping"), page)
            assert (refused.status, refused.json["error"]) == (403, "OriginNotAllowed")


async def test_the_origin_of_our_public_url_passes(upstream: Upstream) -> None:
    async with running_gateway() as gateway, mcp_caller(gateway.url()) as caller:
        gateway.settings = gateway.settings.model_copy(update={"external_url": "https://mcp.example.com"})
        await gateway.apply(gateway.entry("mock", upstream.url))
        assert (await caller.post(legacy("ping"), {"Origin": "https://mcp.example.com"})).status == 200
        assert (await caller.post(legacy("ping"), {"Origin": "https://mcp.example.org"})).status == 403


# -- types


@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "application/json; charset=utf-8",
        'Application/JSON;Charset="UTF-8"',
        "application/json ;x=y",
    ],
)
async def test_json_in_utf8_is_taken(caller: McpCaller, kind: str) -> None:
    assert (await caller.post(legacy("ping"), {"Content-Type": kind})).status == 200


@pytest.mark.parametrize(
    "kind",
    [
        *[None, "", "text/plain", "application/jsonx", "application/json; charset=utf-16", "json"],
        *["application/x-www-form-urlencoded", "multipart/form-data", "application/json; charset=latin-1"],
        "application/json, text/plain",
    ],
)
async def test_any_other_type_is_415(caller: McpCaller, upstream: Upstream, kind: str | None) -> None:
    reply = await caller.post(legacy("ping"), {"Content-Type": kind})

    assert reply.status == 415
    assert upstream.arrived == []


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "x", "identity, gzip"])
async def test_an_encoded_body_is_415_and_is_not_unpacked(caller: McpCaller, encoding: str) -> None:
    assert (await caller.post(legacy("ping"), {"Content-Encoding": encoding})).status == 415


@pytest.mark.parametrize(
    "accept",
    [
        None,
        "*/*",
        "application/json, text/event-stream",
        "text/*;q=0.5, application/*",
        "TEXT/EVENT-STREAM,*/*",
        "text/html;q=0, */*;q=0.01",
    ],
)
async def test_a_caller_that_accepts_both_types_is_served(caller: McpCaller, accept: str | None) -> None:
    assert (await caller.post(legacy("ping"), {"Accept": accept})).status == 200


@pytest.mark.parametrize(
    "accept",
    [
        *("application/json", "text/event-stream", "text/html", "", "x", "*/*;q=0"),
        *("application/json;q=0, text/event-stream", "*/*, text/event-stream; x=1; Q=0.000"),
    ],
)
async def test_a_caller_that_does_not_accept_both_types_gets_406(
    caller: McpCaller, upstream: Upstream, accept: str
) -> None:
    assert (await caller.post(legacy("ping"), {"Accept": accept})).status == 406
    assert upstream.arrived == []


async def test_two_accept_headers_are_one_list(gateway: RunningGateway) -> None:
    lines = ["Host: localhost", "Content-Type: application/json", f"Content-Length: {len(PING)}"]
    lines += ["Accept: application/json", "Accept: text/event-stream"]
    data = "\r\n".join(["POST /mock/mcp HTTP/1.1", *lines, "", ""]).encode() + PING

    assert (await raw(gateway, data)).status == 200


# -- duplicate headers


TWICE = ["MCP-Protocol-Version", "Mcp-Method", "Mcp-Name", "Mcp-Session-Id", "Origin", "Host", "Content-Type"]
TWICE += ["traceparent", "Authorization", "Last-Event-ID"]


@pytest.mark.parametrize("name", TWICE)
@pytest.mark.parametrize("second", ["same", "other"])
async def test_a_duplicate_routing_header_is_refused(
    gateway: RunningGateway, upstream: Upstream, name: str, second: str
) -> None:
    first = {"Host": "localhost", "Content-Type": "application/json"}.get(name, "x")
    lines = [f"{name.upper()}: {first if second == 'same' else 'y'}"]
    if name not in ("Host", "Content-Type"):
        lines.append(f"{name.lower()}: {first}")
    reply = await raw(gateway, post("/mock/mcp", PING, *lines, host="localhost"))

    assert reply.status == 400
    assert upstream.arrived == []


async def test_a_duplicate_mirrored_parameter_is_refused(gateway: RunningGateway, upstream: Upstream) -> None:
    body = modern("tools/call", {"name": "x"})
    lines = [f"{name}: {value}" for name, value in modern_headers(body).items()]
    reply = await raw(gateway, post("/mock/mcp", json.dumps(body).encode(), *lines, "Mcp-Param-A: 1", "mcp-param-a: 1"))

    assert (reply.status, reply.json["error"]["code"], reply.json["id"]) == (400, -32020, 1)
    assert upstream.arrived == []


@pytest.mark.parametrize("header", ["Mcp-Name", "Mcp-Param-X", "MCP-Protocol-Version", "Mcp-Method"])
@pytest.mark.parametrize("value", ["caf\u00e9", "\udcff"])
async def test_bytes_beyond_ascii_in_a_mirrored_header_are_a_mismatch(
    gateway: RunningGateway, upstream: Upstream, header: str, value: str
) -> None:
    body = modern("tools/call", {"name": "x"})
    lines = [f"{name}: {text}" for name, text in {**modern_headers(body), header: value}.items()]
    reply = await raw(gateway, post("/mock/mcp", json.dumps(body).encode(), *lines))

    assert (reply.status, reply.json["error"]["code"]) == (400, -32020)
    assert upstream.arrived == []


@pytest.mark.parametrize("value", ["\udcff", "caf\u00e9", "x" * 3000])
async def test_a_last_event_id_that_cannot_be_passed_on_is_refused(
    gateway: RunningGateway, upstream: Upstream, value: str
) -> None:
    head = f"GET /mock/mcp HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\nLast-Event-ID: {value}\r\n\r\n"

    refused(await raw(gateway, head.encode("utf-8", "surrogateescape")), 400, "InvalidHeader")
    assert upstream.arrived == []


@pytest.mark.parametrize("header", ["Mcp-Session-Id", "traceparent", "tracestate", "Accept", "User-Agent", "Cookie"])
async def test_bytes_that_are_not_text_in_a_header_cause_no_internal_error(
    gateway: RunningGateway, header: str
) -> None:
    reply = await raw(gateway, post("/mock/mcp", PING, f"{header}: \udcff\udcfe" + "x" * 100))

    assert reply.status in {200, 404, 406}


# -- bodies


async def test_a_body_over_the_limit_is_413_before_it_is_sent(gateway: RunningGateway, upstream: Upstream) -> None:
    async with connected(gateway.app.port) as wire:
        await wire.send(post("/mock/mcp", b"", length=10**12))
        reply = await wire.reply()

    assert (reply.status, reply.json["error"]["code"]) == (413, -31006)
    assert reply.headers["connection"] == "close"
    assert upstream.arrived == []


async def test_a_body_over_the_limit_is_413_as_it_comes(gateway: RunningGateway, upstream: Upstream) -> None:
    reply = await raw(gateway, post("/mock/mcp", BIG))

    assert (reply.status, reply.json["error"]["code"], reply.json["id"]) == (413, -31006, None)
    assert upstream.arrived == []


async def test_a_chunked_body_is_taken_and_over_the_limit_it_is_413(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    def chunked(body: bytes, size: int) -> bytes:
        chunks = [body[place : place + size] for place in range(0, len(body), size)]
        framed = b"".join(b"%x;ext=1\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
        return post("/mock/mcp", b"", "Transfer-Encoding: chunked", length=-1) + framed + b"0\r\nTrailer: x\r\n\r\n"

    assert (await raw(gateway, chunked(PING, 5))).status == 200
    reply = await raw(gateway, chunked(BIG, 1000))
    assert (reply.status, reply.json["error"]["code"]) == (413, -31006)
    assert len(upstream.arrived) == 1


async def test_a_body_of_exactly_the_limit_is_taken(caller: McpCaller) -> None:
    whole = json.dumps(legacy("ping")).encode()

    assert (await caller.post(whole + b" " * (4096 - len(whole)))).status == 200
    assert (await caller.post(whole + b" " * (4097 - len(whole)))).status == 413


async def test_a_caller_that_expects_100_continue_receives_it(gateway: RunningGateway) -> None:
    async with connected(gateway.app.port) as wire:
        await wire.send(post("/mock/mcp", b"", "Expect: 100-continue", length=len(PING)))
        assert (await wire.head()).status == 100
        await wire.send(PING)
        assert (await wire.reply()).status == 200


async def test_and_is_not_asked_where_the_answer_is_clear_already(gateway: RunningGateway) -> None:
    async with connected(gateway.app.port) as wire:
        await wire.send(post("/nowhere", b"", "Expect: 100-continue", length=10))
        assert (await wire.reply()).status == 404


@pytest.mark.parametrize("how", ["silent", "drip"])
async def test_a_body_that_comes_too_slowly_is_408(
    gateway: RunningGateway, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body_stage, "SILENCE_SECONDS", 0.1 if how == "silent" else 5.0)
    monkeypatch.setattr(body_stage, "WHOLE_SECONDS", 5.0 if how == "silent" else 0.2)
    async with connected(gateway.app.port) as wire:
        await wire.send(post("/mock/mcp", b"", length=1000))
        dripping = asyncio.create_task(drip(wire.send)) if how == "drip" else None
        refused(await wire.reply(), 408, "BodyTooSlow")
        if dripping is not None:
            dripping.cancel()


async def drip(send: Any) -> None:
    while True:
        await send(b" ")
        await asyncio.sleep(0.02)


async def test_a_caller_that_disconnects_during_its_body_leaves_nothing_behind(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    async with connected(gateway.app.port) as wire:
        await wire.send(post("/mock/mcp", PING[:10], length=len(PING)))
        await eventually(lambda: any(not each.idle for each in gateway.app._data.connections))
    await eventually(lambda: not gateway.app._data.connections)
    assert upstream.arrived == []
    assert gateway.app.pipeline.limiter.requests == 0


SMUGGLED = {
    "two lengths": post("/mock/mcp", PING, "Content-Length: 5"),
    "length and chunked": post("/mock/mcp", b"0\r\n\r\n", "Transfer-Encoding: chunked"),
    "an unknown transfer coding": post("/mock/mcp", PING, "Transfer-Encoding: xchunked", length=-1),
    "chunked not last": post("/mock/mcp", PING, "Transfer-Encoding: chunked, gzip", length=-1),
    "a signed length": post("/mock/mcp", b"", f"Content-Length: +{len(PING)}", length=-1) + PING,
    "a folded header": post("/mock/mcp", PING, "X: a", " folded"),
    "a space before the colon": post("/mock/mcp", PING, "X : a"),
    "a bare line feed": post("/mock/mcp", PING).replace(b"\r\n", b"\n", 1),
    "a DEL in a header": post("/mock/mcp", PING, "Mcp-Name: a\x7fb"),
    "a NUL in a header": post("/mock/mcp", PING, "X: a\x00b"),
    "a bare carriage return": post("/mock/mcp", PING, "X: a\rY: b"),
    "a chunk size that is none": post("/mock/mcp", b"zz\r\n{}\r\n0\r\n\r\n", "Transfer-Encoding: chunked", length=-1),
    "another version": b"POST /mock/mcp HTTP/9.9\r\nHost: localhost\r\n\r\n",
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "a header without end": b"POST /mock/mcp HTTP/1.1\r\nX: " + b"x" * 40_000,
    "too many headers": post("/mock/mcp", PING, *(f"X-{number}: 1" for number in range(300))),
}


TOO_MUCH = {"a header without end", "too many headers"}


@pytest.mark.parametrize("name", SMUGGLED)
async def test_bytes_that_some_server_reads_as_two_requests_are_refused(
    gateway: RunningGateway, upstream: Upstream, name: str
) -> None:
    async with connected(gateway.app.port) as wire:
        await wire.send(SMUGGLED[name])
        assert (await wire.reply()).status == (431 if name in TOO_MUCH else 400)
        assert await wire.closed()
    assert upstream.arrived == []


async def test_pipelined_requests_are_answered_in_their_order(gateway: RunningGateway) -> None:
    async with connected(gateway.app.port) as wire:
        bodies = [json.dumps(legacy("ping", id=number)).encode() for number in range(5)]
        await wire.send(b"".join(post("/mock/mcp", body) for body in bodies))
        assert [(await wire.reply()).json["id"] for _ in bodies] == list(range(5))


async def test_a_refusal_keeps_the_connection_for_the_next_request(gateway: RunningGateway) -> None:
    async with connected(gateway.app.port) as wire:
        for body, status in ((b"{", 400), (PING, 200), (b"[]", 400), (PING, 200)):
            await wire.send(post("/mock/mcp", body))
            assert (await wire.reply()).status == status


# -- messages (the table of shapes is in tests/unit/ostiary_gateway/pipeline/test_decode.py)


@pytest.mark.parametrize(
    ("body", "status", "code", "identifier"),
    [
        (b"{", 400, -32700, None),
        (b'[{"jsonrpc":"2.0","method":"ping","id":1}]', 400, -32600, None),
        (b'{"jsonrpc":"2.0","method":"ping","id":1,"id":2}', 400, -32700, None),
        (
            b'{"jsonrpc":"2.0","method":"ping","id":3,"params":{"_meta":{"traceparent":7,"progressToken":[]}}}',
            200,
            0,
            3,
        ),
        (b'{"jsonrpc":"2.0","method":"no/such","id":"a"}', 200, -32601, "a"),
        (b'{"jsonrpc":"2.0","method":"tools/call","id":4,"params":{}}', 200, -32602, 4),
        (b'{"jsonrpc":"2.0","method":"ping","id":5,"params":[]}', 400, -32602, 5),
        (b'{"jsonrpc":"2.0","method":"ping","id":6,"x":1}', 400, -32600, 6),
        (b'{"jsonrpc":"2.0","id":7,"result":{}}', 400, -32600, None),
        (b'{"jsonrpc":"2.0","method":"ping","id":1.5}', 400, -32600, None),
        (b'{"jsonrpc":"2.0","method":"ping","id":null}', 400, -32600, None),
    ],
)
async def test_a_refusal_has_the_id_of_its_request(
    caller: McpCaller, upstream: Upstream, body: bytes, status: int, code: int, identifier: Any
) -> None:
    reply = await caller.post(body)

    assert (reply.status, reply.json["id"]) == (status, identifier)
    if code:
        assert reply.json["error"]["code"] == code
        assert upstream.arrived == []


@pytest.mark.parametrize("params", [{}, {"_meta": {}}])
async def test_a_modern_request_without_its_envelope_gets_an_error(caller: McpCaller, params: dict[str, Any]) -> None:
    reply = await caller.post(
        legacy("server/discover", params, id=101), {"MCP-Protocol-Version": MODERN, "Mcp-Method": "server/discover"}
    )

    assert (reply.status, reply.json["error"]["code"], reply.json["id"]) == (400, -32602, 101)


async def test_initialize_does_not_exist_in_the_modern_revision(caller: McpCaller) -> None:
    reply = await caller.post(modern("initialize", {"protocolVersion": LEGACY}, id=500))

    assert (reply.status, reply.json["error"]["code"], reply.json["id"]) == (404, -32601, 500)


async def test_what_is_passed_on_is_what_was_judged(caller: McpCaller, upstream: Upstream) -> None:
    body = (
        b'{ "id" : 1,"jsonrpc":"2.0" ,\n"params":{"name":"\\u0067et","arguments":{"z":1.0,"a":-0,"\\/":"\\u00fc"}},'
        b'"method":"tools/call"}'
    )
    assert (await caller.post(body)).status == 200

    assert upstream.arrived[0].body == (
        b'{"id":1,"jsonrpc":"2.0","params":{"name":"get","arguments":{"z":1.0,"a":0,"/":"\xc3\xbc"}},'
        b'"method":"tools/call"}'
    )


# -- bounds and readiness


async def test_beyond_the_limit_of_requests_the_next_gets_retry_after() -> None:
    gate = asyncio.Event()

    async def slow(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        await gate.wait()
        return document(answer(arrived, {}))

    async with running_gateway(bounds=SMALL) as gateway, serving(slow) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url))
        waiting = [asyncio.create_task(caller.post(legacy("ping", id=number))) for number in range(5)]
        await eventually(lambda: gateway.app.pipeline.limiter.requests == 5)
        reply = await caller.post(legacy("ping", id=9))
        assert (reply.status, reply.json["error"]["code"], reply.json["id"]) == (
            503,
            -31002,
            None,
        )  # its body was not read
        assert reply.headers["Retry-After"] == "1"
        gate.set()
        assert [reply.json["id"] for reply in await asyncio.gather(*waiting)] == list(range(5))
        assert (await caller.post(legacy("ping"))).status == 200


async def test_without_a_config_the_gateway_is_not_ready() -> None:
    async with running_gateway() as gateway:
        async with connected(gateway.app.port) as wire:
            await wire.send(post("/mock/mcp", PING))
            reply = await wire.reply()
            assert reply.headers["connection"] == "close"
            assert await wire.closed()
        refused(reply, 503, "NotReady")
        assert reply.headers["retry-after"] == "1"


async def test_a_bug_of_ours_is_an_internal_error_and_not_a_crash(
    gateway: RunningGateway, caller: McpCaller, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def bug(*_: Any) -> None:
        raise RuntimeError("secret words")

    monkeypatch.setattr("ostiary_gateway.pipeline.pipeline.recall_or_authorize", bug)
    reply = await caller.post(legacy("ping", id=3))
    assert (reply.status, reply.json["error"], reply.json["id"]) == (
        500,
        {"code": -32603, "message": "Internal error", "data": {"reason": "InternalError"}},
        3,
    )
    assert "this is a bug" in caplog.text
    caplog.clear()
    monkeypatch.undo()
    assert (await caller.post(legacy("ping"))).status == 200
