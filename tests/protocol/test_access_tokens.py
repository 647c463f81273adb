"""OAuth at a real gateway: tokens of a real issuer, its keys over HTTP, challenges and metadata."""

import asyncio
import json
from typing import Any

import jwt
import pytest
from aiohttp import ClientSession, web
from gateways import RunningGateway, policy
from identity_provider import IdentityProvider, SigningKey
from mcp_caller import McpCaller, modern
from mcp_clients import ERAS, Era, connect
from upstreams import Upstream

from ostiary_core.contract.authentication import AuthenticationConfig, IssuerConfig
from ostiary_core.contract.documents import PolicyDocument, Tier

GATEWAY = "https://gw.example.com"
RESOURCE = f"{GATEWAY}/mock/mcp"
WELL_KNOWN = "/.well-known/oauth-protected-resource"
METADATA = f"{GATEWAY}{WELL_KNOWN}/mock/mcp"
CALL = modern("tools/call", {"name": "get_users", "arguments": {}})


def oauth_policy(authentication: AuthenticationConfig, *, name: str = "oauth", tier: Tier = "owner") -> PolicyDocument:
    return PolicyDocument(
        namespace="default", name=name, uid=f"uid-{name}", generation=1, tier=tier, authentication=authentication
    )


def issuing(provider: IdentityProvider, **members: Any) -> PolicyDocument:
    return oauth_policy(AuthenticationConfig(issuers=[provider.config(**members)]))


@pytest.fixture
async def secured(gateway: RunningGateway, upstream: Upstream, provider: IdentityProvider) -> None:
    """Have the proxy `mock` admit callers with tokens of the provider."""
    gateway.settings = gateway.settings.model_copy(update={"external_url": GATEWAY})
    await gateway.apply(gateway.entry("mock", upstream.url, [issuing(provider)]))


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize("era", ERAS)
async def test_an_official_client_with_a_token_lists_and_calls(
    gateway: RunningGateway, mock: str, provider: IdentityProvider, era: Era
) -> None:
    gateway.settings = gateway.settings.model_copy(update={"external_url": GATEWAY})
    await gateway.apply(gateway.entry("mock", mock, [issuing(provider)]))
    async with connect(gateway.url(), era=era, headers=bearer(provider.token(aud=RESOURCE))) as client:
        assert "get_users" in [tool.name for tool in (await client.list_tools()).tools]
        assert not (await client.call_tool("get_users", {})).is_error


@pytest.mark.usefixtures("secured")
async def test_a_caller_without_a_token_is_led_to_the_metadata(caller: McpCaller, upstream: Upstream) -> None:
    for reply in (await caller.post(CALL), await caller.request("GET"), await caller.request("DELETE")):
        assert reply.status == 401
        assert reply.headers["WWW-Authenticate"] == f'Bearer resource_metadata="{METADATA}"'
    assert upstream.arrived == []


@pytest.mark.usefixtures("secured")
async def test_the_metadata_names_the_url_that_users_type_whatever_the_request_says(
    gateway: RunningGateway, provider: IdentityProvider
) -> None:
    expected = {
        "resource": RESOURCE,
        "authorization_servers": [provider.issuer],
        "bearer_methods_supported": ["header"],
    }
    async with ClientSession(f"http://127.0.0.1:{gateway.app.port}") as http:
        for path in (f"{WELL_KNOWN}/mock/mcp", WELL_KNOWN):
            async with http.get(path, headers={"X-Forwarded-Host": "evil.example"}) as response:
                assert (response.status, response.headers["Access-Control-Allow-Origin"]) == (200, "*")
                assert await response.json() == expected


