"""The check whether OAuth clients can find the authorization server behind a proxy with passthrough."""

import asyncio
from typing import Any

import pytest
from aiohttp import ClientSession, web
from gateways import RunningGateway
from mcp_clients import eventually
from upstreams import Arrived, Upstream, answer, document, serving

from ostiary_core.contract.authentication import AuthenticationConfig
from ostiary_core.contract.documents import PolicyDocument
from ostiary_gateway.identity import auth_discovery

WELL_KNOWN = "/.well-known/oauth-protected-resource"
GOOD: dict[str, Any] = {"resource": "https://crm.example/mcp", "authorization_servers": ["https://id.example.com"]}


class Scene:
    """An MCP server that authenticates callers itself, or should."""

    def __init__(self) -> None:
        self.status = 401
        self.challenge = 'Bearer resource_metadata="https://crm.example/.well-known/oauth-protected-resource/mcp"'
        self.metadata: object = GOOD
        self.metadata_path = WELL_KNOWN

    async def script(self, request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        assert "Authorization" not in arrived.headers
        if ".well-known" in request.path:
            return document(self.metadata) if request.path == self.metadata_path else web.Response(status=404)
        if self.status == 200:
            return document(answer(arrived, {}))
        headers = {"WWW-Authenticate": self.challenge} if self.challenge else {}
        return web.Response(status=self.status, headers=headers)


@pytest.fixture
def scene() -> Scene:
    return Scene()


def relaying() -> PolicyDocument:
    authentication = AuthenticationConfig(passthrough=True)
    return PolicyDocument(
        namespace="default", name="relay", uid="uid-relay", generation=1, tier="owner", authentication=authentication
    )


async def reported(gateway: RunningGateway, name: str = "mock") -> dict[str, str]:
    """What the gateway reports of a proxy on its admin port, once a check has ended."""
    found: dict[str, str] = {}
    headers = {"Authorization": "Bearer admin-for-tests"}
    async with ClientSession(f"http://127.0.0.1:{gateway.app.admin_port}", headers=headers) as http:

        async def ended() -> bool:
            async with http.get("/config") as response:
                entry = (await response.json())["entries"][f"default/{name}"]
            found.update(entry.get("authDiscovery", {}))
            return found.get("reason") not in {None, "Pending"}

        await eventually(ended)
    return found


async def checked(gateway: RunningGateway, url: str) -> tuple[str, str]:
    await gateway.apply(gateway.entry("mock", url, [relaying()]))
    found = await reported(gateway)
    return found["reason"], found["message"]


@pytest.mark.parametrize("path", [WELL_KNOWN, f"{WELL_KNOWN}/mcp"])
async def test_a_server_that_asks_for_a_token_and_names_its_authorization_server_is_complete(
    gateway: RunningGateway, upstream: Upstream, scene: Scene, path: str
) -> None:
    scene.metadata_path = path
    assert await checked(gateway, upstream.url) == ("AuthDiscovery", "")


async def test_a_challenge_without_resource_metadata_is_complete_since_clients_look_at_the_usual_paths(
    gateway: RunningGateway, upstream: Upstream, scene: Scene
) -> None:
    scene.challenge = "Bearer"
    assert await checked(gateway, upstream.url) == ("AuthDiscovery", "")


@pytest.mark.parametrize("status", [200, 202, 302, 400, 403, 404])
async def test_a_server_that_does_not_ask_for_a_token_is_reported_with_its_status(
    gateway: RunningGateway, upstream: Upstream, scene: Scene, status: int
) -> None:
    scene.status = status
    reason, message = await checked(gateway, upstream.url)
    assert reason == "NoUnauthorizedResponse"
    assert message == f"it responds with HTTP {status}"


@pytest.mark.parametrize("challenge", ["", "Basic realm=x", 'Bearer scope="read"'])
async def test_a_server_without_metadata_and_without_their_url_is_reported(
    gateway: RunningGateway, upstream: Upstream, scene: Scene, challenge: str
) -> None:
    scene.challenge, scene.metadata_path = challenge, "/nowhere"
    reason, message = await checked(gateway, upstream.url)
    assert reason == "MetadataNotNamed"
    assert "status 404" in message


async def test_metadata_that_the_challenge_names_at_another_path_are_reported_with_their_url(
    gateway: RunningGateway, upstream: Upstream, scene: Scene
) -> None:
    scene.challenge, scene.metadata_path = 'Bearer resource_metadata="https://crm.example/oauth.json"', "/nowhere"
    assert await checked(gateway, upstream.url) == ("MetadataElsewhere", "it names https://crm.example/oauth.json")


async def test_metadata_that_are_named_and_cannot_be_read_are_reported_with_the_cause(
    gateway: RunningGateway, upstream: Upstream, scene: Scene
) -> None:
    scene.metadata_path = "/nowhere"
    reason, message = await checked(gateway, upstream.url)
    assert reason == "MetadataUnreadable"
    assert "it answered with status 404" in message


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ({"resource": "x"}, "NoAuthorizationServer"),
        (GOOD | {"authorization_servers": []}, "NoAuthorizationServer"),
        (GOOD | {"authorization_servers": "https://id.example.com"}, "MetadataInvalid"),
        (GOOD | {"scopes_supported": [7]}, "MetadataInvalid"),
        ([], "MetadataUnreadable"),
        (GOOD | {"padding": "x" * 600_000}, "MetadataUnreadable"),
    ],
)
async def test_metadata_that_lead_nowhere_are_reported(
    gateway: RunningGateway, upstream: Upstream, scene: Scene, metadata: object, reason: str
) -> None:
    scene.metadata = metadata
    assert (await checked(gateway, upstream.url))[0] == reason


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_server_that_cannot_serve_now_is_no_statement_on_its_discovery(
    gateway: RunningGateway, upstream: Upstream, scene: Scene, status: int
) -> None:
    scene.status = status
    assert (await checked(gateway, upstream.url))[0] == "ServerUnavailable"


