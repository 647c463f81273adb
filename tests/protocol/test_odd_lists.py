"""Lists that no strict reader takes, of servers that mean no harm: each tool that can be judged reaches its caller."""

import json
import logging
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from gateways import RunningGateway, policy, running_gateway
from mcp_caller import McpCaller, legacy, mcp_caller, modern
from otlp_sink import http_sink
from upstreams import Arrived, document, events, serving, with_handshake

from ostiary_gateway.telemetry import Telemetry

SOME = {"name": "some", "effect": "Allow", "tools": {"names": ["shown_*"]}}
HUGE = 2**256 - 1
ODD_SCHEMAS = {
    "an integer of 256 bits": f'{{"type":"object","properties":{{"n":{{"maximum":{HUGE}}}}}}}',
    "a key that stands twice": '{"type":"object","type":"object"}',
    "half a character": '{"type":"object","title":"\\ud83d"}',
    "a float beyond all": '{"type":"object","maximum":1e999}',
}


def serve(tools: str, form: str) -> Any:
    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        text = f'{{"jsonrpc":"2.0","id":{json.dumps(arrived.message["id"])},"result":{{"tools":[{tools}]}}}}'.encode()
        if form == "a byte order mark":
            return document(b"\xef\xbb\xbf" + text)
        if form == "document":
            return document(text)
        async with events(request) as stream:
            await stream.raw(b"data: " + text + b"\n\n")
        return stream.response

    return serving(with_handshake(script))


@pytest.mark.parametrize("form", ["document", "events", "a byte order mark"])
@pytest.mark.parametrize("schema", ODD_SCHEMAS.values(), ids=ODD_SCHEMAS)
@pytest.mark.parametrize("make", [legacy, modern])
async def test_one_odd_schema_takes_nothing_from_a_filtered_list(
    gateway: RunningGateway, caller: McpCaller, schema: str, form: str, make: Any
) -> None:
    odd, plain = f'{{"name":"shown_odd","inputSchema":{schema}}}', '{"name":"shown_plain","inputSchema":{}}'
    async with serve(f'{odd},{{"name":"hidden","inputSchema":{schema}}},{plain}', form) as upstream:
        await gateway.apply(gateway.entry("mock", upstream.url, [policy("p", SOME)]))
        for number in (1, 2):
            body = (await caller.post(make("tools/list", {}, id=number))).body
            assert f'"id":{number},"result":{{"tools":[{odd},{plain}]}}}}'.encode() in body


@pytest.mark.parametrize("form", ["document", "events", "a byte order mark"])
@pytest.mark.parametrize("schema", ['{"type":"object"}', *ODD_SCHEMAS.values()], ids=["strict", *ODD_SCHEMAS])
async def test_tools_under_conditions_are_listed_in_every_form_and_narrowed_where_they_are_strict(
    gateway: RunningGateway, caller: McpCaller, schema: str, form: str
) -> None:
    limit = {"path": ["n"], "maximum": 5}
    rules: list[dict[str, Any]] = [
        {"name": "pay", "effect": "Allow", "tools": {"names": ["pay", "odd"]}, "arguments": [limit]},
        {"name": "other", "effect": "Deny", "tools": {"names": ["pay"]}, "when": "args.n > 3"},
    ]
    odd, pay = f'{{"name":"odd","inputSchema":{schema}}}', '{"name":"pay","inputSchema":{"type":"object"}}'
    narrowed = '{"type":"object","properties":{"n":{"type":"number","maximum":5}},"required":["n"]}'
    async with serve(f'{odd},{pay},{{"name":"hidden","inputSchema":{{}}}}', form) as upstream:
        await gateway.apply(gateway.entry("mock", upstream.url, [policy("p", *rules)]))
        body = (await caller.post(modern("tools/list", {}))).body.decode()
    assert f'{{"name":"pay","inputSchema":{narrowed}}}' in body
    assert f'"odd","inputSchema":{narrowed if schema == """{"type":"object"}""" else schema}' in body
    assert "hidden" not in body


