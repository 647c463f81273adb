"""Identity providers that are compromised, or of another tenant: they harm their own proxies only."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from api_keys import AGENT_KEY, api_key, keyed
from api_keys import bearer as key_header
from gateways import RunningGateway, policy
from identity_provider import LOOPBACK, IdentityProvider, SigningKey
from mcp_caller import McpCaller, mcp_caller, modern
from mcp_clients import eventually
from upstreams import Upstream

from ostiary_core.contract.access import SubjectConfig
from ostiary_core.contract.authentication import AuthenticationConfig, ClaimsConfig, IntrospectionConfig, IssuerConfig
from ostiary_core.contract.documents import PolicyDocument
from ostiary_gateway.config.directory_source import DirectorySource

GATEWAY = "https://gw.example.com"
CALL = modern("tools/call", {"name": "get_users", "arguments": {}})
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture(autouse=True)
def public_url(gateway: RunningGateway) -> None:
    gateway.settings = gateway.settings.model_copy(update={"external_url": GATEWAY})


def authenticating(authentication: AuthenticationConfig, namespace: str = "default") -> PolicyDocument:
    return PolicyDocument(
        namespace=namespace, name="p", uid=f"uid-{namespace}", generation=1, tier="owner", authentication=authentication
    )


def issued_by(*issuers: IssuerConfig, namespace: str = "default") -> PolicyDocument:
    return authenticating(AuthenticationConfig(issuers=list(issuers)), namespace)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def resource(name: str) -> str:
    return f"{GATEWAY}/{name}/mcp"


async def huge(_request: web.Request) -> web.StreamResponse:
    return web.json_response({"keys": [], "padding": "x" * 600_000})


async def endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(1_000):
        await response.write(b'{"a":' * 1_000)
    return response


async def redirecting(_request: web.Request) -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": "http://169.254.169.254/latest/meta-data"})


async def page(_request: web.Request) -> web.StreamResponse:
    return web.Response(text="<html>sign in</html>", content_type="text/html")


async def packed(_request: web.Request) -> web.StreamResponse:
    return web.Response(body=b"\x1f\x8b" + b"0" * 100, headers={"Content-Encoding": "gzip"})


async def nested(_request: web.Request) -> web.StreamResponse:
    return web.Response(text='{"keys":' + "[" * 100_000 + "]" * 100_000 + "}")


async def repeated(request: web.Request) -> web.StreamResponse:
    issuer = f"http://{request.host}"
    return web.Response(text=f'{{"issuer":"{issuer}","issuer":"https://evil","jwks_uri":"{issuer}/keys"}}')


async def of_others(request: web.Request) -> web.StreamResponse:
    return web.json_response({"issuer": f"http://{request.host}", "jwks_uri": "http://169.254.169.254/keys"})


async def of_a_file(request: web.Request) -> web.StreamResponse:
    return web.json_response({"issuer": f"http://{request.host}", "jwks_uri": "file:///etc/passwd"})


async def symmetric(request: web.Request) -> web.StreamResponse:
    if request.path == "/keys":
        return web.json_response({"keys": [{"kty": "oct", "k": "AAAA", "kid": "first", "alg": "HS256"}]})
    return web.json_response({"issuer": f"http://{request.host}", "jwks_uri": f"http://{request.host}/keys"})


@pytest.mark.parametrize(
    "instead",
    [huge, endless, redirecting, page, packed, nested, repeated, of_others, of_a_file, symmetric],
    ids=lambda it: it.__name__,
)
async def test_a_provider_whose_keys_cannot_be_used_admits_no_caller(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream, provider: IdentityProvider, instead: Answer
) -> None:
    await gateway.apply(gateway.entry("mock", upstream.url, [issued_by(provider.config())]))
    provider.instead = instead

    reply = await caller.post(CALL, bearer(provider.token(aud=resource("mock"))))

    assert (reply.status, reply.json["error"]) == (503, "IdentityProviderUnavailable")
    assert "WWW-Authenticate" not in reply.headers
    assert upstream.arrived == []


async def test_a_provider_that_does_not_answer_holds_up_no_other_proxy(
    gateway: RunningGateway, upstream: Upstream, provider: IdentityProvider
) -> None:
    released = asyncio.Event()

    async def silent(_request: web.Request) -> web.StreamResponse:
        await released.wait()
        return web.Response(status=500)

    provider.instead = silent
    await gateway.apply(
        gateway.entry("mock", upstream.url, [issued_by(provider.config())]),
        gateway.entry("other", upstream.url, [keyed(api_key(AGENT_KEY))]),
    )
    async with mcp_caller(gateway.url()) as hung, mcp_caller(gateway.url("other")) as caller:
        tokens = [provider.token(aud=resource("mock"), sub=f"s{number}") for number in range(20)]
        waiting = [asyncio.ensure_future(hung.post(CALL, bearer(token))) for token in tokens]
        await eventually(lambda: len(provider.requests) == 1)

        assert (await caller.post(CALL, key_header(AGENT_KEY))).status == 200
        assert not any(each.done() for each in waiting)

        released.set()
        assert {reply.status for reply in await asyncio.gather(*waiting)} == {503}


async def test_keys_that_one_tenant_names_for_an_issuer_never_count_for_another(
    gateway: RunningGateway, upstream: Upstream, provider: IdentityProvider
) -> None:
    own = SigningKey("first")
    forged = provider.config(jwks=json.dumps({"keys": [own.public()]}))
    victim = gateway.entry("mock", upstream.url, [issued_by(provider.config(), namespace="default")])
    hostile = gateway.entry("evil", upstream.url, [issued_by(forged, namespace="evil")], namespace="evil")
    await gateway.apply(hostile, victim)

    async with mcp_caller(gateway.url()) as caller, mcp_caller(gateway.url("evil")) as attacker:
        both = provider.token(key=own, aud=[resource("mock"), resource("evil")])
        for _ in range(2):
            assert (await attacker.post(CALL, bearer(both))).status == 200
            assert (await caller.post(CALL, bearer(both))).status == 401
        honest = provider.token(aud=[resource("mock"), resource("evil")])
        for _ in range(2):
            assert (await caller.post(CALL, bearer(honest))).status == 200
            assert (await attacker.post(CALL, bearer(honest))).status == 401


async def test_a_tenant_cannot_be_the_consumer_of_another_namespace(
    gateway: RunningGateway, upstream: Upstream, provider: IdentityProvider
) -> None:
    mapped = provider.config(claims=ClaimsConfig(consumer=["name"], groups=["groups"]))
    rule = {"name": "own", "effect": "Allow", "tools": {"names": ["get_users"]}}
    consumers = [SubjectConfig(consumers=["default/admin"])]
    governed = policy("rules", rule).model_copy(update={"subjects": consumers})
    entry = gateway.entry("mock", upstream.url, [issued_by(mapped, namespace="evil"), governed])
    await gateway.apply(entry)
    async with mcp_caller(gateway.url()) as caller:
        for name in ("default/admin", "../default/admin", "admin", "/default/admin", "аdmin"):  # noqa: RUF001
            reply = await caller.post(CALL, bearer(provider.token(aud=resource("mock"), name=name)))
            assert reply.json["error"]["message"] == "Unknown tool: get_users", name
    assert upstream.arrived == []


ACTIVE: dict[str, Any] = {"active": True, "sub": "ada", "aud": resource("mock")}
RESULTS: dict[str, tuple[Any, int]] = {
    "active": (ACTIVE, 200),
    "active as text": (ACTIVE | {"active": "true"}, 401),
    "active as a number": (ACTIVE | {"active": 1}, 401),
    "without active": ({"sub": "ada", "aud": resource("mock")}, 401),
    "of another issuer": (ACTIVE | {"iss": "https://evil.example"}, 401),
    "for another audience": (ACTIVE | {"aud": resource("other")}, 401),
    "for a nested audience": (ACTIVE | {"aud": [[resource("mock")]]}, 401),
    "expired": (ACTIVE | {"exp": 1}, 401),
    "expiry as text": (ACTIVE | {"exp": "99999999999"}, 401),
    "not valid yet": (ACTIVE | {"nbf": time.time() + 1_000_000}, 401),
    "no subject": (ACTIVE | {"sub": None}, 401),
    "a subject with a line break": (ACTIVE | {"sub": "ada\r\nX-Admin: 1"}, 401),
    "bound to a key": (ACTIVE | {"cnf": {"x5t#S256": "x" * 43}}, 401),
    "very many claims": (ACTIVE | {"x": [[]] * 3_000}, 401),
    "very long claims": (ACTIVE | {"x": "x" * 20_000}, 401),
    "a list": ([ACTIVE], 503),
    "too large": (ACTIVE | {"x": "x" * 600_000}, 503),
}


@pytest.mark.parametrize("case", RESULTS)
async def test_only_a_clear_result_of_introspection_admits_a_caller(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream, provider: IdentityProvider, case: str
) -> None:
    result, status = RESULTS[case]
    config = IntrospectionConfig(
        issuer=provider.issuer,
        endpoint=f"{provider.issuer}/introspect",
        client_id="gateway",
        client_secret="credential-1",
        cache=30_000,
        timeout=30_000,
        fetch=LOOPBACK,
    )
    provider.active["opaque"] = result
    await gateway.apply(
        gateway.entry("mock", upstream.url, [authenticating(AuthenticationConfig(introspection=config))])
    )
    gateway.place_secret({**gateway.secret, "credential-1": b"canary-secret"})
    source = gateway.app.sources[0]
    assert isinstance(source, DirectorySource)
    await source.poll()

    reply = await caller.post(CALL, bearer("opaque"))

    assert reply.status == status
    assert len(upstream.arrived) == (status == 200)
    assert "canary-secret" not in f"{reply.body!r}{reply.headers}"
