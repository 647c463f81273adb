"""Calls at a proxy that merges servers: the name says which server gets it, under its own name."""

import asyncio
import gc
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from audited_gateway import audited, records
from gateways import RunningGateway, policy, running_gateway
from mcp_caller import McpCaller, mcp_caller, modern
from mcp_clients import eventually
from merged_proxies import merged
from otlp_sink import http_sink
from upstreams import Arrived, Upstream, answer, document, serving

from ostiary_core.contract.blocks import BlockedConfig
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.telemetry import Telemetry

DEPLOY = {
    "name": "deploy",
    "inputSchema": {"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}}},
}


async def echo(_: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
    """Answer with what arrived."""
    if arrived.method == "tools/list":
        return document(answer(arrived, {"tools": [DEPLOY], "resultType": "complete"}))
    got = {"params": arrived.message.get("params"), "name": arrived.headers.get("Mcp-Name")}
    return document(answer(arrived, {"content": [], "got": got}))


@pytest.fixture
async def crm() -> AsyncIterator[Upstream]:
    async with serving(echo) as upstream:
        yield upstream


@pytest.fixture
async def wiki() -> AsyncIterator[Upstream]:
    async with serving(echo) as upstream:
        yield upstream


@pytest.fixture(autouse=True)
async def proxy(gateway: RunningGateway, crm: Upstream, wiki: Upstream) -> None:
    await gateway.apply(merged(gateway, {"crm": crm.url, "wiki": wiki.url}))


@pytest.mark.parametrize(
    ("method", "params", "sent", "name"),
    [
        ("tools/call", {"name": "wiki_search", "arguments": {"q": "wiki_x"}}, {"name": "search"}, "search"),
        ("tools/call", {"name": "wiki_é"}, {"name": "é"}, "=?base64?w6k=?="),
        ("prompts/get", {"name": "wiki_greet"}, {"name": "greet"}, "greet"),
        ("resources/read", {"uri": "file://wiki/a/b"}, {"uri": "file://a/b"}, "file://a/b"),
        ("resources/read", {"uri": "urn:wiki/x"}, {"uri": "urn:x"}, "urn:x"),
        (
            "completion/complete",
            {"ref": {"type": "ref/prompt", "name": "wiki_greet"}, "argument": {"name": "who", "value": "wiki_"}},
            {"ref": {"type": "ref/prompt", "name": "greet"}},
            None,
        ),
        (
            "completion/complete",
            {"ref": {"type": "ref/resource", "uri": "file://wiki/{p}"}, "argument": {"name": "p", "value": ""}},
            {"ref": {"type": "ref/resource", "uri": "file://{p}"}},
            None,
        ),
    ],
)
async def test_the_owner_gets_a_request_with_its_own_name(
    caller: McpCaller,
    crm: Upstream,
    wiki: Upstream,
    method: str,
    params: dict[str, object],
    sent: dict[str, object],
    name: str | None,
) -> None:
    message = modern(method, params)
    headers = {"Mcp-Name": "=?base64?d2lraV/DqQ==?="} if params.get("name") == "wiki_é" else None

    got = (await caller.post(message, headers)).result["got"]

    assert {key: value for key, value in got["params"].items() if key != "_meta"} == {**params, **sent}
    assert got["name"] == name
    assert (len(wiki.arrived), len(crm.arrived)) == (1, 0)


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("tools/call", {"name": "search"}),
        ("tools/call", {"name": "wiki_"}),
        ("tools/call", {"name": "wik"}),
        ("tools/call", {"name": "wiki_" + "x" * 124}),
        ("prompts/get", {"name": "WIKI_greet"}),
        ("resources/read", {"uri": "file://WIKI/a"}),
        ("resources/read", {"uri": "file://wiki%2Fa"}),
        ("resources/read", {"uri": "file:////wiki/a"}),
        ("prompts/get", {"name": "greet"}),
        ("resources/read", {"uri": "file:///a"}),
        ("resources/read", {"uri": "file://other/a"}),
        ("completion/complete", {"ref": {"type": "ref/prompt", "name": "x"}, "argument": {"name": "a", "value": ""}}),
    ],
)
async def test_a_name_in_no_servers_space_is_unknown_and_reaches_none(
    caller: McpCaller, crm: Upstream, wiki: Upstream, method: str, params: dict[str, object]
) -> None:
    error = (await caller.post(modern(method, params))).error

    assert error["code"] == -32602
    assert error["message"].startswith("Unknown ")
    assert crm.arrived == wiki.arrived == []


async def test_a_server_without_a_prefix_owns_what_no_other_does(
    gateway: RunningGateway, caller: McpCaller, crm: Upstream, wiki: Upstream
) -> None:
    await gateway.apply(merged(gateway, {"crm": crm.url, "wiki": wiki.url}, prefixes={"crm": ""}))

    for name, uri in (("deploy", "ui://a"), ("wiki_deploy", "ui://wiki/a")):
        await caller.post(modern("tools/call", {"name": name}))
        await caller.post(modern("resources/read", {"uri": uri}))
    assert [each.message["params"].get("name", each.message["params"].get("uri")) for each in crm.arrived] == [
        "deploy",
        "ui://a",
    ]
    assert [each.message["params"].get("name", each.message["params"].get("uri")) for each in wiki.arrived] == [
        "deploy",
        "ui://a",
    ]


