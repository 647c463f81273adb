"""API keys at a real gateway: who gets in, who does not, and what happens to streams and sessions when keys change."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from api_keys import AGENT_KEY, OTHER_KEY, api_key, bearer, exposed, keyed, open_to_all
from gateways import BOUNDS, RunningGateway, policy, running_gateway
from mcp import MCPError
from mcp_caller import BOTH_TYPES, McpCaller, Reply, Stream, legacy, mcp_caller, modern
from mcp_clients import ERAS, Era, connect, eventually
from otlp_sink import http_sink
from prometheus_client import generate_latest
from timeouts import TIMEOUT_SECONDS
from upstreams import Arrived, Upstream, answer, document, events, serving, with_handshake

from ostiary_core.contract.bounds import ShareConfig
from ostiary_gateway.telemetry import Telemetry

AGENT = api_key(AGENT_KEY)
OTHER = api_key(OTHER_KEY, "default/other")
CALL = modern("tools/call", {"name": "get_users", "arguments": {}})
LISTEN = modern("subscriptions/listen", {"notifications": {"toolsListChanged": True}}, id="listen")
PING = legacy("ping")
NEXT_KEY = "next-key-0123456789"
RESULT: dict[str, Any] = {"content": []}


class Scene:
    """An upstream that answers every call, once its gate is open, and whose streams say what the test puts in."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.say: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def script(self, request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        if arrived.method in ("GET", "subscriptions/listen"):
            async with events(request) as stream:
                while True:
                    await stream.send(await self.say.get())
        await self.gate.wait()
        return document(answer(arrived, RESULT))


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.fixture
async def agents_only(gateway: RunningGateway, upstream: Upstream) -> None:
    """Have the proxy `mock` admit callers with the key of the agent, or of the other one."""
    await gateway.apply(gateway.entry("mock", upstream.url, [keyed(AGENT, OTHER)]))


@pytest.mark.parametrize("era", ERAS)
async def test_an_official_client_with_a_key_lists_and_calls(gateway: RunningGateway, mock: str, era: Era) -> None:
    await gateway.apply(gateway.entry("mock", mock, [keyed(AGENT)]))
    async with connect(gateway.url(), era=era, headers=bearer(AGENT_KEY)) as client:
        assert "get_users" in [tool.name for tool in (await client.list_tools()).tools]
        assert not (await client.call_tool("get_users", {})).is_error


@pytest.mark.parametrize("era", ERAS)
async def test_an_official_client_without_a_key_cannot_connect(
    gateway: RunningGateway, mock: str, era: Era, quiet: None
) -> None:
    await gateway.apply(gateway.entry("mock", mock, [keyed(AGENT)]))
    with pytest.raises(MCPError, match="Server returned an error response"):
        async with connect(gateway.url(), era=era):
            pytest.fail("it is connected")


def is_challenged(reply: Reply, *, invalid: bool) -> bool:
    challenge = 'Bearer error="invalid_token"' if invalid else "Bearer"
    return (reply.status, reply.headers.get("WWW-Authenticate")) == (401, challenge)


@pytest.mark.usefixtures("agents_only")
async def test_a_request_without_a_key_is_challenged_and_never_reaches_the_server(
    caller: McpCaller, upstream: Upstream
) -> None:
    for message in (CALL, LISTEN, legacy("initialize", {}), legacy("ping"), legacy("notifications/x", id=None), b"{"):
        assert is_challenged(await caller.post(message), invalid=False), message
    for method in ("GET", "DELETE"):
        assert is_challenged(await caller.request(method), invalid=False)
    assert upstream.arrived == []


@pytest.mark.usefixtures("agents_only")
@pytest.mark.parametrize(
    "value",
    [
        "Bearer ",
        "Bearer",
        "Bearer another-key-0123456789",
        f"Bearer {AGENT_KEY} x",
        f"Bearer {AGENT_KEY}, Bearer {OTHER_KEY}",
        f"Bearer {AGENT_KEY.upper()}",
        f"Bearer {AGENT_KEY[:-1]}",
        f'Bearer "{AGENT_KEY}"',
        f"Basic {AGENT_KEY}",
        f"Bearer\t{AGENT_KEY}",
        AGENT_KEY,
    ],
)
async def test_anything_but_a_valid_key_is_refused_as_invalid(
    caller: McpCaller, upstream: Upstream, value: str
) -> None:
    assert is_challenged(await caller.post(CALL, {"Authorization": value}), invalid=True)
    assert upstream.arrived == []


