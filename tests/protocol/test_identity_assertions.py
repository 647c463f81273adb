"""Identity assertions: a real gateway names its callers to a server, which verifies that with the published keys."""

import asyncio
import logging
import os
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from aiohttp import ClientSession
from api_keys import AGENT_KEY, OTHER_KEY, api_key, bearer, keyed
from fenced_blocks import fenced_blocks
from gateways import RunningGateway
from identity_provider import IdentityProvider, identity_provider
from mcp_caller import McpCaller, mcp_caller, modern
from mcp_clients import ERAS, Era, connect
from upstreams import RefusableScene, Upstream

from ostiary_core.contract.authentication import AuthenticationConfig, ClaimsConfig
from ostiary_core.contract.documents import PolicyDocument
from ostiary_core.contract.upstream_credentials import IdentityAssertionConfig, UpstreamCredentialConfig

GATEWAY = "https://gw.example.com"
ISSUER = f"{GATEWAY}/default/mock"
AUDIENCE = "https://crm.example.com/mcp"
CALL = modern("tools/call", {"name": "get_users", "arguments": {}})
AGENT = api_key(AGENT_KEY, groups=["support", "admins"])
OTHER = api_key(OTHER_KEY, "default/other")
RESULT: dict[str, Any] = {"content": []}
KEY_SET = "/.well-known/jwks.json"


@pytest.fixture
def scene() -> RefusableScene:
    return RefusableScene(RESULT)


def asserting(**members: Any) -> dict[str, Any]:
    """The server of an entry that gets assertions."""
    usual = {"header": "Authorization", "prefix": "Bearer ", "audience": AUDIENCE, "lifetime": 60_000}
    config = IdentityAssertionConfig(**{**usual, **members})
    return {"server": {"credential": UpstreamCredentialConfig(identity_assertion=config)}}


@pytest.fixture
async def world(gateway: RunningGateway, upstream: Upstream) -> Upstream:
    """A proxy whose server learns who calls; callers have API keys or are anonymous."""
    gateway.settings = gateway.settings.model_copy(update={"external_url": GATEWAY})
    await gateway.apply(gateway.entry("mock", upstream.url, [keyed(AGENT, OTHER, anonymous=True)], **asserting()))
    return upstream


def sent(upstream: Upstream, header: str = "Authorization") -> str:
    """The assertion of the last request."""
    return upstream.arrived[-1].headers[header].removeprefix("Bearer ")


async def verified(gateway: RunningGateway, token: str, *, audience: str = AUDIENCE) -> dict[str, Any]:
    """The claims of an assertion, as the documentation says that a server verifies it."""
    keys = jwt.PyJWKClient(f"http://127.0.0.1:{gateway.app.port}{KEY_SET}")
    key = await asyncio.to_thread(keys.get_signing_key_from_jwt, token)
    found = jwt.decode(
        token, key, algorithms=["ES256"], issuer=ISSUER, audience=audience, options={"require": ["exp", "iat", "sub"]}
    )
    assert isinstance(found, dict)
    return found


async def test_a_server_verifies_who_calls_it_with_the_published_keys(
    gateway: RunningGateway, world: Upstream, caller: McpCaller
) -> None:
    assert (await caller.post(CALL, bearer(AGENT_KEY))).json["result"] == RESULT
    claims = await verified(gateway, sent(world))
    assert claims.pop("exp") - claims.pop("iat") == 60
    assert len(claims.pop("jti")) >= 16
    assert claims == {
        "iss": ISSUER,
        "sub": "consumer:default/agent",
        "aud": AUDIENCE,
        "proxy": "default/mock",
        "method": "apiKey",
        "consumer": "default/agent",
        "groups": ["admins", "support"],
        "scope": "",
    }


@pytest.mark.parametrize("era", ERAS)
async def test_an_official_client_calls_a_server_that_gets_assertions(
    gateway: RunningGateway, mock: str, era: Era
) -> None:
    await gateway.apply(gateway.entry("mock", mock, [keyed(AGENT)], **asserting()))
    async with connect(gateway.url(), era=era, headers=bearer(AGENT_KEY)) as client:
        assert not (await client.call_tool("get_users", {})).is_error


async def test_the_verifier_of_the_guide_accepts_assertions_for_its_server_alone(
    gateway: RunningGateway, world: Upstream, caller: McpCaller
) -> None:
    await caller.post(CALL, bearer(AGENT_KEY))
    caller_of = verifier_of_the_guide(gateway, issuer=ISSUER, audience=AUDIENCE)
    assert (await asyncio.to_thread(caller_of, sent(world)))["consumer"] == "default/agent"
    elsewhere = verifier_of_the_guide(gateway, issuer=ISSUER, audience="https://other.example.com/mcp")
    another_proxy = verifier_of_the_guide(gateway, issuer=f"{GATEWAY}/team-b/crm", audience=AUDIENCE)
    for refuses, why in ((elsewhere, jwt.InvalidAudienceError), (another_proxy, jwt.InvalidIssuerError)):
        with pytest.raises(why):
            await asyncio.to_thread(refuses, sent(world))
    head, _, signature = sent(world).rpartition(".")
    with pytest.raises(jwt.InvalidSignatureError):
        await asyncio.to_thread(caller_of, f"{head}.{signature[:-8]}AAAAAAAA")