async def test_a_policy_judges_the_exposed_name(
    gateway: RunningGateway, caller: McpCaller, crm: Upstream, wiki: Upstream
) -> None:
    only_wiki = policy("only-wiki", {"name": "wiki", "effect": "Allow", "tools": {"names": ["wiki_*"]}})
    await gateway.apply(merged(gateway, {"crm": crm.url, "wiki": wiki.url}, [only_wiki]))

    assert "got" in (await caller.post(modern("tools/call", {"name": "wiki_search"}))).result
    assert (await caller.post(modern("tools/call", {"name": "crm_search"}))).error["code"] == -32602
    assert (len(wiki.arrived), len(crm.arrived)) == (1, 0)


async def test_an_edit_of_a_prefix_is_in_force_at_once_and_keeps_the_connections(
    gateway: RunningGateway, caller: McpCaller, crm: Upstream, wiki: Upstream
) -> None:
    servers = gateway.app.store.snapshot.proxies["default/mock"].servers  # type: ignore[union-attr]
    await gateway.apply(merged(gateway, {"crm": crm.url, "wiki": wiki.url}, prefixes={"wiki": "docs."}))

    assert gateway.app.store.snapshot.proxies["default/mock"].servers == servers  # type: ignore[union-attr]
    assert "got" in (await caller.post(modern("tools/call", {"name": "docs.search"}))).result
    assert (await caller.post(modern("tools/call", {"name": "wiki_search"}))).error["code"] == -32602


async def test_a_block_of_one_server_refuses_its_names_only(
    gateway: RunningGateway, caller: McpCaller, crm: Upstream, wiki: Upstream
) -> None:
    blocked = BlockedConfig(upstreams=["localhost"])
    gateway.settings = gateway.settings.model_copy(update={"blocked": blocked})
    await gateway.apply(merged(gateway, {"crm": crm.url, "wiki": wiki.url.replace("127.0.0.1", "localhost")}))

    error = (await caller.post(modern("tools/call", {"name": "wiki_search"}))).error
    assert (error["code"], error["data"]["reason"]) == (-31003, "UpstreamBlocked")
    assert "got" in (await caller.post(modern("tools/call", {"name": "crm_search"}))).result
    assert wiki.arrived == []


async def test_a_block_of_all_servers_refuses_the_proxy(
    gateway: RunningGateway, caller: McpCaller, crm: Upstream, wiki: Upstream
) -> None:
    blocked = BlockedConfig(upstreams=["127.0.0.1"])
    gateway.settings = gateway.settings.model_copy(update={"blocked": blocked})
    await gateway.apply(merged(gateway, {"crm": crm.url, "wiki": wiki.url}))

    for name in ("wiki_search", "search"):
        assert (await caller.post(modern("tools/call", {"name": name}))).error["code"] == -31003
    assert crm.arrived == wiki.arrived == []


async def test_an_audit_record_names_the_server_that_got_the_call(
    tmp_path: Path, crm: Upstream, wiki: Upstream
) -> None:
    path = tmp_path / "audit.jsonl"
    async with audited(path) as gateway, mcp_caller(gateway.url()) as caller:
        await gateway.apply(merged(gateway, {"crm": crm.url, "wiki": wiki.url}))
        await caller.post(modern("tools/call", {"name": "wiki_search"}))
        await caller.post(modern("tools/call", {"name": "crm_search"}))
        await caller.post(modern("tools/call", {"name": "other"}))
        await eventually(lambda: len(records(path, stage="ResponseComplete")) == 3)

    found = {record["mcp"]["tool"]: record["objectRef"].get("server") for record in records(path, kind="Event")}
    assert found == {"wiki_search": "wiki", "crm_search": "crm", "other": None}


async def test_metrics_name_each_server_and_the_exposed_tool(
    gateway: RunningGateway, caller: McpCaller, crm: Upstream, wiki: Upstream
) -> None:
    await caller.post(modern("tools/list"))
    await caller.post(modern("tools/call", {"name": "wiki_deploy"}))
    await caller.post(modern("tools/call", {"name": "crm_unlisted"}))

    async with (
        aiohttp.ClientSession() as http,
        http.get(f"http://127.0.0.1:{gateway.app.admin_port}/metrics") as response,
    ):
        text = await response.text()
    assert 'ostiary_upstream_up{ostiary_proxy="default/mock",ostiary_server="crm"} 1.0' in text
    assert 'ostiary_upstream_up{ostiary_proxy="default/mock",ostiary_server="wiki"} 1.0' in text
    assert 'gen_ai_tool_name="wiki_deploy"' in text
    assert 'gen_ai_tool_name="crm_unlisted"' not in text