@pytest.mark.usefixtures("agents_only")
@pytest.mark.parametrize("value", [f"Bearer {AGENT_KEY}", f"bearer {AGENT_KEY}", f"BEARER   {AGENT_KEY}  "])
async def test_the_scheme_may_be_spelled_in_any_case(caller: McpCaller, value: str) -> None:
    assert (await caller.post(CALL, {"Authorization": value})).result == RESULT


async def test_the_key_never_reaches_the_server_nor_any_identity_header(
    gateway: RunningGateway, upstream: Upstream, caller: McpCaller
) -> None:
    await gateway.apply(gateway.entry("mock", upstream.url, [keyed(AGENT, header="x-api-key", scheme=None)]))
    claimed = {"X-Ostiary-Consumer": "default/admin", "X-Ostiary-Groups": "admins", "Authorization": "Bearer mine"}
    for body in (CALL, legacy("tools/call", CALL["params"])):
        assert (await caller.post(body, {"X-Api-Key": AGENT_KEY, **claimed})).result == RESULT
    for arrived in upstream.arrived:
        sent = {name.lower(): value for name, value in arrived.headers.items()}
        assert {"authorization", "x-api-key"}.isdisjoint(sent)
        assert not any(name.startswith("x-ostiary-") for name in sent)
        assert AGENT_KEY not in str(sent)
        assert AGENT_KEY.encode() not in arrived.body


async def test_a_key_in_another_header_than_the_policys_does_not_count(
    gateway: RunningGateway, upstream: Upstream, caller: McpCaller
) -> None:
    await gateway.apply(gateway.entry("mock", upstream.url, [keyed(AGENT, header="x-api-key", scheme=None)]))
    assert is_challenged(await caller.post(CALL, bearer(AGENT_KEY)), invalid=False)
    assert is_challenged(await caller.post(CALL, {"X_Api_Key": AGENT_KEY}), invalid=False)
    assert is_challenged(await caller.post(CALL, {"X-Api-Key": f"Bearer {AGENT_KEY}"}), invalid=True)


@pytest.mark.parametrize("query", ["access_token", "ACCESS_TOKEN", "api%5Fkey", "api-key", "token", "x&key"])
async def test_a_key_in_the_url_is_refused_even_next_to_a_valid_one(
    gateway: RunningGateway, upstream: Upstream, query: str
) -> None:
    await gateway.apply(gateway.entry("mock", upstream.url, [keyed(AGENT)]))
    async with mcp_caller(f"{gateway.url()}?{query}={AGENT_KEY}") as caller:
        for headers in ({}, bearer(AGENT_KEY)):
            reply = await caller.post(CALL, headers)
            assert (reply.status, reply.json["error"]) == (400, "CredentialInQuery")
            assert AGENT_KEY not in reply.body.decode()
    assert upstream.arrived == []


async def test_two_credentials_in_two_headers_are_refused(
    gateway: RunningGateway, upstream: Upstream, caller: McpCaller
) -> None:
    by_header = keyed(AGENT, name="by-header", header="x-api-key", scheme=None)
    await gateway.apply(gateway.entry("mock", upstream.url, [keyed(OTHER), by_header]))
    reply = await caller.post(CALL, {"X-Api-Key": AGENT_KEY, **bearer(OTHER_KEY)})
    assert (reply.status, reply.json["error"]) == (400, "SeveralCredentials")
    assert (await caller.post(CALL, {"X-Api-Key": AGENT_KEY})).result == RESULT
    assert (await caller.post(CALL, bearer(OTHER_KEY))).result == RESULT


async def test_where_anonymous_callers_are_admitted_a_bad_key_is_still_refused(
    gateway: RunningGateway, upstream: Upstream, caller: McpCaller
) -> None:
    await gateway.apply(gateway.entry("mock", upstream.url, [keyed(AGENT, anonymous=True)]))
    assert (await caller.post(CALL)).result == RESULT
    assert (await caller.post(CALL, bearer(AGENT_KEY))).result == RESULT
    assert is_challenged(await caller.post(CALL, bearer("another-key-0123456789")), invalid=True)


async def test_where_the_platform_authenticates_an_owner_can_add_neither_keys_nor_anonymous_callers(
    gateway: RunningGateway, upstream: Upstream, caller: McpCaller
) -> None:
    platform = keyed(AGENT, name="baseline", tier="platform")
    await gateway.apply(gateway.entry("mock", upstream.url, [platform, keyed(OTHER), open_to_all()]))
    assert (await caller.post(CALL, bearer(AGENT_KEY))).result == RESULT
    assert is_challenged(await caller.post(CALL, bearer(OTHER_KEY)), invalid=True)
    assert is_challenged(await caller.post(CALL), invalid=False)


