import base64
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from identity_provider import AUDIENCE, IdentityProvider, SigningKey, document_client, identity_provider

from ostiary_core.contract.authentication import ClaimsConfig
from ostiary_core.json_web_tokens.signed_token import TOKEN_LIMIT
from ostiary_core.policy.principal import token_id
from ostiary_gateway.identity.errors import InvalidToken
from ostiary_gateway.identity.jwks import FetchedKeys, InlineKeys
from ostiary_gateway.identity.jwt_verifier import JwtVerifier, TrustedIssuer

RESOURCES = frozenset([AUDIENCE])


class Clock:
    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def provider() -> AsyncIterator[IdentityProvider]:
    async with identity_provider() as served:
        yield served


def verifier(provider: IdentityProvider, *, clock: Clock | None = None, **members: Any) -> JwtVerifier:
    config = provider.config(**members)
    keys = FetchedKeys(config, document_client()) if config.jwks is None else InlineKeys(config.jwks)
    trusted = TrustedIssuer(config, "team-a", keys)
    return JwtVerifier([trusted], clock=clock or time.time)


def encoded(value: Any) -> str:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


async def refusal_of(provider: IdentityProvider, token: str, **members: Any) -> str:
    with pytest.raises(InvalidToken) as refused:
        await verifier(provider, **members).verify(token, RESOURCES)
    return str(refused.value)


async def test_a_token_of_the_issuer_becomes_a_principal(provider: IdentityProvider) -> None:
    claims = ClaimsConfig(consumer=["azp"], groups=["realm", "roles"])
    token = provider.token(scope="read write", azp="agent-7", realm={"roles": ["support"]})

    principal = await verifier(provider, claims=claims).verify(token, RESOURCES)

    assert principal.id == token_id(issuer=provider.issuer, subject="ada", client_id="agent")
    assert (principal.consumer, principal.method) == ("team-a/agent-7", "jwt")
    assert principal.groups == {"support"}
    assert principal.scopes == {"read", "write"}
    assert principal.authenticated


async def test_a_refreshed_token_has_the_same_principal_id(provider: IdentityProvider) -> None:
    judge = verifier(provider)

    first = await judge.verify(provider.token(scope="read"), RESOURCES)
    second = await judge.verify(provider.token(scope="read write", jti="another"), RESOURCES)

    assert first.id == second.id


async def test_a_valid_token_is_remembered_until_it_expires(provider: IdentityProvider) -> None:
    clock = Clock()
    judge = verifier(provider, clock=clock)
    token = provider.token()
    principal = await judge.verify(token, RESOURCES)

    assert judge.remembered(token, RESOURCES) is principal
    clock.now += 301
    assert judge.remembered(token, RESOURCES) is None


async def test_a_token_is_forgotten_once_its_issuer_withdraws_the_key(provider: IdentityProvider) -> None:
    config = provider.config()
    now = 0.0
    keys = FetchedKeys(config, document_client(), clock=lambda: now)
    judge = JwtVerifier([TrustedIssuer(config, "team-a", keys)])
    token = provider.token()
    await judge.verify(token, RESOURCES)
    provider.keys = [SigningKey("second")]

    now += 60
    await judge.verify(provider.token(), RESOURCES)  # an unknown key: the keys are fetched again

    assert judge.remembered(token, RESOURCES) is None
    with pytest.raises(InvalidToken):
        await judge.verify(token, RESOURCES)


async def test_an_oversized_token_is_refused_before_it_is_parsed(provider: IdentityProvider) -> None:
    message = await refusal_of(provider, provider.token(padding="x" * TOKEN_LIMIT))

    assert message == "the token is longer than 16384 characters"
    assert provider.requests == []


async def test_an_expired_token_is_refused(provider: IdentityProvider) -> None:
    assert await refusal_of(provider, provider.token(exp=int(time.time()) - 5)) == "the token has expired"


async def test_a_token_that_expired_within_the_skew_is_accepted(provider: IdentityProvider) -> None:
    await verifier(provider, clock_skew=60_000).verify(provider.token(exp=int(time.time()) - 5), RESOURCES)


