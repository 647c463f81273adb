"""Introspection on a real API server: applied as YAML, its client secret and authorities rotated under load."""

import asyncio
import base64
import contextlib
import functools
import json
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from client_certificates import Authority
from identity_provider import IdentityProvider, identity_provider
from mcp_caller import McpCaller, mcp_caller, modern
from mcp_clients import eventually
from sign_in import loopback_certificate

from ostiary_tools.cluster.main import LocalCluster
from ostiary_tools.cluster.stack import EXAMPLE
from ostiary_tools.common.processes import wait_until

CALL = modern("tools/list")
SECRETS = [f"canary-secret-{number}" for number in range(4)]
TOKEN = "canary-token-5f2b9c"
META = {"apiVersion": "ostiary.dev/v1alpha1", "metadata": {"name": "opaque", "namespace": "sales"}}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with LocalCluster(tmp_path_factory.mktemp("cluster"), values={"secretNamespaces": ["sales"]}) as running:
        running.apply(EXAMPLE)
        running.wait_until_ready()
        servers = [{"name": "mock", "url": running.mock_url}]
        apply(running, {**META, "kind": "MCPProxy", "spec": {"path": "/opaque", "servers": servers}})
        yield running


@pytest.fixture
async def caller(cluster: LocalCluster) -> AsyncIterator[McpCaller]:
    async with mcp_caller(cluster.endpoint(0, path="/opaque")) as found:
        yield found


