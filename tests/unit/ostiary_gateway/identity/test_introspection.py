import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from identity_provider import AUDIENCE, LOOPBACK, IdentityProvider, document_client, identity_provider

from ostiary_core.contract.authentication import ClaimsConfig, IntrospectionConfig
from ostiary_core.policy.principal import token_id
from ostiary_core.secret_bytes import SecretBytes
from ostiary_gateway.identity.errors import IdentityUnavailable, InvalidToken
from ostiary_gateway.identity.introspection import (
    MOST_WAITING,
    TOKEN_LIMIT,
    Introspection,
    IntrospectionMemory,
)
from ostiary_gateway.identity.introspection_endpoint import IntrospectionEndpoint
from ostiary_gateway.identity.verdict_cache import ActiveTokens
from ostiary_gateway.upstream.document_client import RESPONSE_LIMIT, DocumentClient

RESOURCES = frozenset([AUDIENCE])
SECRET = b"canary-secret/+%"


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def provider() -> AsyncIterator[IdentityProvider]:
    async with identity_provider() as served:
        yield served


def memory(provider: IdentityProvider, clock: Clock, *, endpoint: str | None = "/introspect") -> IntrospectionMemory:
    url = f"{provider.issuer}{endpoint}" if endpoint is not None else None
    found = IntrospectionEndpoint(provider.issuer, url, document_client())
    return IntrospectionMemory(found, ActiveTokens(clock=clock))


def introspection(
    provider: IdentityProvider,
    *,
    clock: Clock | None = None,
    client: DocumentClient | None = None,
    remembering: IntrospectionMemory | None = None,
    secret: bytes = SECRET,
    **members: Any,
) -> Introspection:
    clock = clock or Clock()
    config = IntrospectionConfig(
        issuer=provider.issuer,
        client_id="gate:way",
        client_secret="credential-1",
        **{"cache": 30_000, "timeout": 5000, "fetch": LOOPBACK, "claims": ClaimsConfig(groups=["groups"]), **members},
    )
    return Introspection(
        config,
        client or document_client(),
        remembering or memory(provider, clock),
        namespace="team-a",
        secret=SecretBytes(secret),
        clock=clock,
    )


async def test_an_active_token_becomes_a_principal(provider: IdentityProvider) -> None:
    provider.active["opaque"] = {
        "active": True,
        "sub": "ada",
        "client_id": "agent",
        "scope": "read write",
        "groups": ["support"],
        "aud": AUDIENCE,
    }

    principal, until = await introspection(provider).verify("opaque", RESOURCES)

    assert until == Clock.now + 30
    assert principal.id == token_id(issuer=provider.issuer, subject="ada", client_id="agent")
    assert principal.method == "introspection"
    assert principal.scopes == {"read", "write"}
    assert principal.groups == {"support"}
    assert provider.forms == [{"token": "opaque", "token_type_hint": "access_token"}]
    assert provider.credentials == ["gate%3Away:canary-secret%2F%2B%25"]


async def test_an_active_token_is_asked_for_once_until_the_cache_expires(provider: IdentityProvider) -> None:
    clock = Clock()
    provider.active["opaque"] = {"active": True, "sub": "ada", "aud": [AUDIENCE]}
    judge = introspection(provider, clock=clock)
    first = await judge.verify("opaque", RESOURCES)

    assert await judge.verify("opaque", RESOURCES) is first
    clock.now += 31
    await judge.verify("opaque", RESOURCES)

    assert len(provider.forms) == 2


async def test_a_token_is_not_remembered_beyond_its_expiry(provider: IdentityProvider) -> None:
    clock = Clock()
    provider.active["opaque"] = {"active": True, "sub": "ada", "aud": AUDIENCE, "exp": int(clock.now) + 5}
    judge = introspection(provider, clock=clock)
    await judge.verify("opaque", RESOURCES)

    clock.now += 6
    with pytest.raises(InvalidToken, match="expired"):
        await judge.verify("opaque", RESOURCES)


async def test_a_token_that_is_not_active_any_more_is_refused_at_once(provider: IdentityProvider) -> None:
    provider.active["opaque"] = {"active": True, "sub": "ada", "aud": AUDIENCE}
    judge = introspection(provider, cache=0)
    await judge.verify("opaque", RESOURCES)
    provider.active["opaque"] = {"active": False}

    for _ in range(2):
        with pytest.raises(InvalidToken, match="not active"):
            await judge.verify("opaque", RESOURCES)
    assert len(provider.forms) == 3


