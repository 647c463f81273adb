"""Credentials that an attacker makes, at a real gateway: none is accepted, and nothing of them is repeated."""

import asyncio
import base64
import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import jwt
import pytest
from client_certificates import Authority
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import UniformResourceIdentifier
from gateways import RunningGateway, policy
from identity_provider import IdentityProvider, SigningKey
from mcp_caller import McpCaller, legacy, mcp_caller, modern
from upstreams import Upstream

from ostiary_core.contract.authentication import AuthenticationConfig, ClientCertificateConfig
from ostiary_core.contract.documents import PolicyDocument

GATEWAY = "https://gw.example.com"
RESOURCE = f"{GATEWAY}/mock/mcp"
CALL = modern("tools/call", {"name": "get_users", "arguments": {}})
CANARY = "canary-of-the-attacker"


def issuing(*configs: AuthenticationConfig) -> list[PolicyDocument]:
    return [
        policy(f"p{number}").model_copy(update={"authentication": config, "access": None})
        for number, config in enumerate(configs)
    ]


@pytest.fixture
async def secured(gateway: RunningGateway, upstream: Upstream, provider: IdentityProvider) -> None:
    """Have the proxy `mock` admit callers with tokens of the provider."""
    gateway.settings = gateway.settings.model_copy(update={"external_url": GATEWAY})
    issuers = AuthenticationConfig(issuers=[provider.config(algorithms=["ES256", "HS256", "none"])])
    await gateway.apply(gateway.entry("mock", upstream.url, issuing(issuers)))


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def encoded(value: Any) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Forger:
    """Makes tokens: signed by the provider, or by anyone else."""

    def __init__(self, provider: IdentityProvider) -> None:
        self.key = provider.keys[0]
        now = int(time.time())
        self.claims = {
            "iss": provider.issuer,
            "aud": RESOURCE,
            "sub": CANARY,
            "client_id": "agent",
            "iat": now,
            "exp": now + 300,
        }
        self.header = {"alg": "ES256", "typ": "JWT", "kid": "first"}

    def signed(self, header: Any, claims: Any, key: SigningKey | None = None) -> str:
        """A token with a valid signature over any bytes."""
        text = f"{encoded(header)}.{encoded(claims)}"
        signature = (key or self.key).private.sign(text.encode(), ECDSA(SHA256()))
        r, s = decode_dss_signature(signature)
        return f"{text}.{encoded(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"

    def with_header(self, **members: Any) -> str:
        return self.signed(self.header | members, self.claims)

    def with_claims(self, **members: Any) -> str:
        return self.signed(self.header, self.claims | members)

    def with_signature(self, signature: bytes, **header: Any) -> str:
        return f"{encoded(self.header | header)}.{encoded(self.claims)}.{encoded(signature)}"

    def hmac(self, key: bytes) -> str:
        """A token signed with HS256."""
        algorithm = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
        text = f"{encoded(self.header | {'alg': 'HS256'})}.{encoded(self.claims)}"
        return f"{text}.{encoded(algorithm.sign(text.encode(), key))}"

    def public(self, encoding: serialization.Encoding) -> bytes:
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return self.key.private.public_key().public_bytes(encoding, form)

    def raw_json(self, *, header: str = "", claims: str = "") -> str:
        """A token with members that follow the usual ones, which may repeat them."""
        both = [json.dumps(value)[:-1] + more + "}" for value, more in ((self.header, header), (self.claims, claims))]
        return self.signed(both[0].encode(), both[1].encode())


