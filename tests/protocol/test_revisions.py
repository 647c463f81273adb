"""Which revision is used: the body of `initialize` negotiates it, and errors list those of the server."""

from collections.abc import Mapping
from typing import Any

import pytest
from aiohttp import web
from gateways import RunningGateway, policy
from mcp_caller import LEGACY, MODERN, McpCaller, envelope, legacy, mcp_caller, modern, modern_headers
from mcp_clients import connect
from typescript_sdk import run_session
from upstreams import Arrived, Upstream, answer, document, initialize_answer, serving, with_handshake

HANDSHAKES = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"]
UNKNOWN = ["1999-01-01", "2027-01-01", "DRAFT-2026-v1", ""]
RESULT: dict[str, Any] = {"content": []}


async def echo(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
    return document(answer(arrived, RESULT))


def initialize(revision: str) -> dict[str, Any]:
    params = {"protocolVersion": revision, "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    return legacy("initialize", params)


# -- initialize


@pytest.mark.parametrize("header", [None, *HANDSHAKES, MODERN, *UNKNOWN])
@pytest.mark.parametrize("asked", [*HANDSHAKES, MODERN, *UNKNOWN])
async def test_initialize_is_negotiated_whatever_revision_body_and_header_name(
    gateway: RunningGateway, asked: str, header: str | None
) -> None:
    expected = asked if asked in HANDSHAKES else LEGACY
    async with serving(with_handshake(echo)) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url))
        reply = await caller.post(initialize(asked), {"MCP-Protocol-Version": header})
        assert (reply.status, reply.result["protocolVersion"]) == (200, expected)
        caller.session = reply.headers["Mcp-Session-Id"]
        later = await caller.post(legacy("tools/call", {"name": "x"}), {"MCP-Protocol-Version": expected})
        assert later.result == RESULT

    first, last = upstream.arrived
    assert first.message["params"]["protocolVersion"] == expected
    assert "MCP-Protocol-Version" not in first.headers
    assert last.headers["MCP-Protocol-Version"] == expected


@pytest.mark.parametrize("header", [None, LEGACY, MODERN, "1999-01-01"])
@pytest.mark.parametrize("revision", HANDSHAKES)
async def test_the_official_python_client_negotiates_each_revision_whatever_its_header_says(
    mock: str, gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch, revision: str, header: str | None
) -> None:
    monkeypatch.setattr("mcp.client.session.LATEST_HANDSHAKE_VERSION", revision)
    await gateway.apply(gateway.entry("mock", mock))
    # The client's own header replaces this one in what follows.
    headers = {"MCP-Protocol-Version": header} if header is not None else None
    async with connect(gateway.url(), era="legacy", headers=headers) as client:
        assert client.protocol_version == revision
        assert len((await client.list_tools()).tools) == 15


@pytest.mark.node
@pytest.mark.parametrize("revision", [*HANDSHAKES, MODERN])
async def test_the_official_typescript_client_negotiates_each_revision(
    mock: str, gateway: RunningGateway, revision: str
) -> None:
    await gateway.apply(gateway.entry("mock", mock))
    era: Any = "modern" if revision == MODERN else "legacy"
    steps = [{"op": "server"}, {"op": "listTools"}]
    server, listed = await run_session(gateway.url(), sdk="v2", era=era, steps=steps, revision=revision)

    assert server["result"]["protocolVersion"] == revision
    assert len(listed["result"]["tools"]) == 15


async def test_a_client_without_a_supported_revision_is_offered_one(
    mock: str, gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mcp.client.session.LATEST_HANDSHAKE_VERSION", "2027-01-01")
    await gateway.apply(gateway.entry("mock", mock))
    async with connect(gateway.url(), era="legacy") as client:
        assert client.protocol_version == LEGACY


# -- what an error about an unsupported revision lists


async def listed_revisions(caller: McpCaller, *, modern_too: bool = True) -> list[str]:
    """The revisions listed for callers without an envelope, and with ``modern_too`` also for those with one."""
    body = legacy("server/discover", {"_meta": envelope("2099-01-01")})
    replies = [
        await caller.post(legacy("tools/list"), {"MCP-Protocol-Version": "2099-01-01"}),
        await caller.request("GET", {"MCP-Protocol-Version": "2099-01-01", "Accept": "text/event-stream"}),
    ]
    if modern_too:
        replies.append(await caller.post(body, modern_headers(body, "2099-01-01")))
    assert {(reply.status, reply.error["code"]) for reply in replies} == {(400, -32022)}
    [supported] = {tuple(reply.error["data"]["supported"]) for reply in replies}
    return list(supported)


ALL = [MODERN, *reversed(HANDSHAKES)]


def handshake(answered: str) -> Any:
    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        if arrived.method == "initialize":
            arrived_answer = initialize_answer(arrived)
            assert isinstance(arrived_answer.body, bytes)
            return document(
                arrived_answer.body.replace(arrived.message["params"]["protocolVersion"].encode(), answered.encode())
            )
        if "id" not in arrived.message:
            return web.Response(status=202)
        return document(error(arrived, -32601, {}), status=404)

    return script


def error(arrived: Arrived, code: int, data: Mapping[str, Any]) -> dict[str, Any]:
    found = {"code": code, "message": "no", "data": dict(data)}
    return {"jsonrpc": "2.0", "id": arrived.message["id"], "error": found}


async def taught(
    gateway: RunningGateway, script: Any, *messages: dict[str, Any], modern_too: bool = True
) -> tuple[list[str], Upstream]:
    """What is listed after a server has answered these messages."""
    async with serving(script) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url))
        for message in messages:
            await caller.post(message)
        return await listed_revisions(caller, modern_too=modern_too), upstream


