"""Passthrough at a real gateway: the MCP server's own OAuth works against the URL of the proxy."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientSession, web
from gateways import RunningGateway
from mcp_caller import McpCaller, mcp_caller, modern
from upstreams import Arrived, Upstream, answer, document

from ostiary_core.contract.authentication import AuthenticationConfig
from ostiary_core.contract.documents import PolicyDocument
from ostiary_gateway.identity.passthrough import rewritten

GATEWAY = "https://gw.example.com"
WELL_KNOWN = "/.well-known/oauth-protected-resource"
METADATA = f"{GATEWAY}{WELL_KNOWN}/mock/mcp"
CALL = modern("tools/call", {"name": "get_users", "arguments": {}})
TOKEN = {"Authorization": "Bearer canary-token"}


class Scene:
    """An MCP server that authenticates callers itself."""

    def __init__(self) -> None:
        self.status = 401
        self.metadata: object = {
            "resource": "https://crm.internal/mcp",
            "authorization_servers": ["https://id.example.com"],
            "scopes_supported": ["read"],
            "jwks_uri": "https://crm.internal/keys",
        }

    async def script(self, request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        if request.path.startswith(WELL_KNOWN):
            return document(self.metadata)
        if arrived.headers.get("Authorization") == TOKEN["Authorization"] and self.status == 401:
            return document(answer(arrived, {"content": []}))
        challenge = (
            f'Basic realm="x", Bearer realm="y", error="e\\"x", scope="read write", '
            f'resource_metadata="http://{request.host}/.well-known/evil"'
        )
        return web.Response(status=self.status, headers={"WWW-Authenticate": challenge})


@pytest.fixture
def scene() -> Scene:
    return Scene()


def relaying() -> PolicyDocument:
    authentication = AuthenticationConfig(passthrough=True)
    return PolicyDocument(
        namespace="default", name="relay", uid="uid-relay", generation=1, tier="owner", authentication=authentication
    )


@pytest.fixture
async def relayed(gateway: RunningGateway, upstream: Upstream) -> AsyncIterator[McpCaller]:
    """A caller of the proxy `mock`, whose server authenticates callers."""
    gateway.settings = gateway.settings.model_copy(update={"external_url": GATEWAY})
    await gateway.apply(gateway.entry("mock", upstream.url, [relaying()]), gateway.entry("other", upstream.url))
    async with mcp_caller(gateway.url()) as caller:
        yield caller


@pytest.mark.parametrize("status", [401, 403])
async def test_the_challenge_of_the_server_leads_to_the_metadata_of_the_proxy(
    relayed: McpCaller, scene: Scene, status: int
) -> None:
    scene.status = status

    reply = await relayed.post(CALL)

    assert reply.status == status
    assert reply.headers["WWW-Authenticate"] == (
        f'Bearer error="e\\"x", scope="read write", resource_metadata="{METADATA}"'
    )


async def test_the_token_of_the_caller_reaches_the_server_that_authenticates_it(
    relayed: McpCaller, upstream: Upstream
) -> None:
    assert (await relayed.post(CALL, TOKEN)).status == 200

    assert (await upstream.first("tools/call")).headers["Authorization"] == TOKEN["Authorization"]


async def test_the_token_of_a_caller_reaches_no_server_without_passthrough(
    relayed: McpCaller, gateway: RunningGateway, upstream: Upstream
) -> None:
    async with mcp_caller(gateway.url("other")) as caller:
        reply = await caller.post(CALL, TOKEN)

    assert reply.status == 200  # a JSON-RPC error: the challenge is not relayed
    assert "WWW-Authenticate" not in reply.headers
    assert all("Authorization" not in arrived.headers for arrived in upstream.arrived)


@pytest.mark.usefixtures("relayed")
async def test_the_metadata_of_the_server_are_served_with_the_url_of_the_proxy(gateway: RunningGateway) -> None:
    async with ClientSession(f"http://127.0.0.1:{gateway.app.port}") as http:
        for path in (f"{WELL_KNOWN}/mock/mcp", WELL_KNOWN):
            async with http.get(path) as response:
                assert response.status == 200
                assert await response.json() == {
                    "resource": f"{GATEWAY}/mock/mcp",
                    "authorization_servers": ["https://id.example.com"],
                    "scopes_supported": ["read"],
                    "bearer_methods_supported": ["header"],
                }


@pytest.mark.usefixtures("relayed")
@pytest.mark.parametrize(
    "metadata",
    [[], {}, {"authorization_servers": "x"}, {"authorization_servers": [7]}, {"authorization_servers": ["x"] * 17}],
)
async def test_metadata_that_cannot_be_relayed_are_not_there(
    gateway: RunningGateway, scene: Scene, metadata: object
) -> None:
    scene.metadata = metadata
    url = f"http://127.0.0.1:{gateway.app.port}{WELL_KNOWN}/mock/mcp"
    async with ClientSession() as http, http.get(url) as response:
        assert response.status == 404


@pytest.mark.parametrize(
    "challenge", ["", "Bearer", "Basic", "Negotiate abc", "Bearer x=", "bearer\tx", "x" * 5000, 'Bearer scope="']
)
def test_a_challenge_that_cannot_be_read_still_leads_to_the_metadata(challenge: str) -> None:
    assert rewritten(challenge, metadata="https://m") == 'Bearer resource_metadata="https://m"'
