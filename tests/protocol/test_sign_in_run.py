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
from authorization_server import AuthorizationServer
from headless_browser import HeadlessBrowser
from mcp_clients import ERAS, Era, eventually
from oauth_clients import signed_in
from ticket_server import ticket_server
from timeouts import TIMEOUT_SECONDS

from ostiary_tools.common.ports import reserve_port

pytestmark = pytest.mark.node

OBJECTS = """
apiVersion: ostiary.dev/v1alpha1
kind: MCPProxy
metadata: {name: tickets}
spec:
  path: /tickets
  servers: [{name: tickets, url: "%(server)s"}]
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


@pytest.mark.parametrize("era", ERAS)
async def test_a_policy_in_yaml_sends_a_client_to_its_issuer_and_admits_it_to_what_it_may_use(
    provider_process: AuthorizationServer, tmp_path: Path, era: Era
) -> None:
    async with ticket_server() as tickets:
        folder = tmp_path / "objects"
        folder.mkdir()
        values = {"server": tickets.url, "issuer": provider_process.issuer}
        (folder / "objects.yaml").write_text(OBJECTS % values)
        with running(folder) as url:
            provider_process.serve(url)
            await eventually(lambda: asks_for_a_token(url))
            async with signed_in(url, era=era, browser=HeadlessBrowser("ada")) as session:
                names = [tool.name for tool in (await session.client.list_tools()).tools]
                result = await session.client.call_tool("read_ticket", {"number": 7})

    assert names == ["read_ticket"]
    assert "ticket 7" in str(result.content)