@pytest.mark.parametrize("claim", ["nbf", "iat"])
async def test_a_token_that_is_not_valid_yet_is_refused(provider: IdentityProvider, claim: str) -> None:
    later: dict[str, Any] = {claim: int(time.time()) + 1000}
    message = await refusal_of(provider, provider.token(**later))

    assert message == "the token is not valid yet"


@pytest.mark.parametrize("claim", ["exp", "nbf", "iat"])
@pytest.mark.parametrize("value", ["9999999999", True, [1]])
async def test_a_token_with_a_time_that_is_no_number_is_refused(
    provider: IdentityProvider, claim: str, value: object
) -> None:
    times = {"iat": 1, "exp": int(time.time()) + 300, claim: value}
    claims = {"iss": provider.issuer, "aud": AUDIENCE, "sub": "ada", **times}
    header, key = {"alg": "ES256", "kid": "first"}, provider.keys[0].private
    signed = f"{encoded(header)}.{encoded(claims)}"
    signature = encoded(jwt.algorithms.ECAlgorithm(jwt.algorithms.ECAlgorithm.SHA256).sign(signed.encode(), key))

    assert await refusal_of(provider, f"{signed}.{signature}") == "a time of the token is not a number"


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", ""])
async def test_an_unsigned_token_is_refused(provider: IdentityProvider, algorithm: str) -> None:
    _, claims, signature = provider.token().split(".")
    header = encoded({"alg": algorithm, "kid": "first"})

    for token in (f"{header}.{claims}.", f"{header}.{claims}.{signature}", f"{header}.{claims}"):
        await refusal_of(provider, token, algorithms=["ES256", "none"])


async def test_a_token_signed_with_hs256_and_the_public_key_is_refused(provider: IdentityProvider) -> None:
    public = provider.keys[0].private.public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    claims = provider.token().split(".")[1]
    header = encoded({"alg": "HS256", "kid": "first"})
    digest = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    signature = encoded(digest.sign(f"{header}.{claims}".encode(), pem))

    message = await refusal_of(provider, f"{header}.{claims}.{signature}", algorithms=["ES256", "HS256"])

    assert message == "the algorithm of the token is not accepted"


async def test_an_algorithm_that_the_policy_does_not_list_is_refused(provider: IdentityProvider) -> None:
    message = await refusal_of(provider, provider.token(), algorithms=["RS256"])

    assert message == "the algorithm of the token is not accepted"


@pytest.mark.parametrize("spelling", ["{0}/", "{0}.evil.example", "HTTP://127.0.0.1", " {0}"])
async def test_a_token_of_another_issuer_is_refused(provider: IdentityProvider, spelling: str) -> None:
    message = await refusal_of(provider, provider.token(iss=spelling.format(provider.issuer)))

    assert message == "the token is of another issuer"


@pytest.mark.parametrize("issuer", [None, [], {}, 7])
async def test_a_token_without_an_issuer_is_refused(provider: IdentityProvider, issuer: Any) -> None:
    claims = {"aud": AUDIENCE, "sub": "ada", "exp": int(time.time()) + 300, "iss": issuer}
    header, key = {"alg": "ES256", "kid": "first"}, provider.keys[0].private
    signed = f"{encoded(header)}.{encoded(claims)}"
    signature = encoded(jwt.algorithms.ECAlgorithm(jwt.algorithms.ECAlgorithm.SHA256).sign(signed.encode(), key))

    assert await refusal_of(provider, f"{signed}.{signature}") == "the token is of another issuer"


@pytest.mark.parametrize("audience", ["https://gw.example.com/other/mcp", AUDIENCE + "/", [], ["x"], None])
async def test_a_token_for_another_audience_is_refused(provider: IdentityProvider, audience: Any) -> None:
    await refusal_of(provider, provider.token(aud=audience))


async def test_a_token_for_an_audience_of_the_policy_is_accepted(provider: IdentityProvider) -> None:
    await verifier(provider, audiences=["api://tickets"]).verify(provider.token(aud=["x", "api://tickets"]), RESOURCES)