@pytest.mark.parametrize(
    "found",
    [
        {},
        {"active": "true"},
        {"active": 1},
        {"active": True, "sub": "ada"},
        {"active": True, "sub": "ada", "aud": "https://other.example.com"},
        {"active": True, "sub": "ada", "aud": AUDIENCE, "iss": "https://other.example.com"},
        {"active": True, "sub": "ada", "aud": AUDIENCE, "exp": 1},
        {"active": True, "sub": "ada", "aud": AUDIENCE, "exp": "later"},
        {"active": True, "sub": "ada", "aud": AUDIENCE, "nbf": time.time() * 2},
        {"active": True, "aud": AUDIENCE},
        {"active": True, "sub": 7, "aud": AUDIENCE},
        {"active": True, "sub": "ada", "aud": AUDIENCE, "scope": 7},
        {"active": True, "sub": "ada", "aud": AUDIENCE, "token_type": "DPoP"},
        {"active": True, "sub": "ada", "aud": AUDIENCE, "token_type": "refresh_token"},
        {"active": True, "sub": "ada", "aud": AUDIENCE, "token_type": 7},
        {"active": True, "sub": "ada", "aud": AUDIENCE, "token_type": "Bearer", "token_use": "refresh_token"},
        {"active": True, "sub": "ada", "aud": AUDIENCE, "typ": "Refresh"},
        {"active": True, "sub": "ada", "aud": AUDIENCE, "cnf": {"jkt": "thumbprint"}},
    ],
)
async def test_a_token_that_the_server_does_not_confirm_for_this_proxy_is_refused(
    provider: IdentityProvider, found: dict[str, Any]
) -> None:
    provider.active["opaque"] = found

    with pytest.raises(InvalidToken):
        await introspection(provider).verify("opaque", RESOURCES)


async def test_the_server_alone_decides_where_the_policy_names_no_audience(provider: IdentityProvider) -> None:
    provider.active["opaque"] = {"active": True, "sub": "ada"}

    await introspection(provider, audiences=[]).verify("opaque", RESOURCES)


@pytest.mark.parametrize("status", [401, 404, 500, 503, 302])
async def test_no_token_is_accepted_while_introspection_is_down(provider: IdentityProvider, status: int) -> None:
    async def down(_request: web.Request) -> web.StreamResponse:
        return web.json_response({"active": True, "sub": "ada", "aud": AUDIENCE}, status=status)

    provider.instead = down

    with pytest.raises(IdentityUnavailable) as refused:
        await introspection(provider).verify("canary-token", RESOURCES)
    assert "canary" not in str(refused.value)


