"""What an identity provider answers is judged: endpoints, sizes, shapes, keys and tokens."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest
from aiohttp import web
from identity_provider import IdentityProvider, SigningKey, identity_provider

from ostiary_core.secret_bytes import SecretBytes
from ostiary_operator.clock import ManualClock
from ostiary_operator.console.access.errors import ProviderUnavailable, SignInRefused
from ostiary_operator.console.access.oidc.oidc_options import OidcOptions
from ostiary_operator.console.access.oidc.provider import OidcProvider
from ostiary_operator.console.options import ConsoleOptionsError


@pytest.fixture
async def served() -> AsyncIterator[IdentityProvider]:
    async with identity_provider() as provider:
        provider.metadata |= {
            "authorization_endpoint": f"{provider.issuer}/auth",
            "token_endpoint": f"{provider.issuer}/token",
        }
        yield provider


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def provider(served: IdentityProvider, clock: ManualClock) -> AsyncIterator[OidcProvider]:
    options = OidcOptions(served.issuer, "console", SecretBytes(b"secret"), algorithms=("ES256",))
    made = OidcProvider(options, clock=clock.monotonic)
    yield made
    await made.close()


def token(served: IdentityProvider, **claims: Any) -> str:
    return served.token(**{"aud": "console", "nonce": "n", **claims})


async def test_an_id_token_for_this_sign_in_is_valid(served: IdentityProvider, provider: OidcProvider) -> None:
    assert (await provider.verified(token(served), nonce="n"))["sub"] == "ada"


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"nonce": "other"}, "another sign-in"),
        ({"nonce": None}, "another sign-in"),
        ({"aud": "other"}, "another audience"),
        ({"iss": "https://evil.example"}, "another issuer"),
        ({"exp": 1}, "expired"),
        ({"aud": ["console", "other"]}, "another client"),
        ({"aud": ["console", "other"], "azp": "other"}, "another client"),
        ({"azp": "other"}, "another client"),
    ],
)
async def test_one_for_another_sign_in_client_or_time_is_refused(
    served: IdentityProvider, provider: OidcProvider, claims: dict[str, Any], reason: str
) -> None:
    with pytest.raises(SignInRefused, match=reason):
        await provider.verified(token(served, **claims), nonce="n")


async def test_one_for_several_audiences_was_issued_to_this_client(
    served: IdentityProvider, provider: OidcProvider
) -> None:
    assert await provider.verified(token(served, aud=["console", "other"], azp="console"), nonce="n")


async def test_a_forged_one_is_refused(served: IdentityProvider, provider: OidcProvider) -> None:
    with pytest.raises(SignInRefused, match="signature"):
        await provider.verified(token(served, key=SigningKey("first")), nonce="n")
    unsigned = jwt.encode({"iss": served.issuer, "aud": "console", "nonce": "n"}, "", algorithm="none")
    with pytest.raises(SignInRefused, match=r"algorithm|signed"):
        await provider.verified(unsigned, nonce="n")


async def test_a_new_key_is_found_and_no_token_causes_a_stream_of_fetches(
    served: IdentityProvider, provider: OidcProvider, clock: ManualClock
) -> None:
    await provider.verified(token(served), nonce="n")
    served.keys = [SigningKey("second")]
    for _ in range(3):
        with pytest.raises(SignInRefused, match="does not publish"):
            await provider.verified(token(served), nonce="n")
    assert served.requests.count("/keys") == 1
    await clock.advance(10)
    assert await provider.verified(token(served), nonce="n")


async def test_what_was_known_stays_while_the_provider_is_away(
    served: IdentityProvider, provider: OidcProvider, clock: ManualClock
) -> None:
    made = token(served)
    await provider.verified(made, nonce="n")
    served.instead = away
    await clock.advance(1000)
    assert await provider.verified(made, nonce="n")
    assert (await provider.metadata()).token_endpoint == f"{served.issuer}/token"


async def away(_: web.Request) -> web.StreamResponse:
    return web.Response(status=503)


@pytest.mark.parametrize(
    "members",
    [
        {"issuer": "https://evil.example"},
        {"token_endpoint": "http://evil.example/token"},
        {"token_endpoint": None},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": "https://user:password@login.example.com/"},
        {"jwks_uri": ["https://login.example.com/keys"]},
        {"jwks_uri": "file:///etc/passwd"},
    ],
)
async def test_metadata_that_lead_to_an_unsafe_place_are_not_used(
    served: IdentityProvider, provider: OidcProvider, members: dict[str, Any]
) -> None:
    served.metadata |= members
    with pytest.raises(ProviderUnavailable):
        await provider.metadata()


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"issuer": 1, "issuer": 2}', b"x" * 600_000, b'{"a":' * 5000, b"\xff"]
)
async def test_an_answer_of_another_shape_is_an_error_and_nothing_more(
    served: IdentityProvider, provider: OidcProvider, body: bytes
) -> None:
    async def instead(_: web.Request) -> web.StreamResponse:
        return web.Response(body=body)

    served.instead = instead
    with pytest.raises(ProviderUnavailable):
        await provider.metadata()


async def test_a_redirect_does_not_move_the_secret_of_the_console(
    served: IdentityProvider, provider: OidcProvider
) -> None:
    async def redirect(_: web.Request) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": f"{served.issuer}/elsewhere"}, text="{}")

    served.exchange = redirect
    with pytest.raises(SignInRefused):
        await provider.exchange("code", verifier="v", redirect_uri="http://127.0.0.1/callback")
    assert "/elsewhere" not in served.requests


@pytest.mark.parametrize("answer", [{}, {"id_token": 7}, {"id_token": None, "access_token": "a"}])
async def test_an_exchange_without_an_id_token_is_an_error(
    served: IdentityProvider, provider: OidcProvider, answer: dict[str, Any]
) -> None:
    async def exchanged(_: web.Request) -> web.StreamResponse:
        return web.json_response(answer)

    served.exchange = exchanged
    with pytest.raises(ProviderUnavailable, match="openid"):
        await provider.exchange("code", verifier="v", redirect_uri="http://127.0.0.1/callback")


@pytest.mark.parametrize(("methods", "in_form"), [(["client_secret_basic"], False), (["client_secret_post"], True)])
async def test_the_secret_is_sent_as_the_provider_takes_it(
    served: IdentityProvider, provider: OidcProvider, methods: list[str], in_form: bool
) -> None:
    seen: list[tuple[bool, bool]] = []

    async def exchanged(request: web.Request) -> web.StreamResponse:
        seen.append(("client_secret" in await request.post(), "Authorization" in request.headers))
        return web.json_response({"id_token": "a"})

    served.exchange = exchanged
    served.metadata["token_endpoint_auth_methods_supported"] = methods
    await provider.exchange("code", verifier="v", redirect_uri="http://127.0.0.1/callback")
    assert seen == [(in_form, not in_form)]


@pytest.mark.parametrize(
    "issuer", ["", "http://login.example.com", "login.example.com", "https://", "ftp://x", "https://[x"]
)
def test_an_issuer_that_others_could_answer_for_is_refused(issuer: str) -> None:
    with pytest.raises(ConsoleOptionsError, match="--oidc-issuer"):
        OidcOptions(issuer, "console")


@pytest.mark.parametrize("algorithms", [(), ("HS256",), ("none",), ("ES256", "HS512")])
def test_only_asymmetric_algorithms_are_options(algorithms: tuple[str, ...]) -> None:
    with pytest.raises(ConsoleOptionsError, match="--oidc-signing-alg"):
        OidcOptions("https://login.example.com", "console", algorithms=algorithms)


async def test_many_that_sign_in_at_once_cause_one_fetch(served: IdentityProvider, provider: OidcProvider) -> None:
    made = [token(served, jti=str(number), iat=int(time.time())) for number in range(20)]
    await asyncio.gather(*(provider.verified(each, nonce="n") for each in made))
    assert sorted(served.requests) == ["/.well-known/openid-configuration", "/keys"]


async def test_many_that_wait_for_a_provider_that_is_away_are_told_at_once(
    served: IdentityProvider, provider: OidcProvider, clock: ManualClock
) -> None:
    served.metadata["issuer"] = "https://evil.example"
    found = await asyncio.gather(*(provider.metadata() for _ in range(64)), return_exceptions=True)
    assert {type(each) for each in found} == {ProviderUnavailable}
    assert served.requests == ["/.well-known/openid-configuration"]
    served.metadata["issuer"] = served.issuer
    await clock.advance(2)
    assert (await provider.metadata()).token_endpoint == f"{served.issuer}/token"
