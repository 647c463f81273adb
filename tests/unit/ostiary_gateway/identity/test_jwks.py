import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from identity_provider import IdentityProvider, SigningKey, document_client, identity_provider
from jwt.algorithms import RSAAlgorithm
from mcp_clients import eventually
from timeouts import TIMEOUT_SECONDS

from ostiary_core.json_web_tokens.key_set import KeySetError, parse_key_set
from ostiary_gateway.identity.jwks import FetchedKeys, InlineKeys, KeysUnavailable, metadata_urls
from ostiary_gateway.upstream.document_client import DOCUMENT_LIMIT, DocumentClient


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def provider() -> AsyncIterator[IdentityProvider]:
    async with identity_provider() as served:
        yield served


def keys_of(
    provider: IdentityProvider, clock: Clock | None = None, client: DocumentClient | None = None, **members: Any
) -> FetchedKeys:
    return FetchedKeys(provider.config(**members), client or document_client(), clock=clock or Clock())


async def refused(keys: FetchedKeys) -> None:
    with pytest.raises(KeysUnavailable):
        await keys.find("first", "ES256")


async def test_keys_are_found_through_the_metadata_of_the_issuer(provider: IdentityProvider) -> None:
    key = await keys_of(provider).find("first", "ES256")

    assert key is not None
    assert provider.requests == ["/.well-known/oauth-authorization-server", "/keys"]


async def test_keys_are_found_at_a_configured_url_without_metadata(provider: IdentityProvider) -> None:
    assert await keys_of(provider, jwks_uri=f"{provider.issuer}/keys").find("first", "ES256") is not None
    assert provider.requests == ["/keys"]


async def test_metadata_of_another_issuer_is_not_used(provider: IdentityProvider) -> None:
    provider.metadata["issuer"] = provider.issuer + "/"

    await refused(keys_of(provider))

    assert "/keys" not in provider.requests


def test_the_metadata_of_an_issuer_with_a_path_is_found_as_the_specification_says() -> None:
    assert metadata_urls("https://id.example.com/tenant/") == [
        "https://id.example.com/.well-known/oauth-authorization-server/tenant",
        "https://id.example.com/.well-known/openid-configuration/tenant",
        "https://id.example.com/tenant/.well-known/openid-configuration",
    ]


async def test_an_unknown_kid_fetches_the_keys_again_and_not_more_often_than_allowed(
    provider: IdentityProvider,
) -> None:
    clock = Clock()
    keys = keys_of(provider, clock, jwks_uri=f"{provider.issuer}/keys")
    await keys.find("first", "ES256")
    provider.keys.append(SigningKey("second"))

    for _ in range(100):
        assert await keys.find("second", "ES256") is None
    assert len(provider.requests) == 1

    clock.now += 11
    assert await keys.find("second", "ES256") is not None
    assert len(provider.requests) == 2


async def test_one_fetch_is_in_flight_for_many_requests(provider: IdentityProvider) -> None:
    keys = keys_of(provider, jwks_uri=f"{provider.issuer}/keys")

    found = await asyncio.gather(*(keys.find("first", "ES256") for _ in range(50)))

    assert None not in found
    assert provider.requests == ["/keys"]


async def test_a_request_that_is_cancelled_does_not_cancel_the_fetch_of_the_others(provider: IdentityProvider) -> None:
    keys = keys_of(provider)
    impatient = asyncio.create_task(keys.find("first", "ES256"))
    patient = asyncio.create_task(keys.find("first", "ES256"))
    await asyncio.sleep(0)
    impatient.cancel()

    assert await patient is not None


async def test_the_last_good_keys_stay_while_the_issuer_is_down(provider: IdentityProvider) -> None:
    clock = Clock()
    keys = keys_of(provider, clock)
    await keys.find("first", "ES256")

    async def down(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=500)

    provider.instead = down
    clock.now += 100_000
    before = len(provider.requests)

    assert await keys.find("first", "ES256") is not None
    await eventually(lambda: len(provider.requests) > before)
    assert await keys.find("first", "ES256") is not None
    assert await keys.find("unknown", "ES256") is None


async def test_keys_are_unavailable_while_none_were_ever_fetched(provider: IdentityProvider) -> None:
    async def down(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=503)

    provider.instead = down
    await refused(keys_of(provider))


async def test_a_key_set_that_is_huge_is_not_read(provider: IdentityProvider) -> None:
    sent = 0

    async def huge(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" " * 65536)
            sent += 65536

    provider.instead = huge
    await refused(keys_of(provider, jwks_uri=f"{provider.issuer}/keys"))

    assert sent < 100 * DOCUMENT_LIMIT