async def test_a_server_at_a_forbidden_address_is_not_fetched_and_is_reported(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    await gateway.apply(gateway.entry("mock", upstream.url, [relaying()], addresses=[]))
    assert (await reported(gateway))["reason"] == "ServerUnavailable"
    assert upstream.arrived == []


async def test_a_server_that_hangs_does_not_delay_the_checks_of_another_namespace(
    gateway: RunningGateway, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auth_discovery, "CHECK_SECONDS", 60.0)
    never = asyncio.Event()

    async def hang(_request: web.BaseRequest, _arrived: Arrived) -> web.StreamResponse:
        await never.wait()
        raise AssertionError

    async with serving(hang) as hanging:
        slow = [gateway.entry(f"slow-{n}", hanging.url, [relaying()], namespace="other") for n in range(12)]
        await gateway.apply(*slow, gateway.entry("mock", upstream.url, [relaying()]))
        assert (await reported(gateway))["reason"] == "AuthDiscovery"
        assert len(hanging.arrived) <= 1


async def test_a_check_says_nothing_of_the_health_of_the_server_and_only_proxies_with_passthrough_are_checked(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    await gateway.apply(gateway.entry("mock", upstream.url, [relaying()]), gateway.entry("other", upstream.url))
    await reported(gateway)
    snapshot = gateway.app.store.snapshot
    assert snapshot is not None
    assert not snapshot.proxies["default/mock"].server.health.answered
    assert gateway.app.discovery.report_of(snapshot.proxies["default/other"]) is None
    assert upstream.count("ping") == 1


async def test_a_new_policy_for_the_same_server_causes_no_new_check(
    gateway: RunningGateway, upstream: Upstream
) -> None:
    await checked(gateway, upstream.url)
    for generation in (2, 3):
        policy = relaying().model_copy(update={"generation": generation})
        await gateway.apply(gateway.entry("mock", upstream.url, [policy]))
        assert (await reported(gateway))["reason"] == "AuthDiscovery"
    assert upstream.count("ping") == 1
