"""The keys of identity assertions: the same on every replica, published without their private parts."""

import base64
import hashlib
import json

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from ostiary_core.secret_bytes import SecretBytes
from ostiary_gateway.errors import CredentialMissing, UpstreamFault
from ostiary_gateway.upstream.assertion_keys import AssertionKeys

SEED, NEXT = SecretBytes(b"s" * 32), SecretBytes(b"n" * 32)
CLAIMS = {"iss": "https://gw.example.com/team-a/crm", "sub": "consumer:team-a/agent"}


def published(keys: AssertionKeys) -> list[dict[str, str]]:
    text = keys.key_set()
    assert text is not None
    found = json.loads(text)["keys"]
    assert isinstance(found, list)
    return found


def public_key(jwk: dict[str, str]) -> EllipticCurvePublicKey:
    key = jwt.PyJWK(jwk).key
    assert isinstance(key, EllipticCurvePublicKey)
    return key


def test_every_replica_derives_the_same_key_from_the_same_bytes() -> None:
    one, two = (AssertionKeys(lambda: {0: SEED}) for _ in range(2))
    assert published(one) == published(two)
    assert jwt.decode(one.sign(CLAIMS), public_key(published(two)[0]), algorithms=["ES256"]) == CLAIMS


def test_the_key_id_is_the_thumbprint_of_the_key() -> None:
    (jwk,) = published(AssertionKeys(lambda: {0: SEED}))
    required = json.dumps({name: jwk[name] for name in ("crv", "kty", "x", "y")}, separators=(",", ":"))
    digest = hashlib.sha256(required.encode()).digest()
    assert jwk["kid"] == base64.urlsafe_b64encode(digest).decode().rstrip("=")


def test_the_newest_key_that_is_active_signs() -> None:
    now = 100.0
    keys = AssertionKeys(lambda: {0: SEED, 200: NEXT}, clock=lambda: now)
    newest, oldest = (jwk["kid"] for jwk in published(keys))
    assert jwt.get_unverified_header(keys.sign(CLAIMS)) == {"alg": "ES256", "typ": "JWT", "kid": oldest}
    now = 200.0
    assert jwt.get_unverified_header(keys.sign(CLAIMS))["kid"] == newest


def test_bytes_that_are_replaced_are_forgotten() -> None:
    seeds = {0: SEED}
    keys = AssertionKeys(lambda: seeds)
    before = published(keys)
    seeds[0] = NEXT
    assert published(keys) != before
    assert len(published(keys)) == 1


def test_without_a_key_nothing_is_signed_or_published() -> None:
    keys = AssertionKeys(dict)
    assert keys.key_set() is None
    with pytest.raises(CredentialMissing):
        keys.require()
    with pytest.raises(UpstreamFault, match="no key"):
        keys.sign(CLAIMS)


def test_no_public_document_holds_the_bytes_of_the_secret() -> None:
    keys = AssertionKeys(lambda: {0: SEED})
    assert set(published(keys)[0]) == {"kty", "crv", "x", "y", "kid", "use", "alg"}
    assert "s" * 32 not in f"{keys.key_set()!r} {keys!r}"
