"""Blocks of callers whose tokens an identity provider judges, while that responds slowly or never."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from gateways import RunningGateway
from identity_provider import LOOPBACK, IdentityProvider, identity_provider
from mcp_caller import McpCaller, mcp_caller, modern
from mcp_clients import eventually
from upstreams import Arrived, Upstream, answer, document, progress_and_then

from ostiary_core.contract.authentication import AuthenticationConfig, IntrospectionConfig
from ostiary_core.contract.blocks import BlockedConfig, BlockedSubjectConfig
from ostiary_core.contract.documents import PolicyDocument
from ostiary_core.contract.key_names import credential_name

GATEWAY = "https://gw.example.com"
SECRET = credential_name(uid="uid-secret", version="1", key="secret")
TOKEN, OTHER = "opaque-token-of-ada", "opaque-token-of-bob"
CALL = modern("tools/call", {"name": "get_users", "arguments": {}})


class Scene:
    """An upstream that answers every call once its gate is open, after a notification of progress."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()

    async def script(self, request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        if not self.gate.is_set():
            return await progress_and_then(request, answer(arrived, {"content": []}), when=self.gate)
        return document(answer(arrived, {"content": []}))


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.fixture
async def provider(gateway: RunningGateway, upstream: Upstream) -> AsyncIterator[IdentityProvider]:
    """An identity provider that the proxy `mock` asks about every token, and whose results are not kept."""
    async with identity_provider() as served:
        for token, subject in ((TOKEN, "ada"), (OTHER, "bob")):
            served.active[token] = {"active": True, "sub": subject, "aud": f"{GATEWAY}/mock/mcp"}
        found = IntrospectionConfig(
            issuer=served.issuer,
            endpoint=f"{served.issuer}/introspect",
            client_id="gateway",
            client_secret=SECRET,
            fetch=LOOPBACK,
            cache=0,
            timeout=30_000,
        )
        policy = PolicyDocument(
            namespace="default",
            name="oauth",
            uid="uid-oauth",
            generation=1,
            tier="owner",
            authentication=AuthenticationConfig(introspection=found),
        )
        gateway.settings = gateway.settings.model_copy(update={"external_url": GATEWAY})
        gateway.credentials[SECRET] = b"secret-of-the-gateway"
        await gateway.apply(gateway.entry("mock", upstream.url, [policy]))
        yield served


@pytest.fixture
async def ada(gateway: RunningGateway, provider: IdentityProvider) -> AsyncIterator[McpCaller]:
    async with mcp_caller(gateway.url(), credential={"Authorization": f"Bearer {TOKEN}"}) as caller:
        yield caller


async def block(gateway: RunningGateway, issuer: str, subject: str) -> None:
    blocked = BlockedConfig(subjects=[BlockedSubjectConfig(issuer=issuer, subject=subject)])
    gateway.settings = gateway.settings.model_copy(update={"blocked": blocked})
    await gateway.apply(*gateway.applied)


async def test_a_call_in_flight_of_a_blocked_caller_ends_although_the_identity_provider_hangs(
    gateway: RunningGateway, ada: McpCaller, provider: IdentityProvider
) -> None:
    bob = {"Authorization": f"Bearer {OTHER}"}
    async with mcp_caller(gateway.url(), credential=bob) as other, other.stream(CALL) as theirs:
        await theirs.message()
        async with ada.stream(CALL) as mine:
            await mine.message()
            provider.instead = never
            await block(gateway, provider.issuer, "ada")
            assert not await mine.ended()  # it breaks off
        assert gateway.app.pipeline.limiter.requests == 1  # that of the other caller goes on


async def test_a_caller_that_is_blocked_while_it_is_being_authenticated_gets_nothing(
    gateway: RunningGateway, ada: McpCaller, provider: IdentityProvider, upstream: Upstream, scene: Scene
) -> None:
    scene.gate.set()
    asked, may_answer = asyncio.Event(), asyncio.Event()

    async def late(_request: web.Request) -> web.StreamResponse:
        asked.set()
        await may_answer.wait()
        return web.json_response(provider.active[TOKEN])

    provider.instead = late
    calling = asyncio.create_task(ada.post(CALL))
    await asked.wait()
    await block(gateway, provider.issuer, "ada")
    may_answer.set()
    assert (await calling).error["data"]["reason"] == "PrincipalBlocked"
    assert upstream.arrived == []
    await eventually(lambda: gateway.app.pipeline.limiter.requests == 0)


async def never(_request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(3600)
    raise AssertionError