async def test_the_methods_of_several_owner_policies_add_up(
    gateway: RunningGateway, upstream: Upstream, caller: McpCaller
) -> None:
    await gateway.apply(gateway.entry("mock", upstream.url, [keyed(AGENT), keyed(OTHER, name="more")]))
    for key in (AGENT_KEY, OTHER_KEY):
        assert (await caller.post(CALL, bearer(key))).result == RESULT
    assert is_challenged(await caller.post(CALL), invalid=False)


async def test_a_policy_in_shadow_mode_authenticates_no_caller(
    gateway: RunningGateway, upstream: Upstream, caller: McpCaller
) -> None:
    await gateway.apply(gateway.entry("mock", upstream.url, [keyed(AGENT, mode="Shadow")]))
    assert (await caller.post(CALL)).result == RESULT


async def test_a_policy_without_any_key_refuses_every_caller(
    gateway: RunningGateway, upstream: Upstream, caller: McpCaller
) -> None:
    await gateway.apply(gateway.entry("mock", upstream.url, [keyed()]))
    assert is_challenged(await caller.post(CALL, bearer(AGENT_KEY)), invalid=True)


async def test_a_key_stops_at_its_expiry_although_it_was_accepted_before(
    gateway: RunningGateway, upstream: Upstream, caller: McpCaller
) -> None:
    lives_shortly = api_key(AGENT_KEY, expires_at=int(time.time()) + 2)
    await gateway.apply(gateway.entry("mock", upstream.url, [keyed(lives_shortly)]))
    assert (await caller.post(CALL, bearer(AGENT_KEY))).result == RESULT

    async def refused() -> bool:
        return is_challenged(await caller.post(CALL, bearer(AGENT_KEY)), invalid=True)

    await eventually(refused)
    assert time.time() >= lives_shortly.expires_at  # type: ignore[operator]


async def test_a_preflight_needs_no_key_and_names_the_header_of_keys(upstream: Upstream) -> None:
    async with running_gateway(origins=["https://app.example.com"]) as gateway, mcp_caller(gateway.url()) as caller:
        await gateway.apply(gateway.entry("mock", upstream.url, [keyed(AGENT, header="x-api-key", scheme=None)]))
        asked = {"Origin": "https://app.example.com", "Access-Control-Request-Method": "POST"}
        reply = await caller.request("OPTIONS", asked)
        assert reply.status == 204
        assert "x-api-key" in reply.headers["Access-Control-Allow-Headers"]
        refused = await caller.post(CALL, {"Origin": "https://app.example.com"})
        assert is_challenged(refused, invalid=False)
        assert refused.headers["Access-Control-Allow-Origin"] == "https://app.example.com"
        assert "WWW-Authenticate" in refused.headers["Access-Control-Expose-Headers"]


# Sessions