@pytest.mark.usefixtures("secured")
@pytest.mark.parametrize(
    "target",
    [
        f"{WELL_KNOWN}/mock/mcp/",
        f"{WELL_KNOWN}/mock/mcp?x=1",
        f"{WELL_KNOWN}/mock",
        f"{WELL_KNOWN}/other/mcp",
        f"{WELL_KNOWN}%2Fmock/mcp",
        f"/mock/mcp{WELL_KNOWN}",
        f"/x/..{WELL_KNOWN}/mock/mcp",
        "/.well-known/openid-configuration",
    ],
)
async def test_a_crafted_well_known_path_leads_nowhere(
    gateway: RunningGateway, upstream: Upstream, target: str
) -> None:
    async with gateway_connection(gateway) as (reader, writer):
        writer.write(f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        assert (await reader.readline()).startswith(b"HTTP/1.1 404")
    assert upstream.arrived == []


@pytest.mark.usefixtures("secured")
@pytest.mark.parametrize("method", ["POST", "DELETE", "HEAD", "PUT"])
async def test_the_metadata_is_for_get_only(gateway: RunningGateway, method: str) -> None:
    async with gateway_connection(gateway) as (reader, writer):
        writer.write(f"{method} {WELL_KNOWN} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n".encode())
        assert (await reader.readline()).split()[1] in (b"404", b"405")


def gateway_connection(gateway: RunningGateway) -> "_Connection":
    return _Connection(gateway.app.port)


class _Connection:
    def __init__(self, port: int) -> None:
        self._port = port

    async def __aenter__(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return reader, self._writer

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()
        await self._writer.wait_closed()


HOSTILE: dict[str, tuple[dict[str, Any], str]] = {
    "an oversized token": ({"padding": "x" * 17_000}, "the token is longer than 16384 characters"),
    "an expired token": ({"exp": 1}, "the token has expired"),
    "a token that is not valid yet": ({"nbf": 1 << 40}, "the token is not valid yet"),
    "a token of another issuer": ({"iss": "https://evil.example"}, "the token is of another issuer"),
    "a token for another audience": ({"aud": "https://evil.example"}, "the token is for another audience"),
    "a token with a foreign kid": (
        {"key": SigningKey("foreign")},
        "the token is signed with a key that its issuer does not publish",
    ),
}


@pytest.mark.usefixtures("secured")
@pytest.mark.parametrize("case", HOSTILE)
async def test_a_token_that_proves_nothing_never_reaches_the_server(
    caller: McpCaller, upstream: Upstream, provider: IdentityProvider, case: str
) -> None:
    claims, why = HOSTILE[case]
    token = provider.token(**{"aud": RESOURCE, **claims})

    reply = await caller.post(CALL, bearer(token))

    assert reply.status == 401
    assert reply.headers["WWW-Authenticate"] == (
        f'Bearer error="invalid_token", error_description="{why}", resource_metadata="{METADATA}"'
    )
    assert upstream.arrived == []


@pytest.mark.usefixtures("secured")
async def test_several_authorization_headers_are_refused(
    gateway: RunningGateway, provider: IdentityProvider, upstream: Upstream
) -> None:
    token = provider.token(aud=RESOURCE)
    async with gateway_connection(gateway) as (reader, writer):
        lines = f"Authorization: Bearer {token}\r\n" * 2
        writer.write(f"GET /mock/mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n{lines}\r\n".encode())
        assert (await reader.readline()).startswith(b"HTTP/1.1 400")
    assert upstream.arrived == []


@pytest.mark.usefixtures("secured")
async def test_a_token_in_the_query_is_refused(
    gateway: RunningGateway, provider: IdentityProvider, upstream: Upstream
) -> None:
    target = f"{gateway.url()}?access_token={provider.token(aud=RESOURCE)}"
    async with ClientSession() as http, http.post(target, json={}) as response:
        assert response.status == 400
        assert "eyJ" not in await response.text()
    assert upstream.arrived == []


@pytest.mark.usefixtures("secured")
async def test_a_token_never_travels_upstream(
    caller: McpCaller, upstream: Upstream, provider: IdentityProvider
) -> None:
    token = provider.token(aud=RESOURCE)

    assert (await caller.post(CALL, bearer(token))).status == 200

    assert upstream.arrived
    assert token not in json.dumps([[*each.headers.items()] for each in upstream.arrived])


@pytest.mark.usefixtures("secured")
async def test_a_token_cannot_be_verified_while_the_issuer_was_never_reached(
    caller: McpCaller, upstream: Upstream, provider: IdentityProvider
) -> None:
    async def down(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=500)

    provider.instead = down

    reply = await caller.post(CALL, bearer(provider.token(aud=RESOURCE)))

    assert (reply.status, "WWW-Authenticate" in reply.headers) == (503, False)
    assert upstream.arrived == []


async def test_a_call_that_lacks_scopes_learns_all_that_it_needs_and_where_to_get_them(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream, provider: IdentityProvider
) -> None:
    rules = [
        {"name": "read", "effect": "Allow", "tools": {"names": ["get_users"]}, "scopes": ["users:read", "audit"]},
        {"name": "write", "effect": "Allow", "tools": {"names": ["set_users"]}, "scopes": ["users:write"]},
    ]
    gateway.settings = gateway.settings.model_copy(update={"external_url": GATEWAY})
    await gateway.apply(gateway.entry("mock", upstream.url, [issuing(provider), policy("scopes", *rules)]))

    reply = await caller.post(CALL, bearer(provider.token(aud=RESOURCE, scope="users:read")))
    assert reply.status == 403
    assert reply.headers["WWW-Authenticate"] == (
        f'Bearer error="insufficient_scope", resource_metadata="{METADATA}", scope="audit users:read"'
    )
    assert upstream.arrived == []

    reply = await caller.post(CALL, bearer(provider.token(aud=RESOURCE, scope="users:read audit other")))
    assert reply.status == 200

    reply = await caller.post(CALL)
    assert 'scope="audit users:read users:write"' in reply.headers["WWW-Authenticate"]


async def test_tokens_do_not_help_where_only_the_platform_says_how_callers_are_authenticated(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream, provider: IdentityProvider
) -> None:
    gateway.settings = gateway.settings.model_copy(update={"external_url": GATEWAY})
    platform = oauth_policy(AuthenticationConfig(issuers=[provider.config(audiences=["x"])]), name="p", tier="platform")
    await gateway.apply(gateway.entry("mock", upstream.url, [issuing(provider), platform]))

    assert (await caller.post(CALL, bearer(provider.token(aud=RESOURCE)))).status == 401
    assert (await caller.post(CALL, bearer(provider.token(aud="x")))).status == 200


async def test_a_policy_of_a_namespace_cannot_make_the_gateway_fetch_from_a_private_network(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    gateway.settings = gateway.settings.model_copy(update={"external_url": GATEWAY})
    issuer = IssuerConfig(issuer="https://10.255.255.1", algorithms=["ES256"])
    await gateway.apply(gateway.entry("mock", upstream.url, [oauth_policy(AuthenticationConfig(issuers=[issuer]))]))
    token = jwt.encode({"iss": issuer.issuer, "aud": RESOURCE}, SigningKey("x").private, algorithm="ES256")

    assert (await caller.post(CALL, bearer(token))).status == 503
    assert "addresses that the gateway's settings do not grant (private" in caplog.text
