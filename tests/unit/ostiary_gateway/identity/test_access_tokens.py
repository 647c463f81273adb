"""How long the method for access tokens lets its verdicts be used without a further check."""

from collections.abc import AsyncIterator

import pytest
from gateways import BOUNDS
from identity_provider import AUDIENCE, LOOPBACK, IdentityProvider, document_client, identity_provider

from ostiary_core.contract.authentication import IntrospectionConfig
from ostiary_core.contract.documents import SettingsDocument
from ostiary_gateway.identity.access_tokens import AccessTokens
from ostiary_gateway.identity.introspection import Introspection
from ostiary_gateway.identity.protected_resource import ResourceServer

NOW = 1_000_000.0


@pytest.fixture
async def provider() -> AsyncIterator[IdentityProvider]:
    async with identity_provider() as served:
        yield served


def introspecting(provider: IdentityProvider, *, cache: int) -> AccessTokens:
    config = IntrospectionConfig(
        issuer=provider.issuer,
        endpoint=f"{provider.issuer}/introspect",
        client_id="gateway",
        client_secret="credential-1",
        cache=cache,
        timeout=60_000,
        fetch=LOOPBACK,
    )
    introspection = Introspection(
        config, document_client(), namespace="team", secret=lambda: b"canary", clock=lambda: NOW
    )
    resource = ResourceServer(
        hostnames=["gw.example.com"], endpoint="/team/mcp", authorization_servers=[provider.issuer], scopes=()
    )
    return AccessTokens(resource, jwts=None, introspection=introspection, clock=lambda: NOW)


@pytest.mark.parametrize(("cache", "seconds"), [(0, None), (4_000, 4), (30_000, 10)])
async def test_a_result_of_introspection_counts_no_longer_than_the_policy_says(
    provider: IdentityProvider, cache: int, seconds: int | None
) -> None:
    provider.active["opaque"] = {"active": True, "sub": "ada", "aud": AUDIENCE}

    verdict = await introspecting(provider, cache=cache).verify(b"opaque", SettingsDocument(bounds=BOUNDS))

    assert verdict.until is not None
    assert verdict.until == NOW + seconds if seconds is not None else verdict.until <= NOW
