"""Kubernetes as the identity provider: projected tokens of service accounts, signed by a real API server."""

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from mcp_clients import connect, eventually

from ostiary_tools.cluster.main import LocalCluster
from ostiary_tools.cluster.stack import EXAMPLE

_ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts"
CALL = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "tools/list",
    "params": {
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        }
    },
}
HEADERS = {
    "Accept": "application/json, text/event-stream",
    "MCP-Protocol-Version": "2026-07-28",
    "Mcp-Method": "tools/list",
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with LocalCluster(tmp_path_factory.mktemp("cluster")) as running:
        running.apply(EXAMPLE)
        running.wait_until_ready()
        yield running


def apply(cluster: LocalCluster, resource: dict[str, Any]) -> None:
    cluster.kubectl("apply", "--server-side", "-f", "-", input=json.dumps(resource))


def token(cluster: LocalCluster, account: str, audience: str) -> str:
    """A token as the kubelet gets it for a projected volume (TokenRequest)."""
    spec = {"audiences": [audience], "expirationSeconds": 600}
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    found: str = cluster.control_plane.api.request("POST", f"{_ACCOUNTS}/{account}/token", body)["status"]["token"]
    return found


def status_of(cluster: LocalCluster, credential: str | None) -> int:
    more = {"Authorization": f"Bearer {credential}"} if credential is not None else {}
    return httpx2.post(cluster.endpoint(path="/crm"), json=CALL, headers={**HEADERS, **more}, timeout=60).status_code


def issued_by_the_cluster(cluster: LocalCluster) -> dict[str, Any]:
    """The cluster as an issuer: its keys are in the policy, so that gateways need not reach the API server."""
    api = cluster.control_plane.api
    return {
        "issuer": api.request("GET", "/.well-known/openid-configuration")["issuer"],
        "jwks": cluster.kubectl("get", "--raw", "/openid/v1/jwks"),
        "consumerClaim": ["kubernetes.io", "serviceaccount", "name"],
        "groupsClaim": ["kubernetes.io", "namespace"],
    }


async def test_a_projected_token_of_a_service_account_is_a_credential(cluster: LocalCluster) -> None:
    for account in ("agent", "other"):
        apply(
            cluster,
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account, "namespace": "default"}},
        )
    meta = {"apiVersion": "ostiary.dev/v1alpha1", "metadata": {"name": "crm", "namespace": "default"}}
    servers = [{"name": "mock", "url": cluster.mock_url}]
    apply(cluster, {**meta, "kind": "MCPProxy", "spec": {"path": "/crm", "servers": servers}})
    cluster.wait_until_ready("crm")
    spec = {
        "targetRefs": [{"kind": "MCPProxy", "name": "crm"}],
        "authentication": {"jwt": {"issuers": [issued_by_the_cluster(cluster)]}},
    }
    apply(cluster, {**meta, "kind": "MCPPolicy", "spec": spec})

    async def is_closed() -> bool:
        return status_of(cluster, None) == 401

    await eventually(is_closed)
    resource = cluster.proxy("crm")["status"]["url"]
    good = token(cluster, "agent", resource)
    async with connect(
        cluster.endpoint(path="/crm"), era="modern", headers={"Authorization": f"Bearer {good}"}
    ) as client:
        assert len((await client.list_tools()).tools) == 15

    assert status_of(cluster, good) == 200
    assert status_of(cluster, token(cluster, "other", resource)) == 200
    assert status_of(cluster, token(cluster, "agent", "https://kubernetes.default.svc")) == 401
    assert status_of(cluster, good[:-8] + "AAAAAAAA") == 401
    metadata = httpx2.get(
        cluster.endpoint(path="").removesuffix("/mcp") + "/.well-known/oauth-protected-resource/crm/mcp"
    )
    assert metadata.json()["resource"] == resource
