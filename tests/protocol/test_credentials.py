"""Credentials that the gateway sends to servers: a real gateway, and a server that checks the header."""

import logging
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from gateways import RunningGateway
from mcp_caller import McpCaller, modern
from mcp_clients import eventually
from prometheus_client import generate_latest
from upstreams import Arrived, Upstream, answer, document, serving

from ostiary_core.contract.key_names import credential_name
from ostiary_core.contract.upstream_credentials import StaticCredentialConfig, UpstreamCredentialConfig

CANARY = "canary-5f2b9c-secret-value"
NEXT_CANARY = "canary-77aa10-next-value"
CALL = modern("tools/call", {"name": "get_users", "arguments": {}})
RESULT: dict[str, Any] = {"content": []}


class CheckedServer:
    """A server that accepts one value in one header, and repeats what it was sent where it refuses."""

    def __init__(self) -> None:
        self.header = "Authorization"
        self.accepted = {f"Bearer {CANARY}"}
        self.status = 401
        self.challenge = True

    async def script(self, _: web.BaseRequest, arrived: Arrived) -> web.StreamResponse:
        if arrived.headers.get(self.header) in self.accepted:
            return document(answer(arrived, RESULT))
        headers = {"WWW-Authenticate": f'Bearer resource_metadata="https://evil.example", was="{CANARY}"'}
        return web.Response(
            status=self.status, text=f"no: {dict(arrived.headers)}", headers=headers if self.challenge else {}
        )


@pytest.fixture
def server() -> CheckedServer:
    return CheckedServer()


@pytest.fixture
async def checked(server: CheckedServer) -> AsyncIterator[Upstream]:
    async with serving(server.script) as upstream:
        yield upstream


def name(version: int) -> str:
    return credential_name(uid="uid-secret", version=str(version), key="token")


def sending(version: int = 1, header: str = "Authorization", prefix: str = "Bearer ") -> dict[str, Any]:
    static = StaticCredentialConfig(header=header, prefix=prefix, secret=name(version))
    return {"server": {"credential": UpstreamCredentialConfig(static=static)}}


async def test_a_bearer_reaches_the_server_and_the_callers_own_does_not(
    gateway: RunningGateway, checked: Upstream, caller: McpCaller
) -> None:
    gateway.credentials[name(1)] = CANARY.encode()
    await gateway.apply(gateway.entry("mock", checked.url, **sending()))
    reply = await caller.post(CALL, {"Authorization": "Bearer of-the-caller", "Cookie": "a=b"})
    assert reply.json["result"] == RESULT
    arrived = await checked.first("tools/call")
    assert arrived.headers.getall("Authorization") == [f"Bearer {CANARY}"]
    assert "Cookie" not in arrived.headers


async def test_a_value_is_sent_in_the_header_that_is_configured(
    gateway: RunningGateway, server: CheckedServer, checked: Upstream, caller: McpCaller
) -> None:
    server.header, server.accepted = "X-Api-Key", {CANARY}
    gateway.credentials[name(1)] = CANARY.encode()
    await gateway.apply(gateway.entry("mock", checked.url, **sending(header="X-Api-Key", prefix="")))
    reply = await caller.post(CALL, {"X-Api-Key": "of-the-caller"})
    assert reply.json["result"] == RESULT
    arrived = await checked.first("tools/call")
    assert arrived.headers.getall("X-Api-Key") == [CANARY]
    assert "Authorization" not in arrived.headers


async def test_a_new_credential_is_in_force_without_a_failed_request(
    gateway: RunningGateway, server: CheckedServer, checked: Upstream, caller: McpCaller
) -> None:
    gateway.credentials[name(1)] = CANARY.encode()
    await gateway.apply(gateway.entry("mock", checked.url, **sending(1)))
    assert (await caller.post(CALL)).json["result"] == RESULT
    server.accepted.add(f"Bearer {NEXT_CANARY}")
    gateway.credentials[name(2)] = NEXT_CANARY.encode()
    await gateway.apply(gateway.entry("mock", checked.url, **sending(2)))
    server.accepted.remove(f"Bearer {CANARY}")
    assert (await caller.post(CALL)).json["result"] == RESULT


