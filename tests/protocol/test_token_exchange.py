"""Token exchange (RFC 8693): each caller's token becomes another one for the server, at a real token endpoint."""

import asyncio
import base64
import logging
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs

import jwt
import pytest
from aiohttp import ClientSession, web
from api_keys import AGENT_KEY, api_key, keyed
from gateways import RunningGateway
from identity_provider import LOOPBACK, IdentityProvider
from mcp_caller import McpCaller, mcp_caller, modern
from mcp_clients import ERAS, Era, connect, eventually
from prometheus_client import generate_latest
from upstreams import Arrived, RefusableScene, Upstream, answer, document, serving, with_handshake

from ostiary_core.contract.authentication import AuthenticationConfig, IntrospectionConfig
from ostiary_core.contract.documents import PolicyDocument, Tier
from ostiary_core.contract.upstream_credentials import TokenExchangeConfig, UpstreamCredentialConfig

GATEWAY = "https://gw.example.com"
RESOURCE = f"{GATEWAY}/mock/mcp"
CANARY = "canary-client-secret"
NAME = "credential-uid-1-0"
CALL = modern("tools/call", {"name": "get_users", "arguments": {}})
RESULT: dict[str, Any] = {"content": []}
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"


class TokenEndpoint:
    """Gives each caller a token that names it. ``respond``, if set, responds instead; a closed gate delays it."""

    def __init__(self) -> None:
        self.forms: list[dict[str, str]] = []
        self.clients: list[str] = []
        self.lifetime: float = 3600
        self.respond: web.StreamResponse | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def script(self, _: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        form = {name: values[0] for name, values in parse_qs(arrived.body.decode()).items()}
        self.forms.append(form)
        self.clients.append(base64.b64decode(arrived.headers["Authorization"].removeprefix("Basic ")).decode())
        await self.gate.wait()
        if self.respond is not None:
            return self.respond
        token = f"canary-exchanged-{len(self.forms)}-for-{subject(form)}"
        found = {"access_token": token, "issued_token_type": ACCESS_TOKEN, "token_type": "Bearer"}
        return web.json_response({**found, "expires_in": self.lifetime})

    def refuse(self, status: int, error: str) -> None:
        """Refuse every exchange with this error of OAuth."""
        self.respond = web.json_response({"error": error, "error_description": CANARY}, status=status)


def subject(form: dict[str, str]) -> str:
    """Whose token is exchanged."""
    token = form["subject_token"]
    return str(jwt.decode(token, options={"verify_signature": False})["sub"]) if token.count(".") == 2 else token


@pytest.fixture
def scene() -> RefusableScene:
    return RefusableScene(RESULT)


@pytest.fixture
def endpoint() -> TokenEndpoint:
    return TokenEndpoint()


@pytest.fixture
async def token_url(endpoint: TokenEndpoint) -> AsyncIterator[str]:
    async with serving(endpoint.script) as served:
        yield served.url


def exchanging(token_url: str, **members: Any) -> dict[str, Any]:
    """The server of an entry that gets exchanged tokens."""
    usual = {"token_endpoint": token_url, "client_id": "ostiary", "secret": NAME, "subject_token_type": ACCESS_TOKEN}
    return {"credential": UpstreamCredentialConfig(token_exchange=TokenExchangeConfig(**{**usual, **members}))}


def issuing(provider: IdentityProvider, *, tier: Tier = "owner", anonymous: bool = False) -> PolicyDocument:
    authentication = AuthenticationConfig(issuers=[provider.config()], anonymous=anonymous)
    return PolicyDocument(
        namespace="default", name="oauth", uid="uid-oauth", generation=1, tier=tier, authentication=authentication
    )


@pytest.fixture
async def world(gateway: RunningGateway, upstream: Upstream, provider: IdentityProvider, token_url: str) -> Upstream:
    """A proxy with callers of the provider, or anonymous ones, before a server that gets exchanged tokens."""
    gateway.settings = gateway.settings.model_copy(update={"external_url": GATEWAY})
    gateway.credentials[NAME] = CANARY.encode()
    policies = [issuing(provider, anonymous=True), keyed(api_key(AGENT_KEY), header="x-api-key", scheme=None)]
    await gateway.apply(gateway.entry("mock", upstream.url, policies, server=exchanging(token_url)))
    return upstream


def as_caller(provider: IdentityProvider, sub: str = "ada", **claims: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {provider.token(aud=RESOURCE, sub=sub, **claims)}"}


def sent(upstream: Upstream) -> list[str]:
    """The tokens that the server got."""
    return [each.headers.get("Authorization", "").removeprefix("Bearer ") for each in upstream.arrived]


@pytest.mark.parametrize("era", ERAS)
async def test_an_official_client_calls_a_server_that_gets_an_exchanged_token(
    gateway: RunningGateway, mock: str, provider: IdentityProvider, token_url: str, era: Era
) -> None:
    gateway.settings = gateway.settings.model_copy(update={"external_url": GATEWAY})
    gateway.credentials[NAME] = CANARY.encode()
    await gateway.apply(gateway.entry("mock", mock, [issuing(provider)], server=exchanging(token_url)))
    async with connect(gateway.url(), era=era, headers=as_caller(provider)) as client:
        assert not (await client.call_tool("get_users", {})).is_error


async def test_a_callers_token_is_exchanged_once_and_never_sent_to_the_server(
    gateway: RunningGateway, upstream: Upstream, provider: IdentityProvider, token_url: str, endpoint: TokenEndpoint
) -> None:
    gateway.settings = gateway.settings.model_copy(update={"external_url": GATEWAY})
    gateway.credentials[NAME] = CANARY.encode()
    more = {
        "scopes": ("a", "b"),
        "resource": "https://crm.example.com/mcp",
        "audience": "crm",
        "requested_token_type": ACCESS_TOKEN,
    }
    await gateway.apply(gateway.entry("mock", upstream.url, [issuing(provider)], server=exchanging(token_url, **more)))
    caller_headers = as_caller(provider)
    async with mcp_caller(gateway.url()) as caller:
        for _ in range(3):
            assert (await caller.post(CALL, caller_headers)).json["result"] == RESULT
    assert sent(upstream) == ["canary-exchanged-1-for-ada"] * 3
    assert endpoint.clients == [f"ostiary:{CANARY}"]
    assert endpoint.forms == [
        {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "subject_token": caller_headers["Authorization"].removeprefix("Bearer "),
            "subject_token_type": ACCESS_TOKEN,
            "requested_token_type": ACCESS_TOKEN,
            "scope": "a b",
            "resource": "https://crm.example.com/mcp",
            "audience": "crm",
        }
    ]


async def test_two_callers_at_the_same_time_never_share_a_token(
    gateway: RunningGateway, world: Upstream, provider: IdentityProvider
) -> None:
    headers = {sub: as_caller(provider, sub) for sub in ("ada", "bob", "eve")}
    async with mcp_caller(gateway.url()) as one, mcp_caller(gateway.url()) as two, mcp_caller(gateway.url()) as three:
        callers = dict(zip(headers, (one, two, three), strict=True))
        for _ in range(10):
            await asyncio.gather(*(callers[sub].post({**CALL, "id": sub}, headers[sub]) for sub in headers))
    for arrived, token in zip(world.arrived, sent(world), strict=True):
        assert token.endswith(f"-for-{arrived.message['id']}")
    assert len(world.arrived) == 30
    assert len(set(sent(world))) == 3


async def test_requests_of_one_caller_share_an_exchange_that_a_caller_who_gives_up_does_not_end(
    gateway: RunningGateway, world: Upstream, provider: IdentityProvider, endpoint: TokenEndpoint, caller: McpCaller
) -> None:
    endpoint.gate.clear()
    headers = as_caller(provider)
    async with mcp_caller(gateway.url()) as impatient:
        first = asyncio.create_task(impatient.post(CALL, headers))
        await eventually(lambda: len(endpoint.forms) == 1)
        others = [asyncio.create_task(caller.post(CALL, headers)) for _ in range(5)]
        first.cancel()
    endpoint.gate.set()
    assert [(await other).json["result"] for other in others] == [RESULT] * 5
    assert len(endpoint.forms) == 1


@pytest.mark.parametrize("headers", [{}, {"X-Api-Key": AGENT_KEY}], ids=["anonymous", "API key"])
async def test_a_caller_without_an_access_token_is_refused_and_nothing_is_sent(
    gateway: RunningGateway, world: Upstream, endpoint: TokenEndpoint, caller: McpCaller, headers: dict[str, str]
) -> None:
    reply = await caller.post(CALL, headers)
    assert reply.error["data"]["reason"] == "UpstreamCallerTokenRequired"
    assert "needs an access token of the caller" in reply.error["message"]
    assert (world.arrived, endpoint.forms) == ([], [])
    assert gateway.app.store.snapshot.proxies["default/mock"].server.health.fault is None  # type: ignore[union-attr]


FAILURES: dict[str, tuple[web.StreamResponse, str]] = {
    "the grant is not valid": (web.json_response({"error": "invalid_grant"}, status=400), "TokenExchangeRefused"),
    "access is denied": (web.json_response({"error": "access_denied"}, status=403), "TokenExchangeRefused"),
    "the client is unknown": (web.json_response({"error": "invalid_client"}, status=401), "CredentialUnavailable"),
    "an error of no specification": (web.json_response({"error": CANARY}, status=400), "CredentialUnavailable"),
    "it fails": (web.Response(status=500), "CredentialUnavailable"),
    "a redirect": (web.Response(status=307, headers={"Location": "http://127.0.0.1:1/"}), "CredentialUnavailable"),
    "a huge response": (web.Response(body=b" " * 1_000_000), "CredentialUnavailable"),
    "no token": (web.json_response({"token_type": "Bearer"}), "CredentialUnavailable"),
    "a token of another kind": (
        web.json_response({"access_token": "a", "token_type": "N_A"}),
        "CredentialUnavailable",
    ),
    "a token that breaks out of its header": (
        web.json_response({"access_token": "a\r\nX-Injected: yes", "token_type": "Bearer"}),
        "CredentialUnavailable",
    ),
    "a huge token": (
        web.json_response({"access_token": "a" * 10_000, "token_type": "Bearer"}),
        "CredentialUnavailable",
    ),
}


@pytest.mark.parametrize("failure", FAILURES)
async def test_a_failing_exchange_fails_closed_and_a_caller_cannot_hammer_the_token_endpoint(
    world: Upstream, provider: IdentityProvider, endpoint: TokenEndpoint, caller: McpCaller, failure: str
) -> None:
    endpoint.respond, reason = FAILURES[failure]
    headers = as_caller(provider)
    replies = [await caller.post(CALL, headers) for _ in range(3)]
    replies += [await caller.post(CALL, as_caller(provider, jti=str(number))) for number in range(3)]
    assert [reply.error["data"]["reason"] for reply in replies] == [f"Upstream{reason}"] * 6
    assert len(endpoint.forms) == 1, "another token of the same caller waits, too"
    assert world.arrived == []


async def test_one_callers_failing_exchange_does_not_delay_another_caller_or_mark_the_server(
    gateway: RunningGateway, world: Upstream, provider: IdentityProvider, endpoint: TokenEndpoint, caller: McpCaller
) -> None:
    assert (await caller.post(CALL, as_caller(provider, "bob"))).json["result"] == RESULT
    endpoint.refuse(400, "invalid_grant")
    assert (await caller.post(CALL, as_caller(provider, "eve"))).error["data"][
        "reason"
    ] == "UpstreamTokenExchangeRefused"
    assert gateway.app.store.snapshot.proxies["default/mock"].server.health.fault is None  # type: ignore[union-attr]
    endpoint.respond = None
    assert (await caller.post(CALL, as_caller(provider, "ada"))).json["result"] == RESULT


async def test_a_token_endpoint_that_is_silent_does_not_hold_a_call_for_ever(
    world: Upstream,
    provider: IdentityProvider,
    endpoint: TokenEndpoint,
    caller: McpCaller,
    monkeypatch: pytest.MonkeyPatch,
    gateway: RunningGateway,
) -> None:
    endpoint.gate.clear()
    credential = gateway.app.store.snapshot.proxies["default/mock"].server.credential  # type: ignore[union-attr]
    monkeypatch.setattr(credential.of_request._client, "_seconds", 0.2)  # type: ignore[union-attr]
    reply = await caller.post(CALL, as_caller(provider))
    assert reply.error["data"]["reason"] == "UpstreamCredentialUnavailable"
    endpoint.gate.set()


async def test_a_token_endpoint_that_returns_the_callers_own_token_gives_it_to_no_server(
    world: Upstream, provider: IdentityProvider, endpoint: TokenEndpoint, caller: McpCaller
) -> None:
    headers = as_caller(provider)
    token = headers["Authorization"].removeprefix("Bearer ")
    endpoint.respond = web.json_response({"access_token": token, "token_type": "Bearer"})
    assert (await caller.post(CALL, headers)).error["data"]["reason"] == "UpstreamCredentialUnavailable"
    assert world.arrived == []


async def test_a_token_endpoint_at_an_address_that_is_not_granted_is_never_connected_to(
    gateway: RunningGateway, upstream: Upstream, provider: IdentityProvider, endpoint: TokenEndpoint, token_url: str
) -> None:
    gateway.settings = gateway.settings.model_copy(update={"external_url": GATEWAY})
    gateway.credentials[NAME] = CANARY.encode()
    await gateway.apply(
        gateway.entry("mock", upstream.url, [issuing(provider)], server=exchanging(token_url), addresses=[])
    )
    async with mcp_caller(gateway.url()) as caller:
        reply = await caller.post(CALL, as_caller(provider))
    assert reply.error["data"]["reason"] == "UpstreamCredentialUnavailable"
    assert (endpoint.forms, upstream.arrived) == ([], [])


@pytest.mark.parametrize("place", ["another port", "another name"])
async def test_tokens_that_the_platform_accepts_go_to_no_place_of_a_tenants_choice(
    gateway: RunningGateway,
    upstream: Upstream,
    provider: IdentityProvider,
    endpoint: TokenEndpoint,
    token_url: str,
    place: str,
) -> None:
    async def exchange(_request: web.Request) -> web.StreamResponse:
        return web.json_response({"access_token": "of-the-issuer", "token_type": "Bearer"})

    provider.exchange = exchange
    gateway.settings = gateway.settings.model_copy(update={"external_url": GATEWAY})
    gateway.credentials[NAME] = CANARY.encode()
    named = f"{provider.issuer}/token".replace("127.0.0.1", "localhost")
    elsewhere = exchanging(token_url if place == "another port" else named)
    platform = issuing(provider, tier="platform")
    await gateway.apply(gateway.entry("mock", upstream.url, [platform], server=elsewhere))
    async with mcp_caller(gateway.url()) as caller:
        assert (await caller.post(CALL, as_caller(provider))).error["data"]["reason"] == "UpstreamCredentialUnavailable"
        health = gateway.app.store.snapshot.proxies["default/mock"].server.health  # type: ignore[union-attr]
        assert health.fault is not None
        assert "at none of their issuers" in health.fault.message
        assert endpoint.forms == []
        at_issuer = exchanging(f"{provider.issuer}/token")
        await gateway.apply(gateway.entry("mock", upstream.url, [platform], server=at_issuer))
        assert (await caller.post(CALL, as_caller(provider))).json["result"] == RESULT
    assert sent(upstream) == ["of-the-issuer"]


async def test_an_opaque_token_that_introspection_accepts_is_exchanged(
    gateway: RunningGateway, upstream: Upstream, provider: IdentityProvider, endpoint: TokenEndpoint, token_url: str
) -> None:
    gateway.settings = gateway.settings.model_copy(update={"external_url": GATEWAY})
    gateway.credentials |= {NAME: CANARY.encode(), "credential-uid-2-0": b"introspection"}
    introspection = IntrospectionConfig(
        issuer=provider.issuer,
        endpoint=f"{provider.issuer}/introspect",
        client_id="gw",
        client_secret="credential-uid-2-0",
        cache=10_000,
        timeout=30_000,
        fetch=LOOPBACK,
    )
    policy = issuing(provider).model_copy(update={"authentication": AuthenticationConfig(introspection=introspection)})
    provider.active["opaque-1"] = {"active": True, "sub": "ada", "aud": RESOURCE, "exp": int(time.time()) + 300}
    await gateway.apply(gateway.entry("mock", upstream.url, [policy], server=exchanging(token_url)))
    async with mcp_caller(gateway.url()) as caller:
        assert (await caller.post(CALL, {"Authorization": "Bearer opaque-1"})).json["result"] == RESULT
        assert (await caller.post(CALL, {"Authorization": "Bearer opaque-2"})).status == 401
    assert sent(upstream) == ["canary-exchanged-1-for-opaque-1"]


async def test_a_refreshed_token_is_exchanged_by_itself(
    world: Upstream, provider: IdentityProvider, endpoint: TokenEndpoint, caller: McpCaller
) -> None:
    for number in range(2):
        assert (await caller.post(CALL, as_caller(provider, jti=str(number)))).json["result"] == RESULT
    assert sent(world) == ["canary-exchanged-1-for-ada", "canary-exchanged-2-for-ada"]


async def test_a_token_that_the_server_refuses_gives_a_clear_error_and_is_exchanged_again(
    world: Upstream, provider: IdentityProvider, endpoint: TokenEndpoint, caller: McpCaller, scene: RefusableScene
) -> None:
    scene.status = 401
    reply = await caller.post(CALL, as_caller(provider))
    assert reply.error["data"]["reason"] == "UpstreamCredentialRefused"
    assert "WWW-Authenticate" not in reply.headers
    scene.status = 200

    async def answers() -> bool:
        return "result" in (await caller.post(CALL, as_caller(provider))).json

    await eventually(answers)
    assert len(endpoint.forms) >= 2


async def test_neither_secret_nor_token_is_in_a_log_metric_report_or_error(
    gateway: RunningGateway,
    world: Upstream,
    provider: IdentityProvider,
    endpoint: TokenEndpoint,
    caller: McpCaller,
    scene: RefusableScene,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    headers = as_caller(provider)
    seen = []
    for scene.status in (200, 401, 403, 421, 400, 500):
        seen.append((await caller.post(CALL, headers)).body.decode())
    endpoint.refuse(400, CANARY)
    seen.append((await caller.post(CALL, as_caller(provider, "eve"))).body.decode())
    admin = {"Authorization": "Bearer admin-for-tests"}
    url = f"http://127.0.0.1:{gateway.app.admin_port}/config"
    async with ClientSession() as http, http.get(url, headers=admin) as response:
        seen.append(await response.text())
    seen += [generate_latest(gateway.app.metrics.registry).decode(), caplog.text, repr(gateway.app.store.snapshot)]
    server = gateway.app.store.snapshot.proxies["default/mock"].server  # type: ignore[union-attr]
    seen.append(str(server.health.fault))
    token = headers["Authorization"].removeprefix("Bearer ")
    assert [text for text in seen if "canary" in text or token in text] == []


async def test_the_session_of_each_caller_is_opened_with_its_own_token(
    gateway: RunningGateway, provider: IdentityProvider, token_url: str
) -> None:
    async def script(_request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        return document(answer(arrived, {**RESULT, "tools": []})) if arrived.body else web.Response(status=405)

    gateway.settings = gateway.settings.model_copy(update={"external_url": GATEWAY})
    gateway.credentials[NAME] = CANARY.encode()
    async with serving(with_handshake(script)) as upstream:
        await gateway.apply(gateway.entry("mock", upstream.url, [issuing(provider)], server=exchanging(token_url)))
        for sub in ("ada", "bob"):
            async with connect(gateway.url(), era="legacy", headers=as_caller(provider, sub)) as client:
                await client.call_tool("get_users", {})
            assert {token.rpartition("-")[2] for token in sent(upstream)} == {sub}
            upstream.arrived.clear()
