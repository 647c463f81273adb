"""An item whose URI holds a value stays readable under Tokenise, for its caller and at this URI alone."""

from typing import Any

import pytest
from aiohttp import web
from api_keys import AGENT_KEY, OTHER_KEY, api_key, bearer, keyed
from gateways import RunningGateway, policy, running_gateway
from mcp_caller import McpCaller, mcp_caller, modern
from mcp_clients import ERAS, Era, connect
from upstreams import Arrived, Upstream, answer, document, serving, with_handshake

from ostiary_core.contract.documents import EntryDocument, PolicyDocument
from ostiary_core.contract.masks import MaskConfig

CARD = "4111111111111111"
SPACED = "4111%201111%201111%201111"
URIS = [f"crm://cards/{CARD}/orders", f"crm://cards/{SPACED}?full=1"]
ALLOWED = {"name": "all", "effect": "Allow"}


def governed(access: dict[str, Any] = ALLOWED, **members: Any) -> PolicyDocument:
    given = {
        "name": "cards",
        "directions": ["Results", "Arguments"],
        "detect": [{"kind": "CardNumber"}],
        "action": "Tokenise",
    }
    mask = MaskConfig.model_validate({**given, **members}, strict=False)
    return policy("content", access).model_copy(update={"masks": [mask]})