async def test_without_its_credential_a_proxy_keeps_its_last_version_and_others_go_on(
    gateway: RunningGateway, checked: Upstream, caller: McpCaller, quiet: None
) -> None:
    gateway.credentials[name(1)] = CANARY.encode()
    await gateway.apply(gateway.entry("mock", checked.url, **sending(1)))
    other = gateway.entry("other", checked.url)
    await gateway.apply(gateway.entry("mock", checked.url, **sending(2)), other)
    store = gateway.app.store
    assert store.rejected_entries["default/mock"].reason == "CredentialMissing"
    assert store.snapshot is not None
    assert "default/other" in store.snapshot.proxies
    assert (await caller.post(CALL)).json["result"] == RESULT

    gateway.credentials[name(2)] = CANARY.encode()
    gateway.place_secret(gateway.secret)
    await eventually(lambda: store.rejected_entries == {})
    assert (await caller.post(CALL)).json["result"] == RESULT


async def test_a_proxy_whose_credential_never_arrived_sends_nothing(
    gateway: RunningGateway, checked: Upstream, caller: McpCaller
) -> None:
    await gateway.apply(gateway.entry("mock", checked.url, **sending()))
    assert (await caller.post(CALL)).status == 404
    assert checked.arrived == []


@pytest.mark.parametrize(("status", "challenge"), [(401, True), (401, False), (403, True)])
async def test_a_refused_credential_gives_a_clear_error_without_the_challenge(
    gateway: RunningGateway,
    server: CheckedServer,
    checked: Upstream,
    caller: McpCaller,
    *,
    status: int,
    challenge: bool,
) -> None:
    server.status, server.challenge, server.accepted = status, challenge, set()
    gateway.credentials[name(1)] = CANARY.encode()
    await gateway.apply(gateway.entry("mock", checked.url, **sending()))
    reply = await caller.post(CALL)
    assert reply.status == 200
    assert "WWW-Authenticate" not in reply.headers
    assert reply.error["data"]["reason"] == "UpstreamCredentialRefused"
    assert "refuses the gateway's own credential" in reply.error["message"]
    assert "evil" not in reply.body.decode()
    [runtime] = gateway.app.store.snapshot.proxies.values() if gateway.app.store.snapshot else []
    assert runtime.server.health.fault is not None
    assert runtime.server.health.fault.kind == "UpstreamCredentialRefused"


async def test_a_value_that_no_header_can_hold_rejects_the_entry_without_naming_it(
    gateway: RunningGateway, checked: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    gateway.credentials[name(1)] = f"{CANARY}\r\nX-Injected: yes".encode()
    await gateway.apply(gateway.entry("mock", checked.url, **sending()))
    assert "cannot be sent in a header" in gateway.app.store.rejected_entries["default/mock"].message
    assert CANARY not in caplog.text


async def test_the_credential_is_in_no_log_metric_report_or_error(
    gateway: RunningGateway,
    server: CheckedServer,
    checked: Upstream,
    caller: McpCaller,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    gateway.credentials[name(1)] = CANARY.encode()
    await gateway.apply(gateway.entry("mock", checked.url, **sending()))
    seen = [(await caller.post(CALL)).body.decode()]
    server.accepted, server.challenge = set(), False
    for server.status in (401, 403, 421, 400, 500):
        seen.append((await caller.post(CALL)).body.decode())
    headers = {"Authorization": "Bearer admin-for-tests"}
    url = f"http://127.0.0.1:{gateway.app.admin_port}/config"
    async with aiohttp.ClientSession() as http, http.get(url, headers=headers) as response:
        assert response.status == 200
        seen.append(await response.text())
    seen.append(generate_latest(gateway.app.metrics.registry).decode())
    seen += [caplog.text, repr(gateway.app.store.keyring), repr(gateway.app.store.snapshot)]
    seen += [path.read_text(errors="replace") for path in gateway.directory.glob("*.json")]
    # A server that repeats our headers in a text that MCP lets through says it to callers itself.
    passed = [text for text in seen if CANARY in text]
    assert passed == []
