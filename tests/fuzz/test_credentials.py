"""Credentials of any client, and documents of any identity provider: accepted as specified, or refused."""

import asyncio
import base64
import json
import re
from collections.abc import Coroutine
from typing import Any, Final, cast
from urllib.parse import quote

from api_keys import AGENT_KEY, api_key
from changed_documents import changed
from client_certificates import Authority
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509 import UniformResourceIdentifier
from hypothesis import example, given
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from messages import plain

from ostiary_core import strict_json
from ostiary_core.contract.authentication import (
    ApiKeysConfig,
    ClaimsConfig,
    FetchConfig,
    IntrospectionConfig,
    IssuerConfig,
)
from ostiary_core.contract.documents import SettingsDocument
from ostiary_core.errors import StrictJSONError
from ostiary_core.json_web_tokens.key_set import ALGORITHMS, KeySetError, parse_key_set
from ostiary_core.policy.principal import Principal
from ostiary_core.secret_bytes import SecretBytes
from ostiary_gateway.errors import Refusal
from ostiary_gateway.identity.api_keys import ApiKeys
from ostiary_gateway.identity.authenticator import Authenticator, Outcomes
from ostiary_gateway.identity.client_certificate import PresentedChain, from_forwarded
from ostiary_gateway.identity.errors import IdentityUnavailable, InvalidToken
from ostiary_gateway.identity.introspection import Introspection, IntrospectionMemory
from ostiary_gateway.identity.introspection_endpoint import IntrospectionEndpoint
from ostiary_gateway.identity.jwks import InlineKeys
from ostiary_gateway.identity.jwt_verifier import JwtVerifier, TrustedIssuer
from ostiary_gateway.server.request import Request
from ostiary_gateway.upstream.document_client import DocumentClient

NOW: Final = 1_700_000_000
ISSUER: Final = "https://id.example.com"
AUDIENCE: Final = "https://gw.example.com/a/mcp"
RESOURCES: Final = frozenset([AUDIENCE])

#: Text as a header brings it: bytes that are no UTF-8 come as lone surrogates, and white space at the ends is gone.
wire_texts = st.binary(max_size=40).map(lambda raw: raw.decode("utf-8", "surrogateescape").strip(" \t"))
_PARTS: Final = [
    "Bearer",
    "bearer",
    "BEARER",
    "Basic",
    " ",
    "  ",
    "\t",
    ",",
    AGENT_KEY,
    AGENT_KEY[:-1],
    "=",
    "\x00",
    "é",
]
authorizations = wire_texts | st.lists(st.sampled_from(_PARTS), max_size=5).map("".join).map(lambda it: it.strip(" \t"))


def run(work: Coroutine[Any, Any, Principal]) -> Principal:
    """Run a coroutine that waits for nothing, without an event loop."""
    try:
        work.send(None)
    except StopIteration as ended:
        return cast("Principal", ended.value)
    raise AssertionError("it waits")


class _Request:
    """The parts of a request that authentication reads."""

    def __init__(self, target: str, headers: dict[str, str], repeated: frozenset[str]) -> None:
        self.target, self.headers, self.repeated = target, headers, repeated


AUTHENTICATOR: Final = Authenticator(
    "ns/a",
    [ApiKeys(ApiKeysConfig(header="authorization", scheme="Bearer", keys=[api_key(AGENT_KEY)]))],
    anonymous=True,
    outcomes=Outcomes(),
)


def authenticated(target: str, headers: dict[str, str], repeated: frozenset[str] = frozenset()) -> Principal:
    request = cast("Request", _Request(target, headers, repeated))
    return run(AUTHENTICATOR.authenticate(request, cast("SettingsDocument", None)))


@given(authorizations)
@example(f"Bearer {AGENT_KEY}")
@example(f"bearer   {AGENT_KEY}")
@example(f"Bearer\t{AGENT_KEY}")
@example(f"Bearer {AGENT_KEY}, Bearer {AGENT_KEY}")
def test_a_key_is_accepted_after_its_scheme_and_a_space_and_nowhere_else(value: str) -> None:
    is_key = re.fullmatch(rf"(?i:bearer) +{AGENT_KEY}", value) is not None
    try:
        principal = authenticated("/a/mcp", {"authorization": value})
    except Refusal as error:
        refusal = error
    else:
        assert is_key
        assert principal.consumer == "default/agent"
        return
    assert not is_key
    assert (refusal.status, refusal.reason) == (401, "CredentialInvalid")
    assert AGENT_KEY not in refusal.message + str(refusal.headers)


