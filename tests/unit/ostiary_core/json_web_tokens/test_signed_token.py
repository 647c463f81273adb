"""What a token says is read strictly, and counts once its signature was verified."""

import base64
import json
import time
from typing import Any

import jwt
import pytest
from identity_provider import SigningKey

from ostiary_core.json_web_tokens.key_set import parse_key_set
from ostiary_core.json_web_tokens.signed_token import SignedToken, TokenNotValid, claimed_issuer

ISSUER = "https://login.example.com"
KEY = SigningKey("first")
KEYS = parse_key_set({"keys": [KEY.public()]})


def token(**claims: Any) -> str:
    usual = {"iss": ISSUER, "aud": "console", "exp": int(time.time()) + 300}
    body = {name: value for name, value in {**usual, **claims}.items() if value is not None}
    return jwt.encode(body, KEY.private, algorithm="ES256", headers={"kid": KEY.kid})


def encoded(value: Any) -> str:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def verified(text: str) -> dict[str, Any]:
    parsed = SignedToken.parse(text)
    algorithm = parsed.algorithm(["ES256"], types=["JWT"])
    key = KEYS.find(parsed.key_id, algorithm)
    assert key is not None
    parsed.verify(key, algorithm=algorithm, issuer=ISSUER, audiences=["console"], leeway=30)
    return parsed.claims


def test_a_token_for_this_audience_is_valid() -> None:
    assert verified(token(sub="ada"))["sub"] == "ada"


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"aud": "other"}, "another audience"),
        ({"iss": "https://other.example.com"}, "another issuer"),
        ({"exp": 1}, "expired"),
        ({"nbf": int(time.time()) + 900_000}, "not valid yet"),
        ({"exp": None}, "lacks"),
        ({"exp": "9999999999"}, "not a number"),
    ],
)
def test_one_that_proves_nothing_here_is_refused_with_the_reason(claims: dict[str, Any], reason: str) -> None:
    with pytest.raises(TokenNotValid, match=reason):
        verified(token(**claims))


def test_a_changed_token_is_refused() -> None:
    header, _, signature = token().split(".")
    claims = encoded({"iss": ISSUER, "aud": "console", "exp": int(time.time()) + 300, "sub": "eve"})
    with pytest.raises(TokenNotValid, match="signature"):
        verified(f"{header}.{claims}.{signature}")


@pytest.mark.parametrize("text", ["", "opaque", "a.b", "a.b.c", "a.b.c.d.e", "x" * 20_000])
def test_an_opaque_token_claims_no_issuer(text: str) -> None:
    assert claimed_issuer(text) is None


def test_the_issuer_of_a_jwt_is_read_before_it_is_verified() -> None:
    assert claimed_issuer(token(iss="https://elsewhere.example.com")) == "https://elsewhere.example.com"
    assert claimed_issuer(token(iss=None)) is None


@pytest.mark.parametrize(
    "claims", [b"{", b"[]", b'{"iss":"https://a.example.com","iss":"https://b.example.com"}', b'{"iss":7}']
)
def test_a_jwt_whose_issuer_cannot_be_read_is_refused_and_not_taken_for_an_opaque_token(claims: bytes) -> None:
    with pytest.raises(TokenNotValid):
        claimed_issuer(f"{encoded({'alg': 'ES256'})}.{encoded(claims)}.c")
