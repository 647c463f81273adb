"""The mock server, once a module; a gateway with its caller and its server in each test's own event loop."""

import logging
from collections.abc import AsyncIterator, Iterator
from typing import Protocol

import pytest
from aiohttp import web
from authorization_server import AuthorizationServer, authorization_server
from client_certificates import Authority
from gateways import RunningGateway, running_gateway
from identity_provider import IdentityProvider, identity_provider
from mcp_caller import McpCaller, mcp_caller
from mcp_clients import mock_process
from ticket_server import TicketServer, ticket_server
from upstreams import Arrived, Upstream, answer, document, serving, with_handshake


class Scene(Protocol):
    """What the fixture `scene` is, of a module or the one below: how its server behaves."""

    async def script(self, request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        """Answer what is no part of the handshake."""
        ...


class AnsweringScene:
    """A server that answers every call."""

    async def script(self, _request: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        return document(answer(arrived, {"content": []}))


@pytest.fixture
def scene() -> Scene:
    return AnsweringScene()


@pytest.fixture
async def provider() -> AsyncIterator[IdentityProvider]:
    """A scripted identity provider."""
    async with identity_provider() as served:
        yield served


@pytest.fixture
async def tickets() -> AsyncIterator[TicketServer]:
    """A ticket server on the official SDK, which authenticates no caller."""
    async with ticket_server() as server:
        yield server


@pytest.fixture(scope="module")
def mock() -> Iterator[str]:
    with mock_process() as process:
        yield process.url


@pytest.fixture
async def gateway() -> AsyncIterator[RunningGateway]:
    async with running_gateway() as gateway:
        yield gateway


@pytest.fixture
async def upstream(scene: Scene) -> AsyncIterator[Upstream]:
    """The server of a module's scene."""
    async with serving(with_handshake(scene.script)) as upstream:
        yield upstream


@pytest.fixture
async def two_proxies(gateway: RunningGateway, upstream: Upstream) -> None:
    """Have the gateway open `mock` and `other`, both before the module's server."""
    await gateway.apply(gateway.entry("mock", upstream.url), gateway.entry("other", upstream.url))


@pytest.fixture
async def caller(gateway: RunningGateway) -> AsyncIterator[McpCaller]:
    """A caller of the proxy `mock` that has sent nothing yet."""
    async with mcp_caller(gateway.url()) as caller:
        yield caller


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Nothing that comes from outside may write errors or tracebacks into our log."""
    caplog.set_level(logging.INFO)
    yield
    assert [record for record in caplog.records if record.exc_info or record.levelno >= logging.ERROR] == []


@pytest.fixture(scope="session")
def authority() -> Authority:
    """A certificate authority that no system trusts."""
    return Authority()


@pytest.fixture(scope="session")
def provider_process(authority: Authority) -> Iterator[AuthorizationServer]:
    """A real authorization server, one for all tests that do not stop it or change its keys."""
    with authorization_server(trusted=authority.issued.pem) as server:
        yield server
