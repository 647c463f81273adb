"""Who am I at a real gateway: a caller learns about itself, after authentication, and about no one else."""

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web
from api_keys import AGENT_KEY, OTHER_KEY, api_key, bearer, exposed, keyed
from gateways import BOUNDS, RunningGateway, policy, running_gateway
from mcp_caller import McpCaller, Reply, mcp_caller, modern
from timeouts import TIMEOUT_SECONDS
from upstreams import Arrived, Upstream, answer, document, serving, with_handshake
from yarl import URL

from ostiary_core.contract.access import SubjectConfig
from ostiary_core.contract.authentication import AuthenticationConfig
from ostiary_core.contract.blocks import BlockedConfig
from ostiary_core.contract.documents import PolicyDocument

GROUP, OTHER_GROUP = "support", "secret-group"
AGENT = api_key(AGENT_KEY, "default/agent", groups=[GROUP], expires_at=1_900_000_000)
OTHER = api_key(OTHER_KEY, "default/other", groups=[OTHER_GROUP])
READ = {"name": "secret-rule", "effect": "Allow", "tools": {"names": ["read_ticket"]}}
SHOWN = {"name": "shown", "effect": "Allow", "tools": {"verbs": ["List"], "names": ["close_ticket"]}}
BLIND = {"name": "blind", "effect": "Allow", "tools": {"verbs": ["Call"], "names": ["unlisted_ticket"]}}
REFUND = {
    "name": "refund",
    "effect": "Allow",
    "tools": {"names": ["refund"]},
    "arguments": [{"path": ["amount"], "maximum": 10}],
}
NAMES = {"tools": ["read_ticket", "close_ticket", "refund", "delete_ticket", "unlisted_ticket"]}
ASKED = json.dumps(NAMES).encode()


def rules() -> PolicyDocument:
    found = policy("secret-policy", READ, SHOWN, BLIND, REFUND)
    return found.model_copy(update={"subjects": [SubjectConfig(groups=[GROUP])]})


@pytest.fixture
async def upstream() -> Any:
    async def nothing(_request: web.BaseRequest, _message: Arrived) -> web.StreamResponse:
        pytest.fail("no request of this module reaches the server")

    async with serving(with_handshake(nothing)) as upstream:
        yield upstream


@pytest.fixture
async def governed(gateway: RunningGateway, upstream: Upstream) -> None:
    await gateway.apply(gateway.entry("mock", upstream.url, [keyed(AGENT, OTHER), rules()]))


@pytest.fixture
async def caller(gateway: RunningGateway) -> Any:
    async with mcp_caller(gateway.url() + "/whoami") as caller:
        yield caller


@pytest.mark.usefixtures("governed")
async def test_a_caller_learns_its_identity_groups_and_expiry(caller: McpCaller, upstream: Upstream) -> None:
    reply = await caller.request("GET", bearer(AGENT_KEY))
    assert reply.json == {
        "principal": {
            "id": "consumer:default/agent",
            "method": "apiKey",
            "authenticated": True,
            "consumer": "default/agent",
            "groups": [GROUP],
            "scopes": [],
            "expiresAt": "2030-03-17T17:46:40Z",
        }
    }
    assert reply.headers["Cache-Control"] == "no-store"
    assert upstream.arrived == []


@pytest.mark.usefixtures("governed")
async def test_it_learns_what_it_may_do_with_names_that_it_sees_and_of_no_other_name(caller: McpCaller) -> None:
    reply = await caller.post(ASKED, bearer(AGENT_KEY))
    assert reply.json["access"] == {"tools": {"read_ticket": "use", "close_ticket": "see", "refund": "if"}}
    assert (await caller.post(ASKED, bearer(OTHER_KEY))).json["access"] == {"tools": {}}


@pytest.mark.usefixtures("governed")
async def test_no_policy_rule_claim_or_other_caller_is_in_a_response(caller: McpCaller) -> None:
    replies = [await caller.post(ASKED, headers) for headers in (bearer(AGENT_KEY), bearer("x" * 20), {})]
    texts = [f"{reply.body.decode()}{dict(reply.headers)}" for reply in replies]
    assert exposed(texts, "secret-", "default/other", OTHER_GROUP, AGENT_KEY, OTHER_KEY, "unlisted") == []


@pytest.mark.usefixtures("governed")
@pytest.mark.parametrize("headers", [{}, bearer("no-such-key-0123456789")])
async def test_a_caller_without_a_valid_credential_gets_the_same_401_as_at_the_endpoint(
    gateway: RunningGateway, caller: McpCaller, headers: dict[str, str]
) -> None:
    async with mcp_caller(gateway.url()) as endpoint:
        expected = await endpoint.request("GET", headers)
    for reply in (await caller.request("GET", headers), await caller.post(ASKED, headers)):
        assert reply.status == expected.status == 401
        assert (reply.body, challenge(reply)) == (expected.body, challenge(expected))


def challenge(reply: Reply) -> str | None:
    return reply.headers.get("WWW-Authenticate")


