"""Opaque tokens at a real gateway, and a scripted introspection endpoint."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from gateways import RunningGateway
from identity_provider import LOOPBACK, IdentityProvider, identity_provider
from mcp_caller import McpCaller, modern
from mcp_clients import ERAS, Era, connect, eventually
from prometheus_client import generate_latest
from upstreams import Upstream

from ostiary_core.contract.authentication import (
    AuthenticationConfig,
    ClaimsConfig,
    FetchConfig,
    IntrospectionConfig,
    IssuerConfig,
)
from ostiary_core.contract.documents import PolicyDocument
from ostiary_core.contract.key_names import credential_name

GATEWAY = "https://gw.example.com"
RESOURCE = f"{GATEWAY}/mock/mcp"
CALL = modern("tools/call", {"name": "get_users", "arguments": {}})
SECRETS = [f"canary-secret-{number}" for number in range(3)]
TOKEN = "canary-token-5f2b9c"


@pytest.fixture
async def provider() -> AsyncIterator[IdentityProvider]:
    async with identity_provider() as served:
        served.active[TOKEN] = {"active": True, "sub": "ada", "aud": RESOURCE, "scope": "read"}
        yield served


def name(version: int) -> str:
    return credential_name(uid="uid-secret", version=str(version), key="secret")


def introspecting(
    provider: IdentityProvider,
    *,
    version: int = 0,
    issuers: tuple[IssuerConfig, ...] = (),
    fetch: FetchConfig = LOOPBACK,
    **members: Any,
) -> PolicyDocument:
    fixed = {"endpoint": f"{provider.issuer}/introspect", "cache": 0, "timeout": 30_000, "claims": ClaimsConfig()}
    introspection = IntrospectionConfig(
        issuer=provider.issuer, client_id="gateway", client_secret=name(version), fetch=fetch, **{**fixed, **members}
    )
    return PolicyDocument(
        namespace="default",
        name="oauth",
        uid="uid-oauth",
        generation=1 + version,
        tier="owner",
        authentication=AuthenticationConfig(introspection=introspection, issuers=list(issuers)),
    )


@pytest.fixture
async def secured(gateway: RunningGateway, upstream: Upstream, provider: IdentityProvider) -> None:
    """Have the proxy `mock` admit callers whose tokens the provider confirms."""
    gateway.settings = gateway.settings.model_copy(update={"external_url": GATEWAY})
    gateway.credentials[name(0)] = SECRETS[0].encode()
    await gateway.apply(gateway.entry("mock", upstream.url, [introspecting(provider)]))


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize("era", ERAS)
async def test_an_official_client_with_an_opaque_token_lists_and_calls(
    gateway: RunningGateway, mock: str, provider: IdentityProvider, era: Era
) -> None:
    gateway.settings = gateway.settings.model_copy(update={"external_url": GATEWAY})
    gateway.credentials[name(0)] = SECRETS[0].encode()
    await gateway.apply(gateway.entry("mock", mock, [introspecting(provider, cache=30_000)]))
    async with connect(gateway.url(), era=era, headers=bearer(TOKEN)) as client:
        assert "get_users" in [tool.name for tool in (await client.list_tools()).tools]
        assert not (await client.call_tool("get_users", {})).is_error


@pytest.mark.usefixtures("secured")
async def test_an_opaque_token_is_introspected_with_the_secret_of_the_gateway(
    caller: McpCaller, upstream: Upstream, provider: IdentityProvider
) -> None:
    assert (await caller.post(CALL, bearer(TOKEN))).status == 200
    assert provider.credentials == [f"gateway:{SECRETS[0]}"]

    refused = await caller.post(CALL, bearer("other"))
    assert refused.status == 401
    assert "the token is not active" in refused.headers["WWW-Authenticate"]
    assert len(upstream.arrived) == 1
    assert "Authorization" not in upstream.arrived[0].headers


@pytest.mark.usefixtures("secured")
async def test_a_caller_without_a_token_is_led_to_the_authorization_server(
    caller: McpCaller, provider: IdentityProvider
) -> None:
    reply = await caller.post(CALL)
    assert reply.status == 401
    assert (
        f'resource_metadata="{GATEWAY}/.well-known/oauth-protected-resource/mock/mcp"'
        in (reply.headers["WWW-Authenticate"])
    )


@pytest.mark.usefixtures("secured")
async def test_a_revoked_token_is_refused_at_once_where_nothing_is_remembered(
    caller: McpCaller, provider: IdentityProvider
) -> None:
    assert (await caller.post(CALL, bearer(TOKEN))).status == 200
    provider.active[TOKEN] = {"active": False}
    assert (await caller.post(CALL, bearer(TOKEN))).status == 401


async def test_a_revoked_token_is_refused_once_the_cache_has_expired(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream, provider: IdentityProvider
) -> None:
    gateway.settings = gateway.settings.model_copy(update={"external_url": GATEWAY})
    gateway.credentials[name(0)] = SECRETS[0].encode()
    await gateway.apply(gateway.entry("mock", upstream.url, [introspecting(provider, cache=500)]))
    assert (await caller.post(CALL, bearer(TOKEN))).status == 200
    provider.active[TOKEN] = {"active": False}

    async def is_refused() -> bool:
        return (await caller.post(CALL, bearer(TOKEN))).status == 401

    await eventually(is_refused)


async def redirect(_request: web.Request) -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": "https://elsewhere.example.com"})


async def huge(_request: web.Request) -> web.StreamResponse:
    return web.json_response({"active": True, "sub": "ada", "aud": RESOURCE, "more": "x" * 1024 * 1024})


async def deep(_request: web.Request) -> web.StreamResponse:
    return web.Response(text='{"active":true,"more":' + "[" * 10_000 + "]" * 10_000 + "}")


async def no_json(_request: web.Request) -> web.StreamResponse:
    return web.Response(text="active=true")


async def broken(_request: web.Request) -> web.StreamResponse:
    return web.json_response({"error": "canary-error"}, status=500)


async def wrong_secret(_request: web.Request) -> web.StreamResponse:
    return web.json_response({"error": "invalid_client"}, status=401)


@pytest.mark.usefixtures("secured")
@pytest.mark.parametrize("script", [redirect, huge, deep, no_json, broken, wrong_secret])
async def test_without_a_usable_response_a_token_gets_503_and_never_reaches_the_server(
    caller: McpCaller, upstream: Upstream, provider: IdentityProvider, script: Any
) -> None:
    provider.instead = script
    reply = await caller.post(CALL, bearer(TOKEN))

    assert (reply.status, reply.headers["Retry-After"]) == (503, "5")
    assert "WWW-Authenticate" not in reply.headers
    assert "identity provider does not answer" in reply.body.decode()
    assert "canary" not in reply.body.decode()
    assert upstream.arrived == []
    assert len(provider.requests) == 1


async def test_a_slow_server_is_not_waited_for(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream, provider: IdentityProvider
) -> None:
    async def silent(_request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(3600)
        raise AssertionError

    provider.instead = silent
    gateway.settings = gateway.settings.model_copy(update={"external_url": GATEWAY})
    gateway.credentials[name(0)] = SECRETS[0].encode()
    await gateway.apply(gateway.entry("mock", upstream.url, [introspecting(provider, timeout=200)]))

    assert (await caller.post(CALL, bearer(TOKEN))).status == 503
    assert upstream.arrived == []


async def test_a_policy_of_a_namespace_cannot_send_tokens_to_a_private_network(
    gateway: RunningGateway,
    caller: McpCaller,
    upstream: Upstream,
    provider: IdentityProvider,
    caplog: pytest.LogCaptureFixture,
) -> None:
    gateway.settings = gateway.settings.model_copy(update={"external_url": GATEWAY})
    gateway.credentials[name(0)] = SECRETS[0].encode()
    policy = introspecting(provider, endpoint="https://10.255.255.1/introspect", fetch=FetchConfig())
    await gateway.apply(gateway.entry("mock", upstream.url, [policy]))

    assert (await caller.post(CALL, bearer(TOKEN))).status == 503
    assert "addresses that the gateway's settings do not grant (private" in caplog.text


async def test_a_jwt_of_another_issuer_and_an_api_key_are_not_sent_to_the_endpoint(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream, provider: IdentityProvider
) -> None:
    gateway.settings = gateway.settings.model_copy(update={"external_url": GATEWAY})
    gateway.credentials[name(0)] = SECRETS[0].encode()
    policy = introspecting(provider, issuers=(provider.config(issuer="https://other.example.com"),))
    await gateway.apply(gateway.entry("mock", upstream.url, [policy]))

    for credential in (provider.token(iss="https://elsewhere.example.com", aud=RESOURCE), "ostiary_a-key-of-elsewhere"):
        assert (await caller.post(CALL, bearer(credential))).status == 401
    assert provider.forms == []


async def test_a_rotated_client_secret_is_used_once_it_has_arrived_and_no_request_fails(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream, provider: IdentityProvider, quiet: None
) -> None:
    gateway.settings = gateway.settings.model_copy(update={"external_url": GATEWAY})
    gateway.credentials[name(0)] = SECRETS[0].encode()
    await gateway.apply(gateway.entry("mock", upstream.url, [introspecting(provider)]))
    assert (await caller.post(CALL, bearer(TOKEN))).status == 200

    await gateway.apply(gateway.entry("mock", upstream.url, [introspecting(provider, version=1)]))
    store = gateway.app.store
    assert store.rejected_entries["default/mock"].reason == "CredentialMissing"
    assert (await caller.post(CALL, bearer(TOKEN))).status == 200
    assert provider.credentials[-1] == f"gateway:{SECRETS[0]}"

    gateway.credentials = {name(1): SECRETS[1].encode()}
    gateway.place_secret(gateway.secret)
    await eventually(lambda: store.rejected_entries == {})
    assert (await caller.post(CALL, bearer(TOKEN))).status == 200
    assert provider.credentials[-1] == f"gateway:{SECRETS[1]}"


async def test_a_proxy_whose_client_secret_never_arrived_serves_no_one(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream, provider: IdentityProvider, quiet: None
) -> None:
    await gateway.apply(gateway.entry("mock", upstream.url, [introspecting(provider)]))

    assert (await caller.post(CALL, bearer(TOKEN))).status == 404
    assert (upstream.arrived, provider.requests) == ([], [])


@pytest.mark.usefixtures("secured")
async def test_neither_client_secret_nor_token_is_in_a_log_metric_report_or_error(
    gateway: RunningGateway, caller: McpCaller, provider: IdentityProvider, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    seen = [(await caller.post(CALL, bearer(TOKEN))).body.decode()]
    provider.active.clear()
    seen.append((await caller.post(CALL, bearer(TOKEN))).body.decode())
    for provider.instead in (redirect, huge, deep, no_json, broken, wrong_secret):
        seen.append((await caller.post(CALL, bearer(TOKEN))).body.decode())
    url = f"http://127.0.0.1:{gateway.app.admin_port}/config"
    async with (
        aiohttp.ClientSession() as http,
        http.get(url, headers={"Authorization": "Bearer admin-for-tests"}) as response,
    ):
        assert response.status == 200
        seen.append(await response.text())
    seen.append(generate_latest(gateway.app.metrics.registry).decode())
    seen += [caplog.text, repr(gateway.app.store.keyring), repr(gateway.app.store.snapshot)]
    seen += [path.read_text(errors="replace") for path in gateway.directory.glob("*.json")]

    assert [text for text in seen if "canary" in text] == []
