"""No token or secret that a real authorization server handed out is in anything that the gateway reports."""

import json
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from aiohttp import ClientSession
from authorization_server import CLIENT_SECRET, GATEWAY_SECRET, AuthorizationServer
from gateways import RunningGateway, running_gateway
from headless_browser import HeadlessBrowser
from mcp_caller import mcp_caller, modern
from mcp_clients import eventually
from oauth_clients import signed_in
from otlp_sink import Sink, http_sink
from sign_in import SECRET_NAME, introspecting, local_url, oauth_policy, revoke, tokens, trusting
from ticket_server import JwksVerifier, ticket_server

from ostiary_core.contract.authentication import AuthenticationConfig
from ostiary_gateway.telemetry import Telemetry

pytestmark = pytest.mark.node
CALL = modern("tools/call", {"name": "read_ticket", "arguments": {"number": 7}})
RELAYING = oauth_policy(AuthenticationConfig(passthrough=True), name="relay")
#: Loggers of the clients, which run in the process of the test.
_CLIENTS = ("mcp", "httpx", "httpcore", "aiohttp.client", "asyncio")


class Report(logging.Handler):
    """All that the gateway writes and answers, as one text."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record that is not of a client."""
        if not record.name.startswith(_CLIENTS):
            self.text += f"{record.name} {record.getMessage()} {record.exc_info}\n"

    def add(self, *values: object) -> None:
        """Take what was answered."""
        self.text += "\n".join(map(str, values)) + "\n"


@pytest.fixture
def report() -> Iterator[Report]:
    report, root = Report(), logging.getLogger()
    level = root.level
    root.addHandler(report)
    root.setLevel(logging.DEBUG)
    yield report
    root.removeHandler(report)
    root.setLevel(level)


@pytest.fixture
def sink() -> Iterator[Sink]:
    with http_sink() as sink:
        yield sink


@pytest.fixture
async def gateway(sink: Sink) -> AsyncIterator[RunningGateway]:
    telemetry = Telemetry.from_env({"OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint})
    async with running_gateway(telemetry=telemetry) as gateway:
        yield gateway


async def call(url: str, report: Report, *authorizations: str, query: str = "") -> int:
    """Call a tool with these headers, and report the response."""
    async with mcp_caller(url + query) as caller:
        headers = caller.headers(CALL)
        for each in authorizations:
            headers.add("Authorization", each)
        async with ClientSession() as http, http.post(caller.url, json=CALL, headers=headers) as response:
            report.add(response.status, dict(response.headers), await response.text())
            return response.status


async def test_no_token_is_in_a_log_span_metric_report_or_error(
    gateway: RunningGateway, provider_process: AuthorizationServer, report: Report, sink: Sink
) -> None:
    provider = provider_process
    local_url(gateway)
    gateway.credentials = {SECRET_NAME: GATEWAY_SECRET.encode()}
    relay = gateway.url("relay")
    async with AsyncExitStack() as stack:
        plain = await stack.enter_async_context(ticket_server())
        secured = await stack.enter_async_context(ticket_server(JwksVerifier(provider.issuer, relay), resource=relay))
        await gateway.apply(
            gateway.entry("jwt", plain.url, [trusting(provider)]),
            gateway.entry("opaque", plain.url, [introspecting(provider, cache=0)]),
            gateway.entry("relay", secured.url, [RELAYING]),
        )
        for name in ("jwt", "opaque", "relay"):
            url = gateway.url(name)
            provider.serve(url, tokens="opaque" if name == "opaque" else "jwt")
            async with signed_in(url, era="modern", browser=HeadlessBrowser("ada"), registration="dynamic"):
                pass
            await misuse(provider, url, report)
        async with ClientSession() as http:
            for path in ("config", "metrics"):
                headers = {"Authorization": "Bearer admin-for-tests"}
                async with http.get(f"http://127.0.0.1:{gateway.app.admin_port}/{path}", headers=headers) as response:
                    assert response.status == 200
                    report.add(await response.text())

    await eventually(lambda: len(sink.spans) >= 12)
    report.add(sink.spans)
    secrets = pieces([*provider.issued(), GATEWAY_SECRET, CLIENT_SECRET])
    assert [secret for secret in secrets if secret in report.text] == []
    assert [secret for secret in secrets if secret in json.dumps(plain.headers)] == []
    assert [secret for secret in secrets if secret in json.dumps(secured.headers)] != []  # the search finds them


async def misuse(provider: AuthorizationServer, url: str, report: Report) -> None:
    """Send a good token, and the same one in every way that is refused."""
    found: dict[str, Any] = await tokens(provider, HeadlessBrowser("ada"), resource=url, scope="users:read")
    token = found["access_token"]
    assert await call(url, report, f"Bearer {token}") == 200
    for refused in (f"Bearer {token}x", f"Bearer {found.get('refresh_token')}", f"Basic {token}", f"Bearer  {token} x"):
        await call(url, report, refused)
    await call(url, report, f"Bearer {token}", f"Bearer {token}")
    await call(url, report, query=f"?access_token={token}")
    await revoke(provider, found["refresh_token"])
    await call(url, report, f"Bearer {token}")


def pieces(secrets: list[str]) -> list[str]:
    """The secrets, and the parts of those that are JWTs: neither claims nor signatures may be anywhere."""
    return [piece for secret in secrets for piece in (secret, *(secret.split(".")[1:] if "." in secret else ()))]