@given(st.text(st.sampled_from("acesotkniy_-pK%5F2d&=?/ "), max_size=24), st.booleans())
@example("?access_token", False)
@example("?a=1&API%2DKEY=x", True)
@example("?%61ccess_token=x", False)
def test_a_target_of_any_shape_names_the_caller_or_is_refused(target: str, with_key: bool) -> None:
    headers = {"authorization": f"Bearer {AGENT_KEY}"} if with_key else {}
    try:
        principal = authenticated(f"/a/mcp{target}", headers)
    except Refusal as error:
        refusal = error
    else:
        assert principal.method == ("apiKey" if with_key else "anonymous")
        return
    assert (refusal.status, refusal.reason) == (400, "CredentialInQuery")
    assert "?" in target


KEY: Final = ec.generate_private_key(ec.SECP256R1())
JWK: Final = {**ECAlgorithm.to_jwk(KEY.public_key(), as_dict=True), "kid": "k", "alg": "ES256", "use": "sig"}
HEADER: Final = {"typ": "at+jwt", "kid": "k"}
CLAIMS: Final = {
    "iss": ISSUER,
    "aud": [AUDIENCE, "other"],
    "sub": "ada",
    "client_id": "agent",
    "iat": NOW,
    "nbf": NOW,
    "exp": 10 * NOW,
    "scope": "read write",
    "realm": {"roles": ["support"]},
}
MAPPED: Final = ClaimsConfig(consumer=["client_id"], groups=["realm", "roles"])


def verifier() -> JwtVerifier:
    config = IssuerConfig(
        issuer=ISSUER, jwks=json.dumps({"keys": [JWK]}), algorithms=["ES256"], fetch=FetchConfig(), claims=MAPPED
    )
    assert config.jwks is not None
    return JwtVerifier([TrustedIssuer(config, "ns", InlineKeys(config.jwks))])


def signed(header: Any, claims: Any) -> str:
    """A token with a valid signature, whatever its header and claims are."""
    parts = [_segment(json.dumps(each).encode()) for each in (header, claims)]
    algorithm = ECAlgorithm(ECAlgorithm.SHA256)
    return ".".join([*parts, _segment(algorithm.sign(".".join(parts).encode(), KEY))])


def _segment(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def verified(token: str) -> Principal | None:
    try:
        return run(verifier().verify(token, RESOURCES))
    except InvalidToken:
        return None


@given(changed(HEADER | {"alg": "ES256"}) | plain, changed(CLAIMS) | plain)
@example(HEADER | {"alg": "ES256"}, CLAIMS)
@example(HEADER | {"alg": "none"}, CLAIMS)
@example(HEADER | {"alg": "HS256"}, CLAIMS)
@example(HEADER | {"alg": "ES256", "crit": []}, CLAIMS)
@example(HEADER | {"alg": "ES256"}, CLAIMS | {"exp": "9999999999"})
@example(HEADER | {"alg": "ES256"}, CLAIMS | {"exp": 1e300})
@example(HEADER | {"alg": "ES256"}, CLAIMS | {"aud": {AUDIENCE: 1}})
def test_a_signed_token_of_any_shape_is_refused_or_names_what_it_claims(header: Any, claims: Any) -> None:
    principal = verified(signed(header, claims))
    if principal is None:
        assert json.dumps([header, claims]) != json.dumps([HEADER | {"alg": "ES256"}, CLAIMS])
        return
    assert isinstance(header, dict)
    assert isinstance(claims, dict)
    assert header["alg"] == "ES256"
    assert header.get("kid", "k") == "k"
    assert "crit" not in header
    assert claims["iss"] == ISSUER
    assert AUDIENCE in ([claims["aud"]] if isinstance(claims["aud"], str) else claims["aud"])
    assert type(claims["exp"]) in (int, float)
    assert claims["exp"] > NOW - 3600 * 24 * 365
    assert (principal.expires_at or 0) >= claims["exp"]
    assert principal.consumer in ("", f"ns/{claims.get('client_id')}")
    assert all(isinstance(name, str) for name in principal.groups | principal.scopes)


VALID: Final = signed(HEADER | {"alg": "ES256"}, CLAIMS)
_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ "


@given(st.integers(0, len(VALID) - 1), st.sampled_from(_ALPHABET), st.integers(0, 2))
def test_a_changed_token_is_refused_unless_it_means_the_same_bytes(at: int, character: str, removed: int) -> None:
    token = VALID[:at] + character + VALID[at + removed :]
    if verified(token) is not None:
        assert _decoded(token) == _decoded(VALID)


def _decoded(token: str) -> list[bytes]:
    return [base64.urlsafe_b64decode(part + "==") for part in token.split(".")]


@given(wire_texts | st.text(_ALPHABET, max_size=60) | st.lists(wire_texts, max_size=4).map(".".join))
def test_text_without_a_signature_is_no_token(token: str) -> None:
    assert verified(token) is None


_OTHERS: Final = [
    ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP384R1()).public_key(), as_dict=True),
    OKPAlgorithm.to_jwk(ed25519.Ed25519PrivateKey.generate().public_key(), as_dict=True),
    RSAAlgorithm.to_jwk(rsa.generate_private_key(65537, 2048).public_key(), as_dict=True),
    {"kty": "oct", "k": "c2VjcmV0"},
    {**JWK, "crv": "secp256k1"},
    {**JWK, "d": "AAAA"},
]