async def test_a_key_set_that_is_slow_is_not_waited_for(provider: IdentityProvider) -> None:
    async def slow(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.01)

    provider.instead = slow
    keys = keys_of(provider, client=document_client(seconds=0.2), jwks_uri=f"{provider.issuer}/keys")
    async with asyncio.timeout(TIMEOUT_SECONDS):
        await refused(keys)


async def test_metadata_and_keys_together_have_one_limit_of_time(provider: IdentityProvider) -> None:
    released = asyncio.Event()

    async def silent(_request: web.Request) -> web.StreamResponse:
        await released.wait()
        return web.Response(status=500)

    provider.instead = silent
    keys = FetchedKeys(provider.config(), document_client(seconds=TIMEOUT_SECONDS), clock=Clock(), seconds=0.1)
    try:
        await refused(keys)
        assert len(provider.requests) == 1
    finally:
        released.set()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_to_a_key_set_is_not_followed(provider: IdentityProvider, status: int) -> None:
    async def redirect(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, headers={"Location": f"{provider.issuer}/other"})

    provider.instead = redirect
    await refused(keys_of(provider, jwks_uri=f"{provider.issuer}/keys"))

    assert provider.requests == ["/keys"]


@pytest.mark.parametrize("address", ["169.254.169.254", "127.0.0.1", "[::1]", "0.0.0.0", "2130706433"])  # noqa: S104
async def test_a_key_set_at_an_address_that_is_not_granted_is_not_fetched(
    provider: IdentityProvider, address: str, caplog: pytest.LogCaptureFixture
) -> None:
    port = provider.issuer.rpartition(":")[2]
    client = document_client(addresses=())

    await refused(keys_of(provider, client=client, jwks_uri=f"https://{address}:{port}/keys"))

    assert provider.requests == []
    assert "do not grant" in caplog.text


@pytest.mark.parametrize("url", ["https://10.0.0.7/keys", "https://192.168.1.1/keys", "https://[fd00::1]/keys"])
async def test_metadata_cannot_lead_to_a_private_address(
    provider: IdentityProvider, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    provider.metadata["jwks_uri"] = url

    await refused(keys_of(provider))

    assert "private" in caplog.text


@pytest.mark.parametrize("url", ["http://id.example.com/keys", "file:///etc/passwd", "https://u:p@h/", "x", 7, None])
async def test_metadata_cannot_lead_to_a_url_that_is_not_https(provider: IdentityProvider, url: Any) -> None:
    provider.metadata["jwks_uri"] = url

    await refused(keys_of(provider))


def rsa_key(bits: int, **members: Any) -> dict[str, Any]:
    public = rsa.generate_private_key(65537, bits).public_key()
    return {**RSAAlgorithm.to_jwk(public, as_dict=True), **members}


@pytest.mark.parametrize(
    "entry",
    [
        {"kty": "oct", "k": "c2VjcmV0", "alg": "HS256"},
        rsa_key(1024),
        rsa_key(2048, use="enc"),
        rsa_key(2048, key_ops=["encrypt"]),
        rsa_key(2048, alg="HS256"),
        rsa_key(2048, alg="ES256"),
        rsa_key(2048, d="AQAB"),
        {"kty": "RSA", "n": "A" * 100_000, "e": "AQAB"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kty": "EC", "crv": "secp256k1", "x": "A" * 43, "y": "A" * 43},
        {"kty": "unknown"},
        {},
        [],
        "key",
        None,
    ],
)
def test_a_key_that_cannot_verify_safely_is_skipped(entry: Any) -> None:
    good = SigningKey("good").public()

    assert [key.kid for key in parse_key_set({"keys": [entry, good]}).keys] == ["good"]
    with pytest.raises(KeySetError):
        parse_key_set({"keys": [entry]})


def test_a_set_of_too_many_keys_is_refused() -> None:
    with pytest.raises(KeySetError, match="more than 100 keys"):
        parse_key_set({"keys": [SigningKey("one").public()] * 101})


def test_a_token_without_a_kid_has_a_key_only_where_one_alone_fits() -> None:
    ec, first = SigningKey("ec").public(), rsa_key(2048, kid="a")
    keys = parse_key_set({"keys": [ec, first, rsa_key(2048, kid="b")]})

    assert keys.find(None, "ES256") is not None
    assert keys.find(None, "RS256") is None
    assert keys.find("a", "RS256") is not None


async def test_inline_keys_must_be_a_key_set() -> None:
    for text in ("", "[]", "{}", json.dumps({"keys": []})):
        with pytest.raises(KeySetError):
            InlineKeys(text)