async def test_an_anonymous_caller_is_told_so_and_one_of_passthrough_too(
    gateway: RunningGateway, upstream: Upstream, caller: McpCaller
) -> None:
    await gateway.apply(gateway.entry("mock", upstream.url))
    reply = await caller.post(ASKED)
    assert reply.json["principal"]["method"] == "anonymous"
    assert reply.json["principal"]["authenticated"] is False
    assert reply.json["access"] == {"tools": dict.fromkeys(NAMES["tools"], "use")}
    passed = keyed(AGENT).model_copy(update={"authentication": AuthenticationConfig(passthrough=True)})
    await gateway.apply(gateway.entry("mock", upstream.url, [passed]))
    reply = await caller.request("GET", bearer("a-token-of-the-server"))
    assert (reply.json["principal"]["method"], reply.json["principal"]["authenticated"]) == ("passthrough", False)


@pytest.mark.usefixtures("governed")
async def test_only_the_exact_target_answers(gateway: RunningGateway) -> None:
    base = gateway.url().removesuffix("/mcp")
    wrong = (
        "/mcp/whoami/",
        "/mcp/whoami?x=1",
        "/mcp//whoami",
        "/mcp/WHOAMI",
        "/mcp/%77hoami",
        "/whoami",
        "/mcp/x/whoami",
    )
    for target in wrong:
        async with mcp_caller(URL(base + target, encoded=True)) as caller:
            replies = [await caller.request("GET", bearer(AGENT_KEY)), await caller.post(ASKED, bearer(AGENT_KEY))]
        assert {reply.status for reply in replies} == {404}, target


@pytest.mark.usefixtures("governed")
@pytest.mark.parametrize("method", ["DELETE", "PUT", "HEAD"])
async def test_other_methods_are_refused(caller: McpCaller, method: str) -> None:
    assert (await caller.request(method, bearer(AGENT_KEY))).status in {404, 405}


@pytest.mark.usefixtures("governed")
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[]", 400),
        (b"{", 400),
        (b'{"tool": ["x"]}', 400),
        (b'{"tools": "x"}', 400),
        (b'{"tools": [1]}', 400),
        (b'{"tools": [], "tools": []}', 400),
        (b"[" * 8000, 400),
        (json.dumps({"tools": ["x" * 9000]}).encode(), 413),
    ],
)
async def test_a_body_of_another_shape_is_refused(caller: McpCaller, body: bytes, status: int, quiet: None) -> None:
    assert (await caller.post(body, bearer(AGENT_KEY))).status == status


@pytest.mark.usefixtures("governed")
async def test_a_page_of_a_foreign_origin_is_refused(caller: McpCaller) -> None:
    headers = {**bearer(AGENT_KEY), "Origin": "https://evil.example"}
    assert (await caller.request("GET", headers)).status == 403


async def test_it_counts_in_the_in_flight_limits() -> None:
    arrived, done = asyncio.Event(), asyncio.Event()

    async def slow(_request: web.BaseRequest, message: Arrived) -> web.StreamResponse:
        arrived.set()
        await done.wait()
        return document(answer(message, {"content": []}))

    one = BOUNDS.model_copy(update={"requests_in_flight": 1})
    async with serving(with_handshake(slow)) as upstream, running_gateway(bounds=one) as gateway:
        await gateway.apply(gateway.entry("mock", upstream.url, [keyed(AGENT)]))
        async with mcp_caller(gateway.url()) as busy, mcp_caller(gateway.url() + "/whoami") as caller:
            call = modern("tools/call", {"name": "get_users", "arguments": {}})
            calling = asyncio.create_task(busy.post(call, bearer(AGENT_KEY)))
            await asyncio.wait_for(arrived.wait(), TIMEOUT_SECONDS)
            refused = await caller.request("GET", bearer(AGENT_KEY))
            done.set()
            assert (await calling).status == 200
            assert (refused.status, refused.error["data"]["reason"]) == (503, "GatewayFull")
            assert (await caller.request("GET", bearer(AGENT_KEY))).status == 200


@pytest.mark.usefixtures("governed")
async def test_a_caller_that_the_settings_block_is_refused(gateway: RunningGateway, caller: McpCaller) -> None:
    blocked = BlockedConfig(principals=["default/agent"])
    gateway.settings = gateway.settings.model_copy(update={"blocked": blocked})
    await gateway.apply(*gateway.applied)
    reply = await caller.request("GET", bearer(AGENT_KEY))
    assert reply.error["data"]["reason"] == "PrincipalBlocked"
    assert (await caller.request("GET", bearer(OTHER_KEY))).json["principal"]["consumer"] == "default/other"


async def test_a_policy_that_is_invalid_shows_no_name(
    gateway: RunningGateway, upstream: Upstream, caller: McpCaller
) -> None:
    await gateway.apply(gateway.entry("mock", upstream.url, [keyed(AGENT)], invalid=True))
    assert (await caller.post(ASKED, bearer(AGENT_KEY))).json["access"] == {"tools": {}}