OWN = SigningKey("first")
TOKENS: dict[str, Callable[[Forger], str]] = {
    "unsigned": lambda it: f"{encoded({'alg': 'none'})}.{encoded(it.claims)}.",
    "unsigned with a signature": lambda it: it.with_signature(b"x" * 64, alg="none"),
    "hs256 with the public key as PEM": lambda it: it.hmac(it.public(serialization.Encoding.PEM)),
    "hs256 with the public key as DER": lambda it: it.hmac(it.public(serialization.Encoding.DER)),
    "hs256 with the public key as JWK": lambda it: it.hmac(json.dumps(it.key.public()).encode()),
    "hs256 with an empty key": lambda it: it.hmac(b"\0"),
    "a signature of zeros": lambda it: it.with_signature(bytes(64)),
    "an empty signature": lambda it: f"{encoded(it.header)}.{encoded(it.claims)}.",
    "a signature in DER": lambda it: it.with_signature(it.key.private.sign(b"x", ECDSA(SHA256()))),
    "its own key in jwk": lambda it: it.signed(it.header | {"jwk": OWN.public()}, it.claims, OWN),
    "its own key at jku": lambda it: it.signed(it.header | {"jku": "http://127.0.0.1:1/x"}, it.claims, OWN),
    "its own certificate at x5u": lambda it: it.signed(it.header | {"x5u": "http://127.0.0.1:1/x"}, it.claims, OWN),
    "its own certificate in x5c": lambda it: it.signed(it.header | {"x5c": ["AAAA"]}, it.claims, OWN),
    "crit": lambda it: it.with_header(crit=["exp"]),
    "an empty crit": lambda it: it.with_header(crit=[]),
    "b64": lambda it: it.with_header(b64=False),
    "a path as kid": lambda it: it.with_header(kid="../../../../dev/null"),
    "SQL as kid": lambda it: it.with_header(kid="x' UNION SELECT 'AAAA"),
    "a list as kid": lambda it: it.with_header(kid=["first"]),
    "a long kid": lambda it: it.with_header(kid="x" * 10_000),
    "another type": lambda it: it.with_header(typ=["JWT"]),
    "a list as algorithm": lambda it: it.with_header(alg=["ES256"]),
    "another spelling of the algorithm": lambda it: it.with_header(alg="es256"),
    "five parts, as encrypted ones": lambda it: f"{it.with_header()}.AAAA.AAAA",
    "two algorithms": lambda it: it.raw_json(header=', "alg": "none"'),
    "two subjects": lambda it: it.raw_json(claims=', "sub": "admin"'),
    "two subjects, one escaped": lambda it: it.raw_json(claims=', "s\\u0075b": "admin"'),
    "a second document": lambda it: it.signed(it.header, json.dumps(it.claims).encode() + b"{}"),
    "a claim that is no number": lambda it: it.raw_json(claims=', "x": NaN'),
    "a claim that is not finite": lambda it: it.raw_json(claims=', "x": 1e999'),
    "a claim of ten thousand digits": lambda it: it.raw_json(claims=f', "x": {"9" * 10_000}'),
    "claims nested a thousand deep": lambda it: it.raw_json(claims=f', "x": {"[" * 1000}{"]" * 1000}'),
    "very many claims": lambda it: it.with_claims(x=[[]] * 2_500),
    "claims in UTF-16": lambda it: it.signed(it.header, json.dumps(it.claims).encode("utf-16")),
    "expiry as text": lambda it: it.with_claims(exp="99999999999"),
    "expiry true": lambda it: it.with_claims(exp=True),
    "no expiry": lambda it: it.with_claims(exp=None),
    "a negative expiry": lambda it: it.with_claims(exp=-1),
    "a list as expiry": lambda it: it.with_claims(exp=[99999999999]),
    "valid from a text": lambda it: it.with_claims(nbf="0"),
    "valid much later": lambda it: it.with_claims(nbf=1e300),
    "an object as audience": lambda it: it.with_claims(aud={RESOURCE: True}),
    "a nested audience": lambda it: it.with_claims(aud=[[RESOURCE]]),
    "an audience with a prefix": lambda it: it.with_claims(aud=f"{RESOURCE}/other"),
    "an audience in other letters": lambda it: it.with_claims(aud=RESOURCE.upper()),
    "a list as issuer": lambda it: it.with_claims(iss=[it.claims["iss"]]),
    "an issuer with a slash": lambda it: it.with_claims(iss=f"{it.claims['iss']}/"),
    "a number as subject": lambda it: it.with_claims(sub=7),
    "a subject with a line break": lambda it: it.with_claims(sub=f"{CANARY}\nX-Admin: 1"),
    "a subject with NUL": lambda it: it.with_claims(sub=f"{CANARY}\0"),
    "an object as client": lambda it: it.with_claims(client_id={"a": 1}),
    "scopes with a line break": lambda it: it.with_claims(scope="a\r\nWWW-Authenticate: Basic"),
    "an object as scopes": lambda it: it.with_claims(scope={"admin": True}),
    "a key that it is bound to": lambda it: it.with_claims(cnf={"jkt": "x" * 43}),
}


