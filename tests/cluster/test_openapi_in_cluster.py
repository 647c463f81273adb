"""From `kubectl apply` of an OpenAPI document to tools at every replica, on a real API server."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml
from fenced_blocks import ROOT
from mcp_clients import connect, eventually

from ostiary_tools.cluster.main import LocalCluster
from ostiary_tools.common.processes import wait_until

EXAMPLE = ROOT / "examples" / "openapi"
NAMES = {"listOrders", "createOrder", "getOrder", "getInvoice", "cancelOrder"}

#: The chart gives the operator no right to watch ConfigMaps: it reads them again once a minute.
RESYNC_SECONDS = 180


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with LocalCluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


def apply(cluster: LocalCluster, resource: Mapping[str, Any]) -> None:
    cluster.kubectl("apply", "--server-side", "-f", "-", input=json.dumps(resource))


def apply_document(cluster: LocalCluster, *, without: str = "", text: str = "") -> None:
    """Apply the ConfigMap of the example, without one path, or with another text."""
    resource = yaml.safe_load((EXAMPLE / "openapi.yaml").read_text())
    document = yaml.safe_load(resource["data"]["openapi.yaml"])
    document["paths"].pop(without, None)
    resource["metadata"]["namespace"] = "default"
    resource["data"]["openapi.yaml"] = text or yaml.safe_dump(document)
    apply(cluster, resource)


def apply_proxy(cluster: LocalCluster, *, description: str = "Orders") -> None:
    """Apply the MCPProxy of the example; another description has the operator read the document at once."""
    proxy = yaml.safe_load((EXAMPLE / "mcpproxy.yaml").read_text())
    proxy["metadata"]["namespace"] = "default"
    proxy["spec"]["description"] = description
    proxy["spec"]["servers"][0]["url"] = cluster.mock_url.replace("/mcp", "/v1")
    apply(cluster, proxy)


def resolved(cluster: LocalCluster) -> Mapping[str, Any]:
    found = json.loads(cluster.kubectl("get", "MCPProxy", "orders", "-n", "default", "-o", "json"))
    conditions: list[dict[str, Any]] = found.get("status", {}).get("conditions", [])
    return next((each for each in conditions if each["type"] == "ResolvedRefs"), {})


async def until_tools(cluster: LocalCluster, expected: set[str]) -> None:
    """Wait until every replica has exactly these tools."""
    for replica in cluster.replicas:

        async def shows(number: int = replica) -> bool:
            async with connect(cluster.endpoint(number, path="/orders"), era="modern") as client:
                return {tool.name for tool in (await client.list_tools()).tools} == expected

        await eventually(shows, seconds=RESYNC_SECONDS)


@pytest.mark.timeout(600)
async def test_a_document_becomes_tools_and_each_change_of_it_reaches_every_replica(cluster: LocalCluster) -> None:
    apply_document(cluster)
    apply_proxy(cluster)
    cluster.wait_until_ready("orders")
    await until_tools(cluster, NAMES)
    async with connect(cluster.endpoint(path="/orders"), era="legacy") as client:
        found = await client.call_tool("getOrder", {"id": 2})
    assert (found.structured_content or {})["customer"] == "Grace Hopper"

    apply_document(cluster, without="/orders/{id}/invoice")
    await until_tools(cluster, NAMES - {"getInvoice"})

    apply_document(cluster, text='swagger: "2.0"')
    apply_proxy(cluster, description="Orders, whose document is broken")
    wait_until(
        lambda: resolved(cluster).get("reason") == "RefInvalid",
        what="the fault of the document",
        timeout=RESYNC_SECONDS,
    )
    assert "is Swagger 2.0" in resolved(cluster)["message"]
    await until_tools(cluster, NAMES - {"getInvoice"})

    apply_document(cluster)
    apply_proxy(cluster, description="Orders, whose document is whole again")
    await until_tools(cluster, NAMES)
