import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from identity_provider import IdentityProvider, document_client, identity_provider

from ostiary_gateway.identity.introspection_endpoint import IntrospectionEndpoint
from ostiary_gateway.upstream.document_client import DocumentUnavailable


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def provider() -> AsyncIterator[IdentityProvider]:
    async with identity_provider() as served:
        served.metadata["introspection_endpoint"] = f"{served.issuer}/introspect"
        yield served


def endpoint(
    provider: IdentityProvider, configured: str | None = None, clock: Clock | None = None
) -> IntrospectionEndpoint:
    return IntrospectionEndpoint(provider.issuer, configured, document_client(), clock=clock or Clock())


async def test_a_configured_endpoint_needs_no_metadata(provider: IdentityProvider) -> None:
    assert await endpoint(provider, "https://in.example.com/x").url() == "https://in.example.com/x"
    assert provider.requests == []


async def test_the_metadata_are_fetched_once_for_concurrent_requests(provider: IdentityProvider) -> None:
    found = endpoint(provider)

    assert set(await asyncio.gather(*(found.url() for _ in range(20)))) == {f"{provider.issuer}/introspect"}
    assert len(provider.requests) == 1


async def test_an_endpoint_at_another_origin_never_gets_the_secret(provider: IdentityProvider) -> None:
    for elsewhere in ("https://attacker.example.com/introspect", provider.issuer.replace("127.0.0.1", "localhost")):
        provider.metadata["introspection_endpoint"] = elsewhere

        with pytest.raises(DocumentUnavailable, match="at another host"):
            await endpoint(provider).url()


@pytest.mark.parametrize("value", [None, 7, ""])
async def test_metadata_without_an_endpoint_are_named_with_a_remedy(provider: IdentityProvider, value: object) -> None:
    provider.metadata["introspection_endpoint"] = value

    with pytest.raises(DocumentUnavailable):
        await endpoint(provider).url()


async def test_failed_fetches_have_a_minimum_distance(provider: IdentityProvider) -> None:
    async def down(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=503)

    clock = Clock()
    found = endpoint(provider, clock=clock)
    provider.instead = down
    for _ in range(5):
        with pytest.raises(DocumentUnavailable, match="status 503"):
            await found.url()
    fetched = len(provider.requests)

    provider.instead = None
    clock.now += 3
    assert await found.url() == f"{provider.issuer}/introspect"
    assert len(provider.requests) == fetched + 1


async def test_the_last_good_endpoint_stays_in_use_while_the_metadata_cannot_be_fetched(
    provider: IdentityProvider,
) -> None:
    async def down(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=503)

    clock = Clock()
    found = endpoint(provider, clock=clock)
    await found.url()
    provider.instead = down
    clock.now += 600

    assert await found.url() == f"{provider.issuer}/introspect"