@pytest.mark.usefixtures("secured")
async def test_the_forger_makes_tokens_that_are_accepted_when_nothing_is_wrong_with_them(
    caller: McpCaller, provider: IdentityProvider
) -> None:
    forger = Forger(provider)
    for token in (forger.with_header(), forger.with_claims(aud=[RESOURCE, "x"]), forger.raw_json(claims=', "x": 1')):
        assert (await caller.post(CALL, bearer(token))).status == 200


@pytest.mark.usefixtures("secured")
@pytest.mark.parametrize("case", TOKENS)
async def test_a_forged_token_is_401_and_nothing_of_it_is_repeated(
    caller: McpCaller,
    upstream: Upstream,
    provider: IdentityProvider,
    caplog: pytest.LogCaptureFixture,
    case: str,
) -> None:
    token = TOKENS[case](Forger(provider))

    reply = await caller.post(CALL, bearer(token))

    assert reply.status == 401
    assert reply.headers["WWW-Authenticate"].startswith('Bearer error="invalid_token", error_description="')
    shown = f"{reply.body!r} {reply.headers} {caplog.text}"
    assert not [part for part in (CANARY, *token.split(".")[1:]) if part and part in shown]
    assert upstream.arrived == []
    assert [path for path in provider.requests if not path.startswith(("/.well-known/", "/keys"))] == []


@pytest.mark.parametrize("case", ["unsigned", "expiry as text", "its own key in jwk", "five parts, as encrypted ones"])
async def test_a_forged_token_is_never_an_anonymous_caller(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream, provider: IdentityProvider, case: str
) -> None:
    gateway.settings = gateway.settings.model_copy(update={"external_url": GATEWAY})
    both = AuthenticationConfig(issuers=[provider.config()], anonymous=True)
    await gateway.apply(gateway.entry("mock", upstream.url, issuing(both)))

    assert (await caller.post(CALL)).status == 200
    upstream.arrived.clear()
    assert (await caller.post(CALL, bearer(TOKENS[case](Forger(provider))))).status == 401
    assert upstream.arrived == []


@pytest.mark.usefixtures("secured")
@pytest.mark.parametrize("second", ["authorization", "AUTHORIZATION", "aUTHORIZATION"])
async def test_a_second_credential_cannot_hide_behind_other_letters(
    gateway: RunningGateway, upstream: Upstream, provider: IdentityProvider, second: str
) -> None:
    token = Forger(provider).with_header()
    lines = f"Authorization: Bearer {token}\r\n{second}: Bearer {TOKENS['unsigned'](Forger(provider))}\r\n"

    assert await status_of(gateway, f"GET /mock/mcp HTTP/1.1\r\nHost: x\r\n{lines}\r\n") == 400
    assert upstream.arrived == []


async def status_of(gateway: RunningGateway, head: str) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.app.port)
    try:
        writer.write(head.replace("Host: x", f"Host: 127.0.0.1:{gateway.app.port}").encode())
        return int((await reader.readline()).split()[1])
    finally:
        writer.close()
        await writer.wait_closed()