def apply(cluster: LocalCluster, *resources: dict[str, Any]) -> None:
    cluster.kubectl("apply", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": resources}))


def secret(value: str, *, hosts: str = "127.0.0.1") -> dict[str, Any]:
    metadata = {
        "name": "introspection",
        "namespace": "sales",
        "labels": {"ostiary.dev/usage": "credential"},
        "annotations": {"ostiary.dev/hosts": hosts},
    }
    data = {"secret": base64.b64encode(value.encode()).decode()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}


def policy(provider: IdentityProvider, **members: Any) -> dict[str, Any]:
    introspection = {
        "issuer": provider.issuer,
        "clientId": "ostiary",
        "clientSecretRef": {"name": "introspection", "key": "secret"},
        "cache": "0s",
        **members,
    }
    targets = [{"kind": "MCPProxy", "name": "opaque"}]
    spec = {"targetRefs": targets, "authentication": {"introspection": introspection}}
    return {**META, "kind": "MCPPolicy", "spec": spec}


def authorities(*found: Authority) -> dict[str, Any]:
    bundle = "".join(each.issued.pem for each in found)
    metadata = {"name": "provider-ca", "namespace": "sales", "labels": {"ostiary.dev/usage": "ca"}}
    data = {"ca.crt": base64.b64encode(bundle.encode()).decode()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}


def resolved_refs(cluster: LocalCluster) -> dict[str, str]:
    found = json.loads(cluster.kubectl("get", "mcppolicy", "opaque", "-n", "sales", "-o", "json"))
    conditions = found.get("status", {}).get("conditions", ())
    return next((each for each in conditions if each["type"] == "ResolvedRefs"), {})


async def reported(cluster: LocalCluster, reason: str) -> str:
    """Wait until the policy reports this reason in ResolvedRefs; return the message."""
    await asyncio.to_thread(
        wait_until, lambda: resolved_refs(cluster).get("reason") == reason, what=f"ResolvedRefs {reason}", timeout=60
    )
    return resolved_refs(cluster)["message"]


async def status_of(caller: McpCaller, token: str = TOKEN) -> int:
    return (await caller.post(CALL, {"Authorization": f"Bearer {token}"})).status


async def answers(caller: McpCaller, status: int, token: str = TOKEN) -> None:
    """Wait until a call with the token has this status."""

    async def has_status() -> bool:
        return await status_of(caller, token) == status

    await eventually(has_status)


@contextlib.asynccontextmanager
async def introspecting(cluster: LocalCluster, tls: ssl.SSLContext | None = None) -> AsyncIterator[IdentityProvider]:
    async with identity_provider(tls=tls) as provider:
        provider.metadata["introspection_endpoint"] = f"{provider.issuer}/introspect"
        provider.active[TOKEN] = {
            "active": True,
            "sub": "ada",
            "aud": f"http://localhost:{cluster.ports.data[0]}/opaque/mcp",
        }
        provider.accepted = {f"ostiary:{value}" for value in SECRETS}
        yield provider


async def test_a_rotated_client_secret_is_in_force_soon_and_fails_no_request(
    cluster: LocalCluster, caller: McpCaller
) -> None:
    failed: list[int] = []
    async with introspecting(cluster) as provider:
        await asyncio.to_thread(apply, cluster, secret(SECRETS[0]), policy(provider))
        await answers(caller, 401, "invented")
        await answers(caller, 200)

        async def load() -> None:
            while True:
                status = await status_of(caller)
                if status != 200:
                    failed.append(status)

        loading = asyncio.create_task(load())
        for value in SECRETS[1:]:
            await asyncio.to_thread(apply, cluster, secret(value))
            await eventually(functools.partial(lambda last: provider.credentials[-1:] == [last], f"ostiary:{value}"))
        loading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await loading
    assert failed == []
    assert list(dict.fromkeys(provider.credentials)) == [f"ostiary:{value}" for value in SECRETS]


async def test_the_client_secret_is_in_the_gateways_secret_alone(cluster: LocalCluster) -> None:
    def held() -> list[str]:
        found = json.loads(cluster.kubectl("get", "secret", "ostiary-default", "-n", "ostiary-system", "-o", "json"))
        return sorted(
            base64.b64decode(value).decode() for name, value in found["data"].items() if name.startswith("credential-")
        )

    await asyncio.to_thread(wait_until, lambda: held() == [SECRETS[-1]], what="old values are pruned", timeout=60)
    shown = cluster.kubectl("get", "configmaps,mcpproxies,mcppolicies,events", "-A", "-o", "json")
    assert "canary" not in shown
    for value in SECRETS:
        assert base64.b64encode(value.encode()).decode() not in shown


async def test_a_deleted_secret_is_reported_and_the_last_version_stays(
    cluster: LocalCluster, caller: McpCaller
) -> None:
    async with introspecting(cluster) as provider:
        await asyncio.to_thread(apply, cluster, secret(SECRETS[0]), policy(provider))
        await answers(caller, 401, "invented")
        await answers(caller, 200)
        await asyncio.to_thread(cluster.kubectl, "delete", "secret", "introspection", "-n", "sales")
        message = await reported(cluster, "RefNotFound")
        assert "spec.authentication.introspection.clientSecretRef: Secret sales/introspection does not exist" in message
        assert "The last accepted version" in message
        assert await status_of(caller) == 200

        await asyncio.to_thread(apply, cluster, secret(SECRETS[1]))
        await reported(cluster, "ResolvedRefs")

        async def is_used() -> bool:
            return await status_of(caller) == 200 and provider.credentials[-1] == f"ostiary:{SECRETS[1]}"

        await eventually(is_used)


async def test_a_host_that_the_owner_withdraws_gets_the_client_secret_no_more(
    cluster: LocalCluster, caller: McpCaller
) -> None:
    async with introspecting(cluster) as provider:
        await asyncio.to_thread(apply, cluster, secret(SECRETS[0]), policy(provider))
        await answers(caller, 401, "invented")
        await answers(caller, 200)
        await asyncio.to_thread(apply, cluster, secret(SECRETS[0], hosts="elsewhere.example.com"))
        message = await reported(cluster, "HostNotPermitted")
        assert "write 127.0.0.1 into its annotation ostiary.dev/hosts, exactly so, if its owner permits that" in message
        assert "It no longer introspects tokens" in message
        await answers(caller, 401)
        asked = len(provider.forms)
        assert await status_of(caller) == 401
        assert len(provider.forms) == asked


async def test_a_rotated_authority_of_the_provider_is_in_force_soon(
    cluster: LocalCluster, caller: McpCaller, tmp_path: Path
) -> None:
    before, after = Authority("before"), Authority("after")
    certificate = loopback_certificate(after)
    chain = tmp_path / "provider.pem"
    chain.write_text(certificate.pem + certificate.key_pem)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(chain)
    references = [{"kind": "Secret", "name": "provider-ca"}]
    async with introspecting(cluster, tls) as provider:
        given = policy(provider, caCertificateRefs=references)
        await asyncio.to_thread(apply, cluster, secret(SECRETS[0]), authorities(before), given)
        await answers(caller, 503)
        await asyncio.to_thread(apply, cluster, authorities(before, after))
        await answers(caller, 200)

        await asyncio.to_thread(cluster.kubectl, "delete", "secret", "provider-ca", "-n", "sales")
        assert "caCertificateRefs[0]: Secret sales/provider-ca does not exist" in await reported(cluster, "RefNotFound")
        assert await status_of(caller) == 200
