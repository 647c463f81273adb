"""Client credentials: the gateway gets access tokens at a real token endpoint, and sends them to a server."""

import asyncio
import base64
import logging
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs

import pytest
from aiohttp import web
from gateways import RunningGateway
from mcp_caller import McpCaller, modern
from mcp_clients import eventually
from upstreams import Arrived, Upstream, answer, document, serving

from ostiary_core.contract.upstream_credentials import ClientCredentialsConfig, UpstreamCredentialConfig

CANARY = "canary-client-secret"
NAME = "credential-uid-1-0"
CALL = modern("tools/call", {"name": "get_users", "arguments": {}})
RESULT: dict[str, Any] = {"content": []}


class AuthorizationServer:
    """A token endpoint. ``lifetime`` is in seconds; a closed ``gate`` delays its responses."""

    def __init__(self) -> None:
        self.forms: list[dict[str, list[str]]] = []
        self.clients: list[str] = []
        self.lifetime = 3600.0
        self.status = 200
        self.issued: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def script(self, _: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        self.forms.append(parse_qs(arrived.body.decode()))
        self.clients.append(base64.b64decode(arrived.headers["Authorization"].removeprefix("Basic ")).decode())
        await self.gate.wait()
        if self.status != 200:
            return web.json_response({"error": "invalid_client", "was": CANARY}, status=self.status)
        self.issued.append(f"canary-token-{len(self.issued)}")
        return web.json_response({"access_token": self.issued[-1], "token_type": "bearer", "expires_in": self.lifetime})


class ResourceServer:
    """A server that accepts the tokens that were issued last."""

    def __init__(self, authorization: AuthorizationServer) -> None:
        self.authorization = authorization
        self.seen: list[str] = []

    async def script(self, _: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        token = arrived.headers.get("Authorization", "").removeprefix("Bearer ")
        self.seen.append(token)
        if token in self.authorization.issued[-1:]:
            return document(answer(arrived, RESULT))
        return web.Response(status=401, headers={"WWW-Authenticate": "Bearer"})


@pytest.fixture
def authorization() -> AuthorizationServer:
    return AuthorizationServer()


@pytest.fixture
def server(authorization: AuthorizationServer) -> ResourceServer:
    return ResourceServer(authorization)


@pytest.fixture
async def world(
    gateway: RunningGateway, authorization: AuthorizationServer, server: ResourceServer
) -> AsyncIterator[Upstream]:
    """A proxy whose server requires a token of the authorization server."""
    async with serving(authorization.script) as endpoint, serving(server.script) as upstream:
        gateway.credentials[NAME] = CANARY.encode()
        client = ClientCredentialsConfig(
            token_endpoint=endpoint.url,
            client_id="ostiary",
            secret=NAME,
            scopes=("a", "b"),
            resource="https://crm.example.com/mcp",
            audience="crm",
        )
        credential = UpstreamCredentialConfig(client_credentials=client)
        await gateway.apply(gateway.entry("mock", upstream.url, server={"credential": credential}))
        yield endpoint


async def test_a_token_is_fetched_once_and_sent_with_every_request(
    world: Upstream, authorization: AuthorizationServer, server: ResourceServer, caller: McpCaller
) -> None:
    for _ in range(3):
        assert (await caller.post(CALL, {"Authorization": "Bearer of-the-caller"})).json["result"] == RESULT
    assert server.seen == ["canary-token-0"] * 3
    assert authorization.clients == [f"ostiary:{CANARY}"]
    assert authorization.forms == [
        {
            "grant_type": ["client_credentials"],
            "scope": ["a b"],
            "resource": ["https://crm.example.com/mcp"],
            "audience": ["crm"],
        }
    ]


async def test_requests_that_wait_for_a_token_share_one_fetch(
    world: Upstream, authorization: AuthorizationServer, caller: McpCaller
) -> None:
    authorization.gate.clear()
    calls = [asyncio.create_task(caller.post(CALL)) for _ in range(5)]
    await eventually(lambda: len(authorization.forms) == 1)
    authorization.gate.set()
    assert [(await call).json["result"] for call in calls] == [RESULT] * 5
    assert len(authorization.forms) == 1


async def test_a_token_endpoint_that_is_down_gives_a_clear_error_and_is_not_asked_again_at_once(
    world: Upstream, authorization: AuthorizationServer, server: ResourceServer, caller: McpCaller
) -> None:
    authorization.status = 500
    replies = [await caller.post(CALL) for _ in range(3)]
    assert [reply.error["data"]["reason"] for reply in replies] == ["UpstreamCredentialUnavailable"] * 3
    assert "cannot get its credential" in replies[0].error["message"]
    assert len(authorization.forms) == 1
    assert server.seen == []


async def test_a_token_that_the_server_refuses_is_replaced(
    world: Upstream, authorization: AuthorizationServer, caller: McpCaller
) -> None:
    assert (await caller.post(CALL)).json["result"] == RESULT
    authorization.issued.append("revokes-the-others")
    assert (await caller.post(CALL)).error["data"]["reason"] == "UpstreamCredentialRefused"

    async def answers() -> bool:
        return "result" in (await caller.post(CALL)).json

    await eventually(answers)
    assert len(authorization.forms) == 2


async def test_neither_secret_nor_token_is_in_a_log_or_an_error(
    world: Upstream, authorization: AuthorizationServer, caller: McpCaller, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    seen = [(await caller.post(CALL)).body.decode()]
    authorization.issued.append("revokes-the-others")
    authorization.status = 400
    seen += [(await caller.post(CALL)).body.decode() for _ in range(2)]
    assert "canary" not in caplog.text
    assert "canary" not in "".join(seen)
