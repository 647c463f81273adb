"""The whole OAuth flow with a real authorization server and the OAuth clients of the official SDKs."""

from collections.abc import AsyncIterator, Iterator

import pytest
from authorization_server import AuthorizationServer, authorization_server
from gateways import RunningGateway
from headless_browser import HeadlessBrowser
from identity_provider import LOOPBACK
from mcp.types import TextContent
from mcp_clients import ERAS, Era
from oauth_clients import REGISTRATIONS, Registration, signed_in
from ticket_server import TicketServer, ticket_server

from ostiary_core.contract.authentication import AuthenticationConfig, IssuerConfig
from ostiary_core.contract.documents import PolicyDocument

pytestmark = pytest.mark.node


@pytest.fixture(scope="module")
def provider() -> Iterator[AuthorizationServer]:
    with authorization_server() as server:
        yield server


@pytest.fixture
async def tickets() -> AsyncIterator[TicketServer]:
    async with ticket_server() as server:
        yield server


def trusting(provider: AuthorizationServer) -> PolicyDocument:
    """A policy that accepts the JWTs of the server, and reads no claim for the consumer."""
    issuer = IssuerConfig(issuer=provider.issuer, algorithms=["ES256"], fetch=LOOPBACK)
    return PolicyDocument(
        namespace="default",
        name="oauth",
        uid="uid-oauth",
        generation=1,
        tier="owner",
        authentication=AuthenticationConfig(issuers=[issuer]),
    )


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("registration", [r for r in REGISTRATIONS if r != "metadata-document"])
async def test_a_client_without_a_token_signs_in_and_calls_a_tool(
    gateway: RunningGateway,
    tickets: TicketServer,
    provider: AuthorizationServer,
    era: Era,
    registration: Registration,
) -> None:
    gateway.settings = gateway.settings.model_copy(update={"external_url": f"http://127.0.0.1:{gateway.app.port}"})
    await gateway.apply(gateway.entry("tickets", tickets.url, [trusting(provider)]))
    url = gateway.url("tickets")
    provider.serve(url)
    browser = HeadlessBrowser("ada")
    async with signed_in(url, era=era, browser=browser, registration=registration) as session:
        result = await session.client.call_tool("read_ticket", {"number": 7})
        assert isinstance(result.content[0], TextContent)
        assert result.content[0].text == "ticket 7"
    assert browser.submitted == ["login", "consent"]
    assert browser.queries[0]["resource"] == url
    assert browser.queries[0]["code_challenge_method"] == "S256"
    assert not any("authorization" in headers for headers in tickets.headers)
