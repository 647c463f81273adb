"""A policy as users write it, in `ostiary run`: the sign-in of an official client at a real authorization server."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import pytest
from authorization_server import GATEWAY_SECRET, AuthorizationServer, authorization_server
from client_certificates import Authority
from headless_browser import HeadlessBrowser
from mcp_clients import ERAS, Era, eventually
from oauth_clients import signed_in
from sign_in import loopback_certificate, trust_in
from ticket_server import ticket_server
from timeouts import TIMEOUT_SECONDS

from ostiary_tools.common.ports import reserve_port

pytestmark = pytest.mark.node

PROXY = """
apiVersion: ostiary.dev/v1alpha1
kind: MCPProxy
metadata: {name: tickets}
spec:
  path: /tickets
  servers: [{name: tickets, url: "%(server)s"}]
"""

JWT = """
---
apiVersion: ostiary.dev/v1alpha1
kind: MCPPolicy
metadata: {name: readers}
spec:
  targetRefs: [{kind: MCPProxy, name: tickets}]
  authentication:
    jwt:
      issuers: [{issuer: "%(issuer)s", consumerClaim: [client_id]}]
  subjects: [{consumers: [public]}]
  access:
    rules:
    - {name: read, effect: Allow, tools: {names: ["read_*"]}, scopes: ["users:read"]}
"""

INTROSPECTION = """
---
apiVersion: v1
kind: ConfigMap
metadata: {name: company-ca}
data:
  ca.crt: |
    %(ca)s
---
apiVersion: v1
kind: Secret
metadata:
  name: introspection
  labels: {ostiary.dev/usage: credential}
  annotations: {ostiary.dev/hosts: 127.0.0.1}
stringData: {secret: %(secret)s}
---
apiVersion: ostiary.dev/v1alpha1
kind: MCPPolicy
metadata: {name: readers}
spec:
  targetRefs: [{kind: MCPProxy, name: tickets}]
  authentication:
    introspection:
      issuer: "%(issuer)s"
      clientId: gateway
      clientSecretRef: {name: introspection, key: secret}
      consumerClaim: [client_id]
      caCertificateRefs: [{kind: ConfigMap, name: company-ca}]
  subjects: [{consumers: [public]}]
  access:
    rules:
    - {name: read, effect: Allow, tools: {names: ["read_*"]}, scopes: ["users:read"]}
"""


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """Start `ostiary run` on a folder; yields the URL of the proxy."""
    port = reserve_port()
    environment = os.environ | {"PORT": str(port), "ADMIN_PORT": str(reserve_port()), "XDG_STATE_HOME": str(folder)}
    command = [sys.executable, "-m", "ostiary_operator.cli", "run", str(folder), "--no-mock-server"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield f"http://localhost:{port}/tickets/mcp"
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(TIMEOUT_SECONDS)
        finally:
            process.kill()


async def asks_for_a_token(url: str) -> bool:
    """Whether the proxy is there and refuses callers without a token."""
    try:
        async with aiohttp.ClientSession() as http, http.get(url) as response:
            return response.status == 401
    except aiohttp.ClientConnectionError:
        return False


async def names_of_tools(url: str, era: Era, browser: HeadlessBrowser) -> list[str]:
    """Wait for the proxy, sign in, call a tool, and return the names of all that the client sees."""
    await eventually(lambda: asks_for_a_token(url))
    async with signed_in(url, era=era, browser=browser) as session:
        result = await session.client.call_tool("read_ticket", {"number": 7})
        assert "ticket 7" in str(result.content)
        return [tool.name for tool in (await session.client.list_tools()).tools]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "objects"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("era", ERAS)
async def test_a_policy_in_yaml_sends_a_client_to_its_issuer_and_admits_it_to_what_it_may_use(
    provider_process: AuthorizationServer, folder: Path, era: Era
) -> None:
    async with ticket_server() as tickets:
        values = {"server": tickets.url, "issuer": provider_process.issuer}
        (folder / "objects.yaml").write_text((PROXY + JWT) % values)
        with running(folder) as url:
            provider_process.serve(url)
            assert await names_of_tools(url, era, HeadlessBrowser("ada")) == ["read_ticket"]


@pytest.mark.parametrize("era", ERAS)
async def test_a_policy_in_yaml_has_opaque_tokens_confirmed_over_a_connection_verified_by_its_ca_bundle(
    authority: Authority, folder: Path, era: Era
) -> None:
    browser = HeadlessBrowser("ada", trust_in(authority))
    with authorization_server(certificate=loopback_certificate(authority)) as provider:
        async with ticket_server() as tickets:
            ca = authority.issued.pem.strip().replace("\n", "\n    ")
            values = {"server": tickets.url, "issuer": provider.issuer, "ca": ca, "secret": GATEWAY_SECRET}
            (folder / "objects.yaml").write_text((PROXY + INTROSPECTION) % values)
            with running(folder) as url:
                provider.serve(url, tokens="opaque")
                assert await names_of_tools(url, era, browser) == ["read_ticket"]