async def test_no_token_is_accepted_while_the_server_does_not_answer(provider: IdentityProvider) -> None:
    async def silent(_request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(3600)
        raise AssertionError

    provider.instead = silent

    with pytest.raises(IdentityUnavailable, match="no complete response"):
        await introspection(provider, client=document_client(seconds=0.2)).verify("opaque", RESOURCES)


async def test_concurrent_requests_with_one_token_share_an_introspection(provider: IdentityProvider) -> None:
    provider.active["opaque"] = {"active": True, "sub": "ada", "aud": AUDIENCE}
    judge = introspection(provider)

    verdicts = await asyncio.gather(*(judge.verify("opaque", RESOURCES) for _ in range(50)))

    assert len({id(verdict.principal) for verdict in verdicts}) == 1
    assert len(provider.forms) == 1


async def test_many_invented_tokens_cannot_flood_the_server(provider: IdentityProvider) -> None:
    judge = introspection(provider)

    found = await asyncio.gather(
        *(judge.verify(f"invented-{n}", RESOURCES) for n in range(500)), return_exceptions=True
    )

    assert {type(each) for each in found} == {InvalidToken, IdentityUnavailable}
    assert len(provider.forms) == MOST_WAITING


@pytest.mark.parametrize("token", ["", "x" * (TOKEN_LIMIT + 1), "ä"])
async def test_what_cannot_be_a_token_is_not_sent_to_the_server(provider: IdentityProvider, token: str) -> None:
    with pytest.raises(InvalidToken):
        await introspection(provider).verify(token, RESOURCES)
    assert provider.forms == []


@pytest.mark.parametrize("kind", ["Bearer", "bearer", "access_token"])
async def test_the_type_of_a_bearer_token_is_accepted(provider: IdentityProvider, kind: str) -> None:
    provider.active["opaque"] = {"active": True, "sub": "ada", "aud": AUDIENCE, "token_type": kind, "typ": "Bearer"}

    assert (await introspection(provider).verify("opaque", RESOURCES)).principal.authenticated


async def test_an_api_key_is_not_sent_to_the_authorization_server(provider: IdentityProvider) -> None:
    with pytest.raises(InvalidToken, match="API key"):
        await introspection(provider).verify("ostiary_canary-of-a-key", RESOURCES)
    assert provider.forms == []


async def test_a_token_that_was_active_is_accepted_while_the_server_is_down_until_the_cache_expires(
    provider: IdentityProvider,
) -> None:
    async def down(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=503)

    clock = Clock()
    provider.active["opaque"] = {"active": True, "sub": "ada", "aud": AUDIENCE}
    judge = introspection(provider, clock=clock)
    await judge.verify("opaque", RESOURCES)
    provider.instead = down

    await judge.verify("opaque", RESOURCES)
    clock.now += 31
    with pytest.raises(IdentityUnavailable):
        await judge.verify("opaque", RESOURCES)


async def test_the_verdict_never_outlives_the_token(provider: IdentityProvider) -> None:
    provider.active["opaque"] = {"active": True, "sub": "ada", "aud": AUDIENCE, "exp": int(Clock.now) + 5}

    verdict = await introspection(provider).verify("opaque", RESOURCES)

    assert verdict.until == verdict.principal.expires_at == Clock.now + 5


async def test_a_rotated_client_secret_needs_no_new_introspection_of_known_tokens(provider: IdentityProvider) -> None:
    clock = Clock()
    shared = memory(provider, clock)
    provider.active["opaque"] = {"active": True, "sub": "ada", "aud": AUDIENCE}
    await introspection(provider, clock=clock, remembering=shared).verify("opaque", RESOURCES)

    later = introspection(provider, clock=clock, remembering=shared, secret=b"canary-next")
    await later.verify("opaque", RESOURCES)
    assert len(provider.forms) == 1
    provider.active["other"] = {"active": True, "sub": "bob", "aud": AUDIENCE}
    await later.verify("other", RESOURCES)
    assert provider.credentials[-1] == "gate%3Away:canary-next"


async def test_a_response_that_is_too_large_is_no_verdict(provider: IdentityProvider) -> None:
    provider.active["opaque"] = {"active": True, "sub": "ada", "aud": AUDIENCE, "more": "x" * RESPONSE_LIMIT}
    client = document_client(limit=RESPONSE_LIMIT)

    with pytest.raises(IdentityUnavailable, match="larger than"):
        await introspection(provider, client=client).verify("opaque", RESOURCES)


async def test_a_server_that_does_not_work_is_logged_once_a_minute_without_any_credential(
    provider: IdentityProvider, caplog: pytest.LogCaptureFixture
) -> None:
    async def refusing(_request: web.Request) -> web.StreamResponse:
        return web.json_response({"error": "invalid_client", "echo": "canary-token"}, status=401)

    provider.instead = refusing
    judge = introspection(provider)
    for number in range(3):
        with pytest.raises(IdentityUnavailable):
            await judge.verify(f"canary-token-{number}", RESOURCES)

    [record] = caplog.records
    assert "status 401" in record.getMessage()
    assert provider.issuer in record.getMessage()
    assert "canary" not in caplog.text


async def test_without_an_endpoint_that_of_the_metadata_is_used(provider: IdentityProvider) -> None:
    provider.metadata["introspection_endpoint"] = f"{provider.issuer}/introspect"
    provider.active["opaque"] = {"active": True, "sub": "ada", "aud": AUDIENCE}
    judge = introspection(provider, remembering=memory(provider, Clock(), endpoint=None))

    assert (await judge.verify("opaque", RESOURCES)).principal.authenticated


async def test_without_metadata_no_token_is_accepted(provider: IdentityProvider) -> None:
    judge = introspection(provider, remembering=memory(provider, Clock(), endpoint=None))

    with pytest.raises(IdentityUnavailable, match="set endpoint in the policy"):
        await judge.verify("opaque", RESOURCES)
