"""Which verifier gets which token."""

from collections.abc import AsyncIterator

import configs
import pytest
from identity_provider import AUDIENCE, LOOPBACK, IdentityProvider, document_client, identity_provider

from ostiary_core.contract.authentication import IntrospectionConfig
from ostiary_core.contract.documents import SettingsDocument
from ostiary_core.secret_bytes import SecretBytes
from ostiary_gateway.identity.access_tokens import AccessTokens
from ostiary_gateway.identity.errors import InvalidToken
from ostiary_gateway.identity.introspection import Introspection, IntrospectionMemory
from ostiary_gateway.identity.introspection_endpoint import IntrospectionEndpoint
from ostiary_gateway.identity.jwks import FetchedKeys
from ostiary_gateway.identity.jwt_verifier import JwtVerifier, TrustedIssuer
from ostiary_gateway.identity.protected_resource import ResourceServer
from ostiary_gateway.identity.verdict_cache import ActiveTokens


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def provider() -> AsyncIterator[IdentityProvider]:
    async with identity_provider() as served:
        served.active["opaque"] = {"active": True, "sub": "ada", "aud": AUDIENCE}
        yield served


def settings() -> SettingsDocument:
    return configs.settings(external_url="https://gw.example.com")


def resource() -> ResourceServer:
    return ResourceServer(hostnames=(), endpoint="/team/mcp", authorization_servers=(), scopes=())


def introspection(provider: IdentityProvider, clock: Clock, *, cache: int = 30_000) -> Introspection:
    endpoint = IntrospectionEndpoint(provider.issuer, f"{provider.issuer}/introspect", document_client())
    config = IntrospectionConfig(
        issuer=provider.issuer, client_id="a", client_secret="s", cache=cache, timeout=5000, fetch=LOOPBACK
    )
    memory = IntrospectionMemory(endpoint, ActiveTokens(clock=clock))
    return Introspection(config, document_client(), memory, namespace="team-a", secret=SecretBytes(b"s"), clock=clock)


def tokens(
    provider: IdentityProvider, *, introspecting: bool = True, issuers: bool = False, cache: int = 30_000
) -> tuple[AccessTokens, Clock]:
    clock = Clock()
    config = provider.config()
    trusted = TrustedIssuer(config, "team-a", FetchedKeys(config, document_client()))
    return AccessTokens(
        resource(),
        jwts=JwtVerifier([trusted]) if issuers else None,
        introspection=introspection(provider, clock, cache=cache) if introspecting else None,
        clock=clock,
    ), clock


async def test_an_opaque_token_is_introspected(provider: IdentityProvider) -> None:
    method, _ = tokens(provider, issuers=True)

    assert (await method.verify(b"opaque", settings())).principal.method == "introspection"


async def test_a_jwt_of_another_issuer_never_reaches_the_introspection_endpoint(provider: IdentityProvider) -> None:
    foreign = provider.token(iss="https://elsewhere.example.com")
    provider.active[foreign] = {"active": True, "sub": "ada", "aud": AUDIENCE}

    for issuers in (False, True):
        method, _ = tokens(provider, issuers=issuers)
        with pytest.raises(InvalidToken, match="another issuer"):
            await method.verify(foreign.encode(), settings())
    assert provider.forms == []


async def test_a_jwt_that_cannot_be_read_never_reaches_the_introspection_endpoint(provider: IdentityProvider) -> None:
    header, _, signature = provider.token().split(".")
    method, _ = tokens(provider)

    with pytest.raises(InvalidToken):
        await method.verify(f"{header}.e30e30.{signature}".encode(), settings())
    assert provider.forms == []


async def test_a_jwt_of_the_issuer_itself_is_introspected_where_no_issuer_of_jwts_is_configured(
    provider: IdentityProvider,
) -> None:
    own = provider.token()
    provider.active[own] = {"active": True, "sub": "ada", "aud": AUDIENCE}
    method, _ = tokens(provider)

    assert (await method.verify(own.encode(), settings())).principal.method == "introspection"


async def test_a_jwt_of_a_configured_issuer_is_verified_here_and_not_introspected(provider: IdentityProvider) -> None:
    method, _ = tokens(provider, issuers=True)

    assert (await method.verify(provider.token().encode(), settings())).principal.method == "jwt"
    assert provider.forms == []


@pytest.mark.parametrize(("cache", "expected"), [(0, 0), (5000, 5), (30_000, 10)])
async def test_no_other_cache_keeps_a_token_longer_than_the_policy_permits(
    provider: IdentityProvider, cache: int, expected: int
) -> None:
    method, clock = tokens(provider, cache=cache)
    verdict = await method.verify(b"opaque", settings())

    assert verdict.until == clock.now + expected


async def test_the_end_of_a_verdict_does_not_move_while_it_is_remembered(provider: IdentityProvider) -> None:
    method, clock = tokens(provider, cache=15_000)
    await method.verify(b"opaque", settings())
    clock.now += 10

    assert (await method.verify(b"opaque", settings())).until == Clock.now + 15
    assert len(provider.forms) == 1
