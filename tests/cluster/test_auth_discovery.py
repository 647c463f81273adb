"""AuthDiscovery on a real API server: a gateway checks the server, and the operator reports the missing step."""

import functools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import web
from mcp_clients import eventually
from upstreams import Arrived, document, serving

from ostiary_tools.cluster.main import LocalCluster
from ostiary_tools.cluster.stack import EXAMPLE

POLICY = {
    "apiVersion": "ostiary.dev/v1alpha1",
    "kind": "MCPPolicy",
    "metadata": {"name": "relay", "namespace": "sales"},
    "spec": {
        "targetRefs": [{"kind": "MCPProxy", "name": "relayed"}],
        "authentication": {"passthrough": {}},
    },
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with LocalCluster(tmp_path_factory.mktemp("cluster")) as running:
        running.apply(EXAMPLE)
        running.kubectl("create", "namespace", "sales")
        running.wait_until_ready()
        yield running


def apply(cluster: LocalCluster, *resources: dict[str, Any]) -> None:
    cluster.kubectl("apply", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": resources}))


def proxy(url: str) -> dict[str, Any]:
    return {
        "apiVersion": "ostiary.dev/v1alpha1",
        "kind": "MCPProxy",
        "metadata": {"name": "relayed", "namespace": "sales"},
        "spec": {"path": "/relayed", "servers": [{"name": "s", "url": url}]},
    }


def has(cluster: LocalCluster, *, status: str, reason: str) -> bool:
    found = discovery(cluster)
    return found is not None and (found["status"], found["reason"]) == (status, reason)


def discovery(cluster: LocalCluster) -> dict[str, str] | None:
    found = json.loads(cluster.kubectl("get", "mcpproxy", "relayed", "-n", "sales", "-o", "json"))
    conditions = found.get("status", {}).get("conditions", ())
    return next((each for each in conditions if each["type"] == "AuthDiscovery"), None)


async def test_the_missing_step_is_reported_with_its_fix_and_the_condition_ends_with_passthrough(
    cluster: LocalCluster,
) -> None:
    async def script(request: web.BaseRequest, _arrived: Arrived) -> web.StreamResponse:
        if request.path == "/.well-known/oauth-protected-resource/good":
            return document({"resource": "x", "authorization_servers": ["https://id.example.com"]})
        return web.Response(status=401 if request.method == "POST" else 404)

    async with serving(script) as upstream:
        apply(cluster, proxy(f"{upstream.url.removesuffix('/mcp')}/bad"), POLICY)
        await eventually(functools.partial(has, cluster, status="False", reason="MetadataNotNamed"))
        found = discovery(cluster)
        assert found is not None
        assert "Make the server publish protected resource metadata at /.well-known/" in found["message"]

        apply(cluster, proxy(f"{upstream.url.removesuffix('/mcp')}/good"))
        await eventually(functools.partial(has, cluster, status="True", reason="AuthDiscovery"))

        cluster.kubectl("delete", "mcppolicy", "relay", "-n", "sales")
        await eventually(lambda: discovery(cluster) is None)
