"""What a client of documents reads and parses, from servers that want to keep the gateway busy."""

import json
from collections.abc import AsyncIterator
from time import process_time

import pytest
from aiohttp import web
from identity_provider import IdentityProvider, document_client, identity_provider

from ostiary_core import strict_json
from ostiary_gateway.upstream.document_client import DOCUMENT_LIMIT, RESPONSE_LIMIT, DocumentUnavailable

COSTLY = {
    "lists": b"[]",
    "objects": b'{"a":1}',
    "nested lists": b"[[1]]",
    "numbers": b"1",
}


@pytest.fixture
async def provider() -> AsyncIterator[IdentityProvider]:
    async with identity_provider() as served:
        yield served


def serve(provider: IdentityProvider, document: bytes, *, status: int = 200) -> None:
    async def response(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=document, status=status, content_type="application/json")

    provider.instead = response


def filled(item: bytes) -> bytes:
    """A document of the greatest size, full of items."""
    return b'{"error":"invalid_grant","a":[' + b",".join([item] * ((DOCUMENT_LIMIT - 100) // (len(item) + 1))) + b"]}"


@pytest.mark.parametrize("item", COSTLY.values(), ids=COSTLY.keys())
async def test_a_document_that_takes_long_to_parse_is_refused_before_it_is_parsed(
    provider: IdentityProvider, monkeypatch: pytest.MonkeyPatch, item: bytes
) -> None:
    serve(provider, filled(item))
    monkeypatch.setattr(strict_json, "loads", lambda _text: pytest.fail("it is parsed"))
    with pytest.raises(DocumentUnavailable, match="has too many values"):
        await document_client().get(f"{provider.issuer}/keys")
    serve(provider, filled(item), status=400)
    with pytest.raises(DocumentUnavailable, match=r"answered with status 400$"):
        await document_client().post(f"{provider.issuer}/token", {}, client_id="gateway", secret=b"s")


async def test_a_key_set_with_a_hundred_keys_and_their_certificates_is_parsed(provider: IdentityProvider) -> None:
    certificate = "MII" + "A" * 2000
    members = {
        "kty": "RSA",
        "use": "sig",
        "alg": "RS256",
        "kid": "k",
        "n": "A" * 342,
        "e": "AQAB",
        "x5c": [certificate],
    }
    more = {"x5t": "A" * 27, "x5t#S256": "A" * 43, "issuer": "https://id.example.com/tenant", "key_ops": ["verify"]}
    keys = {"keys": [members | more] * 100}
    serve(provider, json.dumps(keys).encode())
    began = process_time()
    assert await document_client().get(f"{provider.issuer}/keys") == keys
    assert process_time() - began < 5


async def test_a_response_of_a_token_endpoint_has_a_smaller_limit_than_a_document(provider: IdentityProvider) -> None:
    serve(provider, json.dumps({"access_token": "A" * RESPONSE_LIMIT}).encode())
    client = document_client(limit=RESPONSE_LIMIT)
    with pytest.raises(DocumentUnavailable, match=f"larger than {RESPONSE_LIMIT} bytes"):
        await client.post(f"{provider.issuer}/token", {}, client_id="gateway", secret=b"s")