async def test_a_session_belongs_to_the_consumer_and_outlives_a_rotation_of_its_key(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    await gateway.apply(gateway.entry("mock", upstream.url, [keyed(AGENT, OTHER)]))
    async with mcp_caller(gateway.url(), credential=bearer(AGENT_KEY)) as caller:
        await caller.initialize()
        assert (await caller.post(PING)).status == 200
        assert (await caller.post(PING, bearer(OTHER_KEY))).status == 404
        await gateway.apply(gateway.entry("mock", upstream.url, [keyed(api_key(NEXT_KEY), OTHER)]))
        assert (await caller.post(PING, bearer(NEXT_KEY))).status == 200
        assert is_challenged(await caller.post(PING), invalid=True)


async def test_once_keys_are_required_an_anonymous_session_is_unknown_and_its_stream_is_closed(
    gateway: RunningGateway, upstream: Upstream, caller: McpCaller
) -> None:
    await gateway.apply(gateway.entry("mock", upstream.url))
    await caller.initialize()
    async with caller.listen() as stream:
        await eventually(lambda: gateway.app.pipeline.limiter.streams == 1)
        await gateway.apply(gateway.entry("mock", upstream.url, [keyed(AGENT)]))
        assert await stream.ended()
    assert is_challenged(await caller.post(PING), invalid=False)
    assert (await caller.post(PING, bearer(AGENT_KEY))).status == 404
    caller.credential, caller.session = bearer(AGENT_KEY), None
    await caller.initialize()
    assert (await caller.post(PING)).status == 200


async def test_once_no_key_is_required_the_session_of_a_consumer_is_unknown(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    await gateway.apply(gateway.entry("mock", upstream.url, [keyed(AGENT)]))
    async with mcp_caller(gateway.url(), credential=bearer(AGENT_KEY)) as caller:
        await caller.initialize()
        await gateway.apply(gateway.entry("mock", upstream.url))
        assert (await caller.post(PING)).status == 404


async def test_a_key_that_means_another_caller_in_another_policy_is_refused(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream
) -> None:
    first, second = (
        keyed(AGENT, api_key(NEXT_KEY), name="a"),
        keyed(api_key(AGENT_KEY, "default/admin"), OTHER, name="b"),
    )
    same = keyed(OTHER, name="c")
    for policies in ([first, second, same], [same, second, first]):
        await gateway.apply(gateway.entry("mock", upstream.url, policies))
        assert is_challenged(await caller.post(CALL, bearer(AGENT_KEY)), invalid=True)
        for key in (OTHER_KEY, NEXT_KEY):
            assert (await caller.post(CALL, bearer(key))).status == 200
    await gateway.apply(gateway.entry("mock", upstream.url, [first, same]))
    assert (await caller.post(CALL, bearer(AGENT_KEY))).status == 200


@pytest.mark.usefixtures("agents_only")
@pytest.mark.parametrize(
    ("value", "status"),
    [
        (f"Bearer {AGENT_KEY}  ", 200),
        (f"Bearer  {AGENT_KEY}", 200),
        (f"Bearer {AGENT_KEY}\t", 200),
        (f"Bearer \t{AGENT_KEY}", 401),
        (f"Bearer {AGENT_KEY}\u00a0", 401),
        (f"Bearer {AGENT_KEY} \u200b", 401),
    ],
)
async def test_white_space_that_http_ignores_around_a_key_is_no_part_of_it_and_any_other_is(
    gateway: RunningGateway, value: str, status: int
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.app.port)
    try:
        head = f"GET /mock/mcp/whoami HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {value}\r\n\r\n"
        writer.write(head.encode())
        assert int((await reader.readline()).split()[1]) == status
    finally:
        writer.close()
        await writer.wait_closed()


# Open streams


@asynccontextmanager
async def open_stream(gateway: RunningGateway, kind: str, key: str = AGENT_KEY) -> AsyncIterator[Stream]:
    """A stream of the caller with a key: the GET of a session, or a listen."""
    async with mcp_caller(gateway.url(), credential=bearer(key)) as caller:
        if kind == "listen":
            opening = caller.stream(LISTEN)
        else:
            await caller.initialize()
            opening = caller.listen()
        before = gateway.app.pipeline.limiter.streams
        async with opening as stream:
            await eventually(lambda: gateway.app.pipeline.limiter.streams == before + 1)
            yield stream


KINDS = pytest.mark.parametrize("kind", ["get", "listen"])


@KINDS
async def test_a_removed_key_closes_its_streams_and_no_others(
    gateway: RunningGateway, upstream: Upstream, kind: str
) -> None:
    await gateway.apply(gateway.entry("mock", upstream.url, [keyed(AGENT, OTHER)]))
    async with open_stream(gateway, kind) as closed, open_stream(gateway, kind, OTHER_KEY):
        await gateway.apply(gateway.entry("mock", upstream.url, [keyed(OTHER)]))
        assert await closed.ended()
        assert gateway.app.pipeline.limiter.streams == 1


@KINDS
async def test_a_key_that_expires_closes_its_streams(gateway: RunningGateway, upstream: Upstream, kind: str) -> None:
    shortly = api_key(AGENT_KEY, expires_at=int(time.time()) + 2)
    await gateway.apply(gateway.entry("mock", upstream.url, [keyed(shortly)]))
    async with open_stream(gateway, kind) as stream:
        assert await stream.ended()
    assert time.time() >= (shortly.expires_at or 0)


@KINDS
async def test_a_key_of_another_consumer_now_closes_its_streams(
    gateway: RunningGateway, upstream: Upstream, kind: str
) -> None:
    await gateway.apply(gateway.entry("mock", upstream.url, [keyed(AGENT)]))
    async with open_stream(gateway, kind) as stream:
        await gateway.apply(gateway.entry("mock", upstream.url, [keyed(api_key(AGENT_KEY, "default/renamed"))]))
        assert await stream.ended()


@KINDS
async def test_a_stream_whose_key_stays_valid_goes_on_and_delivers(
    gateway: RunningGateway, upstream: Upstream, scene: Scene, kind: str
) -> None:
    await gateway.apply(gateway.entry("mock", upstream.url, [keyed(AGENT)]))
    async with open_stream(gateway, kind) as stream:
        await gateway.apply(gateway.entry("mock", upstream.url, [keyed(AGENT, OTHER)]))
        scene.say.put_nowait({"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": "hello"}})
        assert (await stream.message())["params"]["data"] == "hello"


async def test_a_call_whose_body_arrives_after_its_key_was_removed_is_refused(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    await gateway.apply(gateway.entry("mock", upstream.url, [keyed(AGENT, OTHER)]))
    body = json.dumps(legacy("tools/call", CALL["params"])).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.app.port)
    head = (
        f"POST /mock/mcp HTTP/1.1\r\nHost: 127.0.0.1:{gateway.app.port}\r\nAuthorization: Bearer {AGENT_KEY}\r\n"
        f"Content-Type: application/json\r\nAccept: {BOTH_TYPES}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body[:10])
    await eventually(lambda: any(each.uploads for each in gateway.app.pipeline.limiter.principals.by_key.values()))
    await gateway.apply(gateway.entry("mock", upstream.url, [keyed(OTHER)]))
    writer.write(body[10:])
    async with asyncio.timeout(TIMEOUT_SECONDS):
        assert (await reader.readline()).split()[1] == b"401"
    writer.close()
    assert upstream.arrived == []


# Limits and evidence


async def test_the_limit_of_one_principal_leaves_the_others_their_own(scene: Scene) -> None:
    bounds = BOUNDS.model_copy(update={"per_principal": ShareConfig(requests_in_flight=1)})
    async with running_gateway(bounds=bounds) as gateway, serving(with_handshake(scene.script)) as upstream:
        await gateway.apply(gateway.entry("mock", upstream.url, [keyed(AGENT, OTHER, anonymous=True)]))
        scene.gate.clear()
        async with mcp_caller(gateway.url()) as caller, asyncio.TaskGroup() as calls:
            first = calls.create_task(caller.post(CALL, bearer(AGENT_KEY)))
            await eventually(lambda: upstream.count("tools/call") == 1)
            beyond = await caller.post(CALL, bearer(AGENT_KEY))
            others = [calls.create_task(caller.post(CALL, each)) for each in (bearer(OTHER_KEY), {}, {})]
            await eventually(lambda: upstream.count("tools/call") == 4)
            scene.gate.set()
        assert beyond.status == 503
        assert [task.result().result for task in (first, *others)] == [RESULT] * 4


async def test_span_and_metric_name_the_consumer_or_the_refusal_and_nothing_shows_a_key(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with http_sink() as sink:
        telemetry = Telemetry.from_env({"OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint})
        async with (
            running_gateway(telemetry=telemetry) as gateway,
            serving(with_handshake(scene.script)) as upstream,
            mcp_caller(gateway.url()) as caller,
        ):
            await gateway.apply(gateway.entry("mock", upstream.url, [keyed(AGENT)]))
            await caller.post(CALL, bearer(AGENT_KEY))
            await caller.post(CALL, bearer(OTHER_KEY))
            await caller.post(CALL)
            metrics = generate_latest(gateway.app.metrics.registry).decode()
            spans = sink.wait_for(lambda found: sum(each.kind == "SERVER" for each in found) == 3)
    served, invalid, missing = (each for each in spans if each.kind == "SERVER")
    assert served.attributes["user.id"] == "default/agent"
    assert served.attributes["ostiary.authentication.method"] == "apiKey"
    assert "user.id" not in invalid.attributes
    assert [(each.attributes["error.type"], each.description) for each in (invalid, missing)] == [
        ("401", "CredentialInvalid"),
        ("401", "CredentialMissing"),
    ]
    known, refused = 'method="apiKey",ostiary_proxy="default/mock"', 'ostiary_proxy="default/mock"'
    for labels, outcome in ((known, "accepted"), (refused, "CredentialInvalid"), (refused, "CredentialMissing")):
        sample = f'{labels},outcome="{outcome}"'
        assert f"ostiary_authentications_total{{{sample}}} 1.0" in metrics
    seen = [caplog.text, metrics, *map(str, spans)]
    assert exposed(seen, AGENT_KEY, OTHER_KEY, AGENT.digest) == []


async def test_callers_of_a_proxy_without_authentication_may_send_any_credential(
    gateway: RunningGateway, upstream: Upstream, caller: McpCaller
) -> None:
    await gateway.apply(gateway.entry("mock", upstream.url, [policy("p", {"name": "all", "effect": "Allow"})]))
    assert (await caller.post(CALL, bearer("whatever"))).result == RESULT