async def test_a_token_with_a_foreign_kid_is_refused(provider: IdentityProvider) -> None:
    message = await refusal_of(provider, provider.token(key=SigningKey("foreign")))

    assert message == "the token is signed with a key that its issuer does not publish"


async def test_a_token_with_a_known_kid_and_a_foreign_signature_is_refused(provider: IdentityProvider) -> None:
    message = await refusal_of(provider, provider.token(key=SigningKey("first")))

    assert message == "the signature of the token is not valid"


async def test_a_key_that_the_token_itself_brings_along_is_never_used(provider: IdentityProvider) -> None:
    own = SigningKey("own")

    header = {"jwk": own.public(), "jku": f"{provider.issuer}/evil", "x5u": f"{provider.issuer}/evil"}
    await refusal_of(provider, provider.token(key=own, header=header))

    assert "/evil" not in provider.requests


@pytest.mark.parametrize("header", [{"crit": ["exp"]}, {"b64": False}, {"typ": "logout+jwt"}, {"typ": 7}, {"kid": 7}])
async def test_a_header_that_is_not_understood_is_refused(provider: IdentityProvider, header: dict[str, Any]) -> None:
    head, claims, signature = provider.token().split(".")
    own = json.loads(base64.urlsafe_b64decode(head + "==")) | header

    await refusal_of(provider, f"{encoded(own)}.{claims}.{signature}", types=["JWT", "at+jwt"])


async def test_the_types_of_a_policy_may_omit_the_prefix_of_media_types(provider: IdentityProvider) -> None:
    judge = verifier(provider, types=["at+jwt"])

    await judge.verify(provider.token(header={"typ": "application/AT+jwt"}), RESOURCES)


@pytest.mark.parametrize(
    "token",
    [
        "",
        "a",
        "a.b",
        "a.b.c",
        "a.b.c.d.e",
        " a.b.c",
        "a.b.c\n",
        "ä.b.c",
        f"{encoded([])}.{encoded({})}.c",
        f"{encoded({})}.{encoded(b'{')}.c",
        f"{encoded(b'{%s' % (b'[' * 1000))}.{encoded({})}.c",
    ],
)
async def test_what_is_not_a_jwt_is_refused(provider: IdentityProvider, token: str) -> None:
    await refusal_of(provider, token)


async def test_a_token_with_two_members_of_one_name_is_refused(provider: IdentityProvider) -> None:
    claims = f'{{"iss":"{provider.issuer}","sub":"a","sub":"b"}}'.encode()
    head, _, signature = provider.token().split(".")

    message = await refusal_of(provider, f"{head}.{encoded(claims)}.{signature}")

    assert message == "the token is not a JWT of strict JSON"


@pytest.mark.parametrize("missing", ["exp", "aud"])
async def test_a_token_without_expiry_or_audience_is_refused(provider: IdentityProvider, missing: str) -> None:
    assert "lacks" in await refusal_of(provider, provider.token(**{missing: None}))


@pytest.mark.parametrize("groups", [["a", 7], {"a": 1}, ["x" * 600], ["a\n"], 7, [f"{n}" for n in range(1001)]])
async def test_a_claim_of_the_wrong_shape_refuses_the_token(provider: IdentityProvider, groups: Any) -> None:
    message = await refusal_of(provider, provider.token(groups=groups), claims=ClaimsConfig(groups=["groups"]))

    assert message.startswith("the claim groups")


async def test_a_token_is_accepted_with_keys_of_the_policy_itself(provider: IdentityProvider) -> None:
    jwks = json.dumps({"keys": [provider.keys[0].public()]})

    await verifier(provider, jwks=jwks).verify(provider.token(), RESOURCES)

    assert provider.requests == []


async def test_no_message_repeats_anything_of_a_token(provider: IdentityProvider) -> None:
    canary = "canary-7f3a"
    tokens = [
        provider.token(iss=canary),
        provider.token(aud=canary),
        provider.token(exp=1, sub=canary),
        provider.token(header={"typ": canary}),
        provider.token(key=SigningKey(canary)),
        canary,
    ]

    for token in tokens:
        assert canary not in await refusal_of(provider, token, types=["JWT"])