def verifier_of_the_guide(gateway: RunningGateway, *, issuer: str, audience: str) -> Callable[[str], dict[str, Any]]:
    """The function of the guide, with the URLs of the test."""
    [text] = fenced_blocks("docs/guides/credentials.md", "python")
    for shown, ours in (
        ("https://mcp.example.com/.well-known", f"http://127.0.0.1:{gateway.app.port}/.well-known"),
        ("https://mcp.example.com/team-a/crm", issuer),
        ("https://crm.example.com/mcp", audience),
    ):
        assert shown in text
        text = text.replace(shown, ours)
    names: dict[str, Any] = {}
    exec(text, names)  # noqa: S102  the documentation's own code
    found: Callable[[str], dict[str, Any]] = names["caller_of"]
    return found


async def test_callers_at_the_same_time_are_never_named_for_each_other(
    gateway: RunningGateway, world: Upstream
) -> None:
    async with mcp_caller(gateway.url()) as one, mcp_caller(gateway.url()) as two:
        for _ in range(10):
            await asyncio.gather(
                one.post({**CALL, "id": "agent"}, bearer(AGENT_KEY)),
                two.post({**CALL, "id": "other"}, bearer(OTHER_KEY)),
            )
    for arrived in world.arrived:
        claims = await verified(gateway, arrived.headers["Authorization"].removeprefix("Bearer "))
        assert claims["consumer"] == f"default/{arrived.message['id']}"
    assert len(world.arrived) == 20
    assert len({arrived.headers["Authorization"] for arrived in world.arrived}) == 2, "signed once for each caller"


async def test_an_anonymous_caller_gets_no_assertion_and_cannot_bring_one(
    gateway: RunningGateway, world: Upstream, caller: McpCaller
) -> None:
    await caller.post(CALL, bearer(AGENT_KEY))
    stolen = sent(world)
    await gateway.apply(
        gateway.entry("mock", world.url, [keyed(AGENT, anonymous=True, header="x-api-key")], **asserting())
    )
    assert (await caller.post(CALL, bearer(stolen))).json["result"] == RESULT
    assert "Authorization" not in world.arrived[-1].headers


@pytest.mark.parametrize(
    "spelling", ["X-Caller-Identity", "x-caller-identity", "X_Caller_Identity", "X-CALLER-IDENTITY"]
)
async def test_a_callers_own_copy_of_the_header_never_reaches_the_server(
    gateway: RunningGateway, upstream: Upstream, caller: McpCaller, spelling: str
) -> None:
    gateway.settings = gateway.settings.model_copy(update={"external_url": GATEWAY})
    config = asserting(header="X-Caller-Identity", prefix="")
    await gateway.apply(gateway.entry("mock", upstream.url, [keyed(AGENT, anonymous=True)], **config))
    await caller.post(CALL, {spelling: "forged"})
    assert "forged" not in str(upstream.arrived[-1].headers)
    await caller.post(CALL, {**bearer(AGENT_KEY), spelling: "forged"})
    assert "forged" not in str(upstream.arrived[-1].headers)
    assert upstream.arrived[-1].headers.getall("X-Caller-Identity") == [sent(upstream, "X-Caller-Identity")]
    assert (await verified(gateway, sent(upstream, "X-Caller-Identity")))["consumer"] == "default/agent"


async def test_claims_of_a_token_are_repeated_only_by_name(
    gateway: RunningGateway, upstream: Upstream, caller: McpCaller
) -> None:
    async with identity_provider() as provider:
        gateway.settings = gateway.settings.model_copy(update={"external_url": GATEWAY})
        policy = issuing(provider)
        await gateway.apply(gateway.entry("mock", upstream.url, [policy], **asserting(claims=("email", "iss"))))
        token = provider.token(
            aud=f"{GATEWAY}/mock/mcp", email="ada@example.com", secret="not-listed", scope="b a", roles=["x"]
        )
        assert (await caller.post(CALL, bearer(token))).json["result"] == RESULT
        claims = await verified(gateway, sent(upstream))
    assert claims["claims"] == {"email": "ada@example.com", "iss": provider.issuer}
    assert (claims["iss"], claims["scope"], claims["groups"], claims["method"]) == (ISSUER, "a b", ["x"], "jwt")
    assert "not-listed" not in str(claims)


def issuing(provider: IdentityProvider) -> PolicyDocument:
    config = provider.config(claims=ClaimsConfig(groups=["roles"]))
    authentication = AuthenticationConfig(issuers=[config])
    return PolicyDocument(
        namespace="default", name="oauth", uid="uid-oauth", generation=1, tier="owner", authentication=authentication
    )