@pytest.mark.usefixtures("secured")
@pytest.mark.parametrize(
    "line",
    [
        "HEAD /mock/mcp",
        "OPTIONS /mock/mcp",
        "TRACE /mock/mcp",
        "GET //mock/mcp",
        "GET /mock//mcp",
        "GET /mock/mcp;x=/.well-known/oauth-protected-resource",
        "GET /.well-known/oauth-protected-resource/../../mock/mcp",
        "GET /.well-known/oauth-protected-resource/%2e%2e/%2e%2e/mock/mcp",
        "GET /.well-known/oauth-protected-resource%2f..%2f..%2fmock%2fmcp",
        "GET //.well-known/oauth-protected-resource/mock/mcp",
        "GET /.well-known/oauth-protected-resource/mock/mcp/",
        "GET /.WELL-KNOWN/oauth-protected-resource/mock/mcp",
        "GET /mock/mcp/.well-known/oauth-protected-resource",
        "GET /-/healthz/../../mock/mcp",
        "POST /.well-known/oauth-protected-resource/mock/mcp",
        "POST /-/healthz",
    ],
)
async def test_no_spelling_of_a_request_gets_past_authentication(
    gateway: RunningGateway, upstream: Upstream, line: str
) -> None:
    head = f"{line} HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nContent-Length: 0\r\n\r\n"

    assert await status_of(gateway, head) in {400, 401, 404, 405}
    assert upstream.arrived == []


@pytest.mark.usefixtures("secured")
async def test_the_session_of_another_caller_is_404_for_every_method(
    gateway: RunningGateway, upstream: Upstream, provider: IdentityProvider
) -> None:
    forger = Forger(provider)
    own, other = bearer(forger.with_header()), bearer(forger.with_claims(sub="other"))
    async with mcp_caller(gateway.url(), credential=own) as caller:
        await caller.initialize()
        upstream.arrived.clear()

        for reply in (
            await caller.post(legacy("tools/call", {"name": "get_users"}), other),
            await caller.post(legacy("tasks/get", {"taskId": "1"}), other),
            await caller.post(legacy("notifications/cancelled", {"requestId": 1}, id=None), other),
            await caller.request("GET", other),
            await caller.request("GET", other | {"Last-Event-ID": "1"}),
            await caller.request("DELETE", other),
        ):
            assert reply.status == 404
        assert upstream.arrived == []
        assert (await caller.post(legacy("ping"), bearer(forger.with_claims(scope="more")))).status == 200


async def test_a_certificate_that_proves_nothing_is_never_an_anonymous_caller(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream
) -> None:
    ours, theirs = Authority(), Authority("Another")
    certificate = ClientCertificateConfig(ca=ours.issued.pem, forwarded=True)
    both = AuthenticationConfig(client_certificate=certificate, anonymous=True)
    gateway.settings = gateway.settings.model_copy(update={"trusted_proxies": ["127.0.0.0/8"]})
    await gateway.apply(gateway.entry("mock", upstream.url, issuing(both)))
    name = UniformResourceIdentifier("spiffe://example.org/agent")
    expired = ours.issue(name, days=-1)

    assert (await caller.post(CALL)).status == 200
    upstream.arrived.clear()
    for value in (
        forwarded(theirs.issue(name).pem),
        forwarded(expired.pem),
        f"{forwarded(ours.issue(name).pem)},{forwarded(ours.issue(name).pem)}",
        "",
        "By=spiffe://mesh",
    ):
        assert (await caller.post(CALL, {"X-Forwarded-Client-Cert": value})).status == 401
    assert upstream.arrived == []


def forwarded(pem: str) -> str:
    return f'Cert="{quote(pem)}"'


@pytest.mark.usefixtures("secured")
@pytest.mark.parametrize(
    "name",
    [
        "access_token",
        "ACCESS-TOKEN",
        "acc%65ss_token",
        "token",
        "api_key",
        "apikey",
        "x-api-key",
        "authorization",
        "jwt",
    ],
)
async def test_a_credential_in_the_query_is_refused_under_every_usual_name(
    gateway: RunningGateway, upstream: Upstream, provider: IdentityProvider, name: str
) -> None:
    token = Forger(provider).with_header()
    lines = f"Host: x\r\nAuthorization: Bearer {token}\r\nAccept: text/event-stream\r\n\r\n"

    assert await status_of(gateway, f"GET /mock/mcp?a=b&{name}={token} HTTP/1.1\r\n{lines}") == 400
    assert upstream.arrived == []