@given(changed({"keys": [JWK, *_OTHERS]}) | changed({"keys": [*_OTHERS[:3]]}) | plain.map(lambda keys: {"keys": keys}))
@example({"keys": [JWK, {**JWK, "x": "AAAA"}]})
def test_a_key_set_of_any_shape_gives_public_keys_for_signatures_or_an_error(document: dict[str, Any]) -> None:
    try:
        found = parse_key_set(document)
    except KeySetError:
        return
    assert found.keys
    for key in found.keys:
        assert key.algorithms
        assert key.algorithms <= ALGORITHMS
        assert not hasattr(key.public, "private_bytes")
        assert found.find(key.kid, min(key.algorithms)) is None or found.holds(key)


class _AnsweringClient:
    """An introspection endpoint that gives one answer."""

    def __init__(self, found: dict[str, Any]) -> None:
        self._found = found

    async def post(self, _url: str, _form: dict[str, str], *, client_id: str, secret: bytes) -> dict[str, Any]:
        assert (client_id, secret) == ("gateway", b"secret")
        return self._found


ACTIVE: Final = CLAIMS | {"active": True}


def _as_fetched(document: Any) -> Any:
    """A document as it arrives from a server: strict JSON has no numbers that no double could hold."""
    try:
        return strict_json.loads(json.dumps(document).encode())
    except StrictJSONError:
        return {}


@given(changed(ACTIVE).map(_as_fetched))
@example(ACTIVE)
@example(ACTIVE | {"active": "true"})
@example(ACTIVE | {"active": 1})
@example(ACTIVE | {"exp": True})
@example(ACTIVE | {"nbf": str(NOW)})
def test_an_introspection_answer_of_any_shape_is_refused_or_names_an_active_token(found: dict[str, Any]) -> None:
    config = IntrospectionConfig(
        issuer=ISSUER,
        endpoint=f"{ISSUER}/introspect",
        client_id="gateway",
        client_secret="credential",
        cache=0,
        timeout=1000,
        claims=MAPPED,
        fetch=FetchConfig(),
    )
    client = cast("DocumentClient", _AnsweringClient(found))
    memory = IntrospectionMemory(IntrospectionEndpoint(ISSUER, config.endpoint, client))
    judge = Introspection(config, client, memory, namespace="ns", secret=SecretBytes(b"secret"), clock=lambda: NOW)
    try:
        principal = asyncio.run(judge.verify("opaque", RESOURCES)).principal
    except (InvalidToken, IdentityUnavailable):
        assert json.dumps(found) != json.dumps(ACTIVE)
        return
    assert found["active"] is True
    assert found.get("iss", ISSUER) == ISSUER
    assert AUDIENCE in ([found["aud"]] if isinstance(found["aud"], str) else found["aud"])
    assert found.get("exp") is None or found["exp"] > NOW
    assert principal.method == "introspection"


CERTIFICATE: Final = Authority().issue(UniformResourceIdentifier("spiffe://example.org/agent")).pem
_FORWARDED: Final = [
    f'Cert="{quote(CERTIFICATE)}"',
    f'Chain="{quote(CERTIFICATE * 2)}"',
    "Cert=",
    "cert=x",
    'By="a;b,c"',
    "URI=spiffe://x",
    ";",
    ",",
    '"',
    "\\",
    '\\"',
    "=",
    "%",
    "%00",
    quote(CERTIFICATE)[:200],
    "\udcff",
]


@given(st.lists(st.sampled_from(_FORWARDED), max_size=7).map("".join) | wire_texts)
@example(f'By=x;Cert="{quote(CERTIFICATE)}"')
@example(f'Cert="{quote(CERTIFICATE)}";Cert="{quote(CERTIFICATE)}"')
def test_a_forwarded_certificate_of_any_shape_is_read_or_refused(value: str) -> None:
    try:
        chain = from_forwarded(value)
    except InvalidToken:
        return
    assert isinstance(chain, PresentedChain)
    assert quote(CERTIFICATE)[:200] in value
    # The last element counts, and only it: what a client sent before it was not written by the nearest proxy.
    assert value.rindex(quote(CERTIFICATE)[:200]) > -1