async def test_an_entry_that_cannot_be_judged_is_dropped_alone_and_reported_in_log_and_metric(
    gateway: RunningGateway, caller: McpCaller, caplog: pytest.LogCaptureFixture
) -> None:
    twice, good = '{"name":"shown_a","name":"hidden"}', '{"name":"shown_b"}'
    caplog.set_level(logging.WARNING)
    async with serve(f'{twice},{good},{{"name":"shown_c","NAME":"hidden\\n"}}', "document") as upstream:
        await gateway.apply(gateway.entry("odd", upstream.url, [policy("p", SOME)]))
        caller.url = gateway.url("odd")
        for _ in range(2):
            reply = await caller.post(legacy("tools/list"))
            assert reply.result == {"tools": [{"name": "shown_b"}]}
    warnings = [record.getMessage() for record in caplog.records if "cannot be judged" in record.getMessage()]
    assert len(warnings) == 1
    assert 'tools[0]: duplicate "name"' in warnings[0]
    assert "tools[2] 'shown_c': also a member 'NAME'" in warnings[0]
    async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{gateway.app.admin_port}/metrics") as page:
        assert 'ostiary_list_items_dropped_total{ostiary_proxy="default/odd"} 2.0' in await page.text()


async def test_the_span_of_a_list_counts_the_hidden_items() -> None:
    with http_sink() as sink:
        telemetry = Telemetry.from_env({"OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint})
        async with (
            running_gateway(telemetry=telemetry) as gateway,
            serve('{"name":"shown_a","NAME":1},{"name":"shown_b"}', "document") as upstream,
            mcp_caller(gateway.url()) as caller,
        ):
            await gateway.apply(gateway.entry("mock", upstream.url, [policy("p", SOME)]))
            for _ in range(2):
                await caller.post(modern("tools/list", {}))
        spans = sink.wait_for(lambda found: sum(span.kind == "SERVER" for span in found) == 2)
    assert [s.attributes["ostiary.list.dropped_items"] for s in spans if s.kind == "SERVER"] == [1, 1]


#: Numbers as clients spell them, and as they go out: equal ones.
NUMBERS = {
    "1e20": 1e20,
    "1e+20": 1e20,
    "1.5e300": 1.5e300,
    "100000000000000000000": 1e20,
    "-123456789012345680000": -1.2345678901234568e20,
    "36893488147419103000": 2.0**65,
    "1E2": 100.0,
}


@pytest.mark.parametrize(("spelt", "value"), NUMBERS.items())
async def test_a_float_passes_however_a_client_spells_it(
    gateway: RunningGateway, caller: McpCaller, spelt: str, value: float
) -> None:
    async def script(_: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        return document({"jsonrpc": "2.0", "id": 1, "result": {"content": []}})

    body = f'{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"t","arguments":{{"n":{spelt}}}}}}}'
    async with serving(script) as upstream:
        await gateway.apply(gateway.entry("mock", upstream.url))
        assert (await caller.post(body.encode())).status == 200
        forwarded = (await upstream.first("tools/call")).message["params"]["arguments"]["n"]
    assert (forwarded, type(forwarded)) == (value, float)


@pytest.mark.parametrize(
    ("spelt", "words"),
    [
        (str(HUGE), "params.arguments.ns[1] is an integer beyond 64 bits"),
        (str(2**64), "beyond 64 bits"),
        (str(2**65 + 1), "beyond 64 bits"),
        ("1000000000000000000000", "beyond 64 bits"),
        ("1e400", "params.arguments.ns[1] is a number too large"),
        ("NaN", ""),
        ("-Infinity", ""),
    ],
)
async def test_a_number_that_servers_would_read_differently_is_refused_with_its_position(
    gateway: RunningGateway, caller: McpCaller, spelt: str, words: str
) -> None:
    body = f'{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"t","arguments":{{"ns":[0,{spelt}]}}}}}}'
    await gateway.apply(gateway.entry("mock", "http://127.0.0.1:9/mcp"))
    reply = await caller.post(body.encode())
    assert (reply.status, reply.error["code"]) == (400, -32700)
    assert words in reply.error["message"]