async def script(_: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
    if not arrived.body:
        return web.Response(status=405)
    if arrived.method == "resources/list":
        resources = [{"uri": uri, "name": f"orders {index}"} for index, uri in enumerate(URIS)]
        return document(answer(arrived, {"resources": resources}))
    if arrived.method == "resources/read":
        uri = arrived.message["params"]["uri"]
        if uri not in URIS:
            error = {"code": -32002, "message": f"Resource not found: {uri}", "data": {"uri": uri}}
            return document({"jsonrpc": "2.0", "id": arrived.message["id"], "error": error})
        return document(answer(arrived, {"contents": [{"uri": uri, "text": f"orders of {CARD}"}]}))
    if arrived.method == "tools/list":
        return document(answer(arrived, {"tools": []}))
    return document(answer(arrived, {"content": []}))


def read(uri: str) -> dict[str, Any]:
    return modern("resources/read", {"uri": uri})


def reads(upstream: Upstream) -> list[str]:
    return [each.message["params"]["uri"] for each in upstream.arrived if each.method == "resources/read"]


async def listed(caller: McpCaller, more: Any = None) -> list[str]:
    reply = await caller.post(modern("resources/list"), more)
    assert CARD not in reply.body.decode()
    return [each["uri"] for each in reply.result["resources"]]


@pytest.mark.parametrize("era", ERAS)
async def test_a_client_reads_what_a_list_names_by_a_token(gateway: RunningGateway, era: Era) -> None:
    async with serving(with_handshake(script)) as upstream:
        entry, policies = gateway.entry("mock", upstream.url, [governed()])
        server = entry.servers[0].model_copy(update={"protocol_version": "2025-11-25"})
        await gateway.apply((entry.model_copy(update={"servers": [server]}), policies))
        async with connect(gateway.url(), era=era) as client:
            for resource in (await client.list_resources()).resources:
                assert CARD not in str(resource)
                found = await client.read_resource(resource.uri)
                assert CARD not in str(found)
                assert str(found.contents[0].uri) == str(resource.uri)
        assert reads(upstream) == URIS


async def test_a_token_in_a_uri_opens_in_this_uri_alone(gateway: RunningGateway, caller: McpCaller) -> None:
    async with serving(with_handshake(script)) as upstream:
        await gateway.apply(gateway.entry("mock", upstream.url, [governed(restoreIn={"names": ["send"]})]))
        token = (await listed(caller))[0].removeprefix("crm://cards/").removesuffix("/orders")
        other = f"https://evil.example/{token}"
        await caller.post(read(other))
        await caller.post(modern("tools/call", {"name": "send", "arguments": {"note": f"card {token}"}}))
        assert CARD not in "".join(repr(each.body) for each in upstream.arrived)
        assert reads(upstream) == [other]


async def test_a_tool_that_may_have_values_gets_the_whole_uri(gateway: RunningGateway, caller: McpCaller) -> None:
    async with serving(with_handshake(script)) as upstream:
        await gateway.apply(gateway.entry("mock", upstream.url, [governed(restoreIn={"names": ["send"]})]))
        uri = (await listed(caller))[0]
        await caller.post(modern("tools/call", {"name": "send", "arguments": {"uri": uri}}))
        await caller.post(modern("tools/call", {"name": "other", "arguments": {"uri": uri}}))
        calls = [each.message["params"]["arguments"]["uri"] for each in upstream.arrived if each.method == "tools/call"]
        assert calls == [URIS[0], uri]


async def test_the_uri_of_another_principal_stays_closed(gateway: RunningGateway, caller: McpCaller) -> None:
    keys = keyed(api_key(AGENT_KEY, "default/support"), api_key(OTHER_KEY, "default/admin"))
    async with serving(with_handshake(script)) as upstream:
        await gateway.apply(gateway.entry("mock", upstream.url, [keys, governed()]))
        uri = (await listed(caller, bearer(AGENT_KEY)))[0]
        assert "error" in (await caller.post(read(uri), bearer(OTHER_KEY))).json
        assert reads(upstream) == [uri]


async def test_access_judges_the_real_uri_and_its_refusal_names_the_token(
    gateway: RunningGateway, caller: McpCaller
) -> None:
    first = {**ALLOWED, "resources": {"names": [URIS[0]]}}
    async with serving(with_handshake(script)) as upstream:
        await gateway.apply(gateway.entry("mock", upstream.url, [governed()]))
        allowed, other = await listed(caller)
        await gateway.apply(gateway.entry("mock", upstream.url, [governed(first)]))
        assert (await caller.post(read(allowed))).result["contents"][0]["uri"] == allowed
        refused = await caller.post(read(other))
        assert refused.error["message"].endswith(other)
        assert "1111" not in refused.body.decode()
        assert reads(upstream) == [URIS[0]]


async def test_rules_for_the_real_uri_mask_what_is_read(gateway: RunningGateway, caller: McpCaller) -> None:
    only = {"resources": {"names": [URIS[0]]}, "tools": {"names": ["none"]}, "prompts": {"names": ["none"]}}
    async with serving(with_handshake(script)) as upstream:
        await gateway.apply(gateway.entry("mock", upstream.url, [governed(**only)]))
        reply = await caller.post(modern("resources/list"))
        uri = reply.result["resources"][0]["uri"]
        found = await caller.post(read(uri))
        assert found.result["contents"][0]["text"].startswith("orders of tk1")
        assert CARD not in found.body.decode()


async def test_a_merged_proxy_restores_the_uri_for_its_server(gateway: RunningGateway, caller: McpCaller) -> None:
    async with serving(with_handshake(script)) as upstream, serving(with_handshake(script)) as other:
        entry, policies = gateway.entry("mock", upstream.url, [governed()])
        first = entry.servers[0]
        servers = [
            first.model_copy(update={"name": "crm", "prefix": "crm_"}),
            first.model_copy(update={"name": "bank", "prefix": "bank_", "url": other.url}),
        ]
        merged = entry.model_copy(update={"servers": servers, "server_selection": "Merge"})
        await gateway.apply((EntryDocument.model_validate_json(merged.canonical()), policies))
        for uri in await listed(caller):
            reply = await caller.post(read(uri))
            assert CARD not in reply.body.decode()
            assert reply.result["contents"][0]["uri"] == uri
        assert sorted(reads(upstream) + reads(other)) == sorted(URIS * 2)


async def test_a_token_opens_after_a_restart_and_a_rotation_and_not_without_its_key(
    gateway: RunningGateway, caller: McpCaller
) -> None:
    async with serving(with_handshake(script)) as upstream:
        await gateway.apply(gateway.entry("mock", upstream.url, [governed()]))
        old = await listed(caller)
        async with running_gateway() as second, mcp_caller(second.url()) as other:
            second.content_key = gateway.content_key
            second.credentials = {"content-1": bytes(32)}
            await second.apply(second.entry("mock", upstream.url, [governed()]))
            # It has the Secret of the first, and a newer key.
            new = await listed(other)
            assert new[0] != old[0]
            assert (await other.post(read(old[0]))).result["contents"][0]["uri"] == new[0]
        async with running_gateway() as third, mcp_caller(third.url()) as other:
            await third.apply(third.entry("mock", upstream.url, [governed()]))
            assert "error" in (await other.post(read(old[0]))).json
        assert reads(upstream) == [URIS[0], old[0]]