async def test_all_supported_revisions_are_listed_for_a_server_that_has_not_answered_yet(
    gateway: RunningGateway,
) -> None:
    found, upstream = await taught(gateway, echo)

    assert found == ALL
    assert upstream.arrived == []


async def test_a_server_that_knows_no_discover_is_listed_with_the_revision_that_is_bridged(
    gateway: RunningGateway,
) -> None:
    script = handshake(LEGACY)
    found, _ = await taught(gateway, script, modern("server/discover"), initialize(LEGACY), modern_too=False)

    assert found == ALL


async def test_a_server_that_answers_with_an_older_revision_is_listed_without_newer_handshakes(
    gateway: RunningGateway,
) -> None:
    script = handshake("2025-03-26")
    found, _ = await taught(gateway, script, modern("server/discover"), initialize(LEGACY), modern_too=False)

    assert found == [MODERN, "2025-03-26", "2024-11-05"]


@pytest.mark.parametrize(
    ("supported", "expected"),
    [
        ([MODERN], ALL),
        ([MODERN, LEGACY], [MODERN, LEGACY]),
        (["2025-06-18"], [MODERN, "2025-06-18"]),
        (["2099-01-01"], ALL),
        (["2099-01-01", 1, None], ALL),
        ("2025-06-18", ALL),
        (None, ALL),
    ],
)
async def test_the_revisions_of_the_server_are_listed_as_far_as_the_gateway_supports_them(
    gateway: RunningGateway, supported: Any, expected: list[str]
) -> None:
    async def discovered(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        return document(answer(arrived, {"resultType": "complete", "supportedVersions": supported}))

    async def refused(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        return document(error(arrived, -32022, {"supported": supported, "requested": MODERN}), status=400)

    both = MODERN not in expected or supported in ("2025-06-18", None)
    assert (await taught(gateway, discovered, modern("server/discover"), modern_too=both))[0] == expected
    assert (await taught(gateway, refused, modern("tools/list"), modern_too=both))[0] == expected


async def test_an_unsupported_envelope_gets_the_revisions_of_discover_where_the_server_is_modern(
    gateway: RunningGateway,
) -> None:
    async def discovered(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        return document(answer(arrived, {"resultType": "complete", "supportedVersions": [MODERN]}))

    body = legacy("server/discover", {"_meta": envelope("2099-01-01")})
    async with serving(discovered) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url))
        await caller.post(modern("server/discover"))
        reply = await caller.post(body, modern_headers(body, "2099-01-01"))

    assert reply.error["data"]["supported"] == [MODERN]


async def test_the_revisions_of_a_replaced_server_are_learned_again(gateway: RunningGateway) -> None:
    speaks_modern = False

    async def script(request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        if speaks_modern:
            return document(answer(arrived, {"resultType": "complete", "supportedVersions": [MODERN]}))
        return document(error(arrived, -32601, {}), status=404)

    async with serving(script) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url))
        await caller.post(modern("server/discover"))
        assert await listed_revisions(caller) == ALL
        speaks_modern = True
        # Nothing is refused for what was learned before.
        assert (await caller.post(modern("server/discover"))).status == 200
        assert await listed_revisions(caller, modern_too=False) == ALL


async def test_one_proxy_learns_nothing_from_the_server_of_another(gateway: RunningGateway) -> None:
    async with (
        serving(handshake("2025-03-26")) as upstream,
        mcp_caller(gateway.url()) as caller,
        mcp_caller(gateway.url("b")) as b,
    ):
        await gateway.apply(gateway.entry("mock", upstream.url), gateway.entry("b", upstream.url))
        await caller.post(initialize(LEGACY))
        assert await listed_revisions(caller) == [MODERN, "2025-03-26", "2024-11-05"]
        assert await listed_revisions(b) == ALL


# -- what is left over from another revision


@pytest.mark.parametrize("value", ["tools/list", "delete_users", "=?base64?broken?=", "tools/call"])
async def test_left_over_mirrored_headers_of_a_legacy_request_are_dropped(gateway: RunningGateway, value: str) -> None:
    async with serving(with_handshake(echo)) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url))
        await caller.initialize()
        call = legacy("tools/call", {"name": "get_users"})
        assert (await caller.post(call, {"Mcp-Method": value, "Mcp-Name": value})).result == RESULT

    sent = upstream.arrived[-1]
    assert (sent.message["method"], sent.message["params"]["name"]) == ("tools/call", "get_users")
    assert not {"mcp-method", "mcp-name"} & {name.lower() for name in sent.headers}


async def test_a_left_over_header_opens_nothing_that_the_body_does_not(gateway: RunningGateway) -> None:
    only = policy("p", {"name": "only", "effect": "Allow", "tools": {"names": ["get_users"]}})
    async with serving(with_handshake(echo)) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url, [only]))
        await caller.initialize()
        call = legacy("tools/call", {"name": "delete_users"})
        reply = await caller.post(call, {"Mcp-Method": "tools/call", "Mcp-Name": "get_users"})

    assert (reply.status, reply.error["code"]) == (200, -32602)
    assert upstream.count("tools/call") == 0


@pytest.mark.parametrize("method", ["notifications/unknown", "notifications/tools/list_changed"])
async def test_an_unknown_notification_is_accepted_and_not_forwarded(gateway: RunningGateway, method: str) -> None:
    async with serving(with_handshake(echo)) as upstream, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url))
        await caller.initialize()
        for more in (None, {"MCP-Protocol-Version": MODERN, "Mcp-Session-Id": None}):
            reply = await caller.post(legacy(method, {"a": 1}, id=None), more)
            assert (reply.status, reply.body) == (202, b"")
        caller.session = "1.AAAA"
        assert (await caller.post(legacy(method, id=None))).status == 404

    assert [each.method for each in upstream.arrived] == ["initialize", "notifications/initialized"]