async def test_a_mirrored_parameter_is_checked_by_what_its_own_server_listed(
    caller: McpCaller, crm: Upstream, wiki: Upstream
) -> None:
    await caller.post(modern("tools/list"))
    call = {"arguments": {"region": "eu"}}

    refused = await caller.post(modern("tools/call", {"name": "wiki_deploy", **call}), {"Mcp-Param-Region": "us"})
    assert (refused.status, refused.json["error"]["code"]) == (400, -32020)
    for name, header in (("wiki_deploy", "Mcp-Param-Region"), ("crm_deploy", "Mcp-Param-Other")):
        assert "got" in (await caller.post(modern("tools/call", {"name": name, **call}), {header: "eu"})).result
    assert (wiki.count("tools/call"), crm.count("tools/call")) == (1, 1)
    assert wiki.arrived[-1].headers["Mcp-Param-Region"] == "eu"


async def test_a_block_of_one_server_takes_its_names_out_of_the_list_and_keeps_the_others(
    gateway: RunningGateway, caller: McpCaller, crm: Upstream, wiki: Upstream
) -> None:
    gateway.settings = gateway.settings.model_copy(update={"blocked": BlockedConfig(upstreams=["localhost"])})
    await gateway.apply(merged(gateway, {"crm": crm.url, "wiki": wiki.url.replace("127.0.0.1", "localhost")}))

    result = (await caller.post(modern("tools/list"))).result
    assert [tool["name"] for tool in result["tools"]] == ["crm_deploy"]
    assert [each["prefix"] for each in result["_meta"]["dev.ostiary/unavailable"]] == ["wiki_"]
    assert wiki.arrived == []


async def test_a_call_in_flight_ends_when_its_server_is_blocked_and_calls_of_others_go_on(
    gateway: RunningGateway, caller: McpCaller, crm: Upstream
) -> None:
    gate = asyncio.Event()

    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        await gate.wait()
        return await echo(request, arrived)

    async with serving(script) as slow, serving(script) as other:
        servers = merged(gateway, {"slow": slow.url.replace("127.0.0.1", "localhost"), "other": other.url})
        await gateway.apply(servers)
        blocked = asyncio.create_task(caller.post(modern("tools/call", {"name": "slow_x"})))
        going_on = asyncio.create_task(caller.post(modern("tools/call", {"name": "other_x"}, id=2)))
        await slow.first("tools/call")
        await other.first("tools/call")

        gateway.settings = gateway.settings.model_copy(update={"blocked": BlockedConfig(upstreams=["localhost"])})
        await gateway.apply(servers)
        error = (await blocked).error
        gate.set()
        assert (error["code"], error["data"]["reason"]) == (-31003, "UpstreamBlocked")
        assert "got" in (await going_on).result


async def test_a_server_that_is_removed_ends_its_names_and_keeps_the_connections_of_the_others(
    gateway: RunningGateway, caller: McpCaller, crm: Upstream, wiki: Upstream
) -> None:
    await caller.post(modern("tools/call", {"name": "crm_x"}))
    kept = gateway.app.store.snapshot.proxies["default/mock"].servers[0]  # type: ignore[union-attr]
    await gateway.apply(merged(gateway, {"crm": crm.url, "new": wiki.url}))

    assert gateway.app.store.snapshot.proxies["default/mock"].servers[0] is kept  # type: ignore[union-attr]
    assert kept.open_connections == 1
    assert (await caller.post(modern("tools/call", {"name": "wiki_x"}))).error["code"] == -32602
    assert "got" in (await caller.post(modern("tools/call", {"name": "new_x"}))).result


async def test_the_trace_of_a_call_has_the_exposed_name_and_below_it_the_servers_own(
    crm: Upstream, wiki: Upstream
) -> None:
    with http_sink() as sink:
        telemetry = Telemetry.from_env({"OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint})
        async with running_gateway(telemetry=telemetry) as gateway, mcp_caller(gateway.url()) as caller:
            await gateway.apply(merged(gateway, {"crm": crm.url, "wiki": wiki.url}))
            await caller.post(modern("tools/call", {"name": "wiki_search"}))
        spans = {span.kind: span for span in sink.wait_for(lambda spans: len(spans) >= 2)}

    assert spans["SERVER"].name == "tools/call wiki_search"
    assert spans["CLIENT"].name == "tools/call search"
    assert spans["CLIENT"].attributes["ostiary.server.name"] == "wiki"
    assert spans["CLIENT"].parent_span_id == spans["SERVER"].span_id


async def test_a_call_leaves_nothing_for_the_garbage_collector(caller: McpCaller) -> None:
    await caller.post(modern("tools/call", {"name": "wiki_search"}))
    gc.collect()
    gc.disable()
    try:
        await caller.post(modern("tools/call", {"name": "wiki_search"}))
        await eventually(lambda: not any(type(each) is Exchange for each in gc.get_objects()))
    finally:
        gc.enable()
