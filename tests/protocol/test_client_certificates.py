"""Client certificates at a real gateway: over TLS, and forwarded by a trusted proxy."""

import ssl
import time
from pathlib import Path
from urllib.parse import quote

import aiohttp
from client_certificates import Authority, Issued
from cryptography.x509 import UniformResourceIdentifier
from gateways import RunningGateway, policy, running_gateway
from mcp_caller import McpCaller, modern, modern_headers
from tls_secrets import MountedSecret
from upstreams import Upstream

from ostiary_core.contract.authentication import AuthenticationConfig, ClientCertificateConfig
from ostiary_core.contract.documents import PolicyDocument
from ostiary_gateway.server.certificate import Certificate

SPIFFE = UniformResourceIdentifier("spiffe://example.org/ns/agents/sa/support")
CALL = modern("tools/call", {"name": "get_users", "arguments": {}})
AUTHORITY, OTHER = Authority(), Authority("Another tenant's CA")


def certified(authority: Authority, *, name: str = "certified", forwarded: bool = False) -> PolicyDocument:
    config = ClientCertificateConfig(ca=authority.issued.pem, forwarded=forwarded)
    return policy(name, {"name": "all", "effect": "Allow"}).model_copy(
        update={"authentication": AuthenticationConfig(client_certificate=config)}
    )


def forwarded(issued: Issued) -> dict[str, str]:
    return {"X-Forwarded-Client-Cert": f'Hash=00;URI=spiffe://made-up;Cert="{quote(issued.pem)}"'}


async def test_a_certificate_that_a_trusted_proxy_forwards_is_a_credential(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream
) -> None:
    gateway.settings = gateway.settings.model_copy(update={"trusted_proxies": ["127.0.0.0/8"]})
    await gateway.apply(gateway.entry("mock", upstream.url, [certified(AUTHORITY, forwarded=True)]))

    assert (await caller.post(CALL)).status == 401
    assert (await caller.post(CALL, forwarded(OTHER.issue(SPIFFE)))).status == 401
    assert (await caller.post(CALL, {"X-Forwarded-Client-Cert": "URI=spiffe://made-up"})).status == 401
    assert upstream.arrived == []
    assert (await caller.post(CALL, forwarded(AUTHORITY.issue(SPIFFE)))).status == 200
    assert "X-Forwarded-Client-Cert" not in upstream.arrived[-1].headers


async def test_a_certificate_that_no_trusted_proxy_forwards_is_none(
    gateway: RunningGateway, caller: McpCaller, upstream: Upstream
) -> None:
    await gateway.apply(gateway.entry("mock", upstream.url, [certified(AUTHORITY, forwarded=True)]))

    assert (await caller.post(CALL, forwarded(AUTHORITY.issue(SPIFFE)))).status == 401
    assert upstream.arrived == []


async def post(gateway: RunningGateway, name: str, secret: MountedSecret, issued: Issued | None, folder: Path) -> int:
    tls = ssl.create_default_context(cafile=secret.authority)
    if issued is not None:
        file = folder / f"client-{time.monotonic_ns()}.pem"
        file.write_text(issued.pem + issued.key_pem)
        tls.load_cert_chain(file)
    headers = {**modern_headers(CALL), "Accept": "application/json, text/event-stream"}
    url = gateway.url(name).replace("http://", "https://")
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls)) as http,
        http.post(url, json=CALL, headers=headers) as response,
    ):
        return response.status


async def test_a_certificate_of_the_tls_connection_counts_for_the_policy_that_trusts_its_authority(
    upstream: Upstream, tmp_path: Path
) -> None:
    secret = MountedSecret(tmp_path)
    secret.renew("localhost")
    ours, theirs = AUTHORITY.issue(SPIFFE), OTHER.issue(SPIFFE)
    async with running_gateway(tls=secret.files) as gateway:
        await gateway.apply(
            gateway.entry("mock", upstream.url, [certified(AUTHORITY)]),
            gateway.entry("other", upstream.url, [certified(OTHER, name="other")]),
            gateway.entry("open", upstream.url),
        )
        found = {
            (name, who): await post(gateway, name, secret, issued, tmp_path)
            for name in ("mock", "other", "open")
            for who, issued in (("ours", ours), ("theirs", theirs), ("none", None))
        }
        secret.renew("localhost")
        renewed = gateway.app.sources[-1]
        assert isinstance(renewed, Certificate)
        await renewed.poll()
        assert await post(gateway, "mock", secret, ours, tmp_path) == 200  # the renewed context asks, too

    assert found == {
        ("mock", "ours"): 200,
        ("mock", "theirs"): 401,
        ("mock", "none"): 401,
        ("other", "ours"): 401,
        ("other", "theirs"): 200,
        ("other", "none"): 401,
        ("open", "ours"): 200,
        ("open", "theirs"): 200,
        ("open", "none"): 200,
    }