async def test_an_assertion_never_outlives_the_credential_of_its_caller(
    gateway: RunningGateway, upstream: Upstream, caller: McpCaller
) -> None:
    gateway.settings = gateway.settings.model_copy(update={"external_url": GATEWAY})
    ends = int(time.time()) + 20
    await gateway.apply(
        gateway.entry("mock", upstream.url, [keyed(api_key(AGENT_KEY, expires_at=ends))], **asserting())
    )
    await caller.post(CALL, bearer(AGENT_KEY))
    assert (await verified(gateway, sent(upstream)))["exp"] <= ends


async def test_a_key_is_published_before_it_signs_and_after_it_is_replaced(
    gateway: RunningGateway, world: Upstream, caller: McpCaller
) -> None:
    await caller.post(CALL, bearer(AGENT_KEY))
    before = sent(world)
    gateway.assertion_keys["assertion-4000000000"] = os.urandom(32)
    await gateway.apply(*gateway.applied)
    async with ClientSession(f"http://127.0.0.1:{gateway.app.port}") as http, http.get(KEY_SET) as response:
        published = (await response.json())["keys"]
    assert [key["kid"] for key in published][1:] == [jwt.get_unverified_header(before)["kid"]]
    await caller.post(CALL, bearer(AGENT_KEY))
    assert sent(world) == before
    await verified(gateway, before)


async def test_the_key_set_has_public_parts_only_and_may_be_cached(
    gateway: RunningGateway, world: Upstream, caller: McpCaller
) -> None:
    async with ClientSession(f"http://127.0.0.1:{gateway.app.port}") as http, http.get(KEY_SET) as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "application/json"
        assert "max-age=60" in response.headers["Cache-Control"]
        (key,) = (await response.json())["keys"]
    assert set(key) == {"kty", "crv", "x", "y", "kid", "use", "alg"}


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", f"{KEY_SET}?x=1", 404),
        ("GET", f"{KEY_SET}/", 404),
        ("GET", f"/mock{KEY_SET}", 404),
        ("GET", f"/x/..{KEY_SET}", 404),
        ("GET", "/.well-known/JWKS.json", 404),
        ("GET", "/.well-known%2Fjwks.json", 404),
        ("POST", KEY_SET, 404),
        ("DELETE", KEY_SET, 404),
        ("PUT", KEY_SET, 405),
    ],
)
async def test_only_a_get_of_the_exact_path_returns_the_keys(
    gateway: RunningGateway, world: Upstream, method: str, target: str, status: int
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.app.port)
    writer.write(f"{method} {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n".encode())
    assert (await reader.readline()).split()[1] == str(status).encode()
    writer.close()
    assert world.arrived == []


async def test_a_proxy_waits_for_the_signing_key_with_its_last_good_version(
    gateway: RunningGateway, upstream: Upstream, caller: McpCaller
) -> None:
    kept = dict(gateway.assertion_keys)
    gateway.assertion_keys.clear()
    await gateway.apply(gateway.entry("mock", upstream.url))
    await gateway.apply(gateway.entry("mock", upstream.url, [keyed(AGENT)], **asserting()))
    assert "no key to sign identity assertions" in gateway.app.store.rejected_entries["default/mock"].message
    assert (await caller.post(CALL)).json["result"] == RESULT
    gateway.assertion_keys |= kept
    await gateway.apply(*gateway.applied)
    assert (await caller.post(CALL)).status == 401
    assert (await caller.post(CALL, bearer(AGENT_KEY))).json["result"] == RESULT


async def test_a_refused_assertion_gives_a_clear_error_and_is_in_no_log_or_error(
    gateway: RunningGateway, world: Upstream, caller: McpCaller, scene: RefusableScene, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for scene.status in (401, 403, 421):
        reply = await caller.post(CALL, bearer(AGENT_KEY))
        assert "WWW-Authenticate" not in reply.headers
        assert sent(world) not in reply.body.decode()
        assert sent(world) not in caplog.text
        fault = gateway.app.store.snapshot.proxies["default/mock"].server.health.fault  # type: ignore[union-attr]
        assert fault is not None
        assert sent(world) not in fault.message
        if scene.status != 421:
            assert reply.error["data"]["reason"] == "UpstreamCredentialRefused"


async def test_an_assertion_that_is_too_large_to_send_is_an_error_for_its_caller_only(
    gateway: RunningGateway, upstream: Upstream, caller: McpCaller
) -> None:
    many = api_key(AGENT_KEY, groups=[f"group-{number:04}" for number in range(1000)])
    await gateway.apply(gateway.entry("mock", upstream.url, [keyed(many, OTHER)], **asserting()))
    assert (await caller.post(CALL, bearer(OTHER_KEY))).json["result"] == RESULT
    reply = await caller.post(CALL, bearer(AGENT_KEY))
    assert reply.error["data"]["reason"] == "UpstreamCredentialUnavailable"
    assert gateway.app.store.snapshot.proxies["default/mock"].server.health.fault is None  # type: ignore[union-attr]
    assert len(upstream.arrived) == 1
