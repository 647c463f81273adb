"""The gateway as a sidecar of an MCP server, as in the guide: with the rights and grants that its values give it.

There are no Pods: its container's own arguments are run as a process here, and its server is the one of the
cluster, on localhost as it would be.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from charts import CHART, container, one, render, values
from fenced_blocks import fenced_blocks
from mcp_clients import connect

from ostiary_tools.cluster.main import LocalCluster
from ostiary_tools.cluster.workloads import answers
from ostiary_tools.common import private
from ostiary_tools.common.ports import LOOPBACK, reserve_port
from ostiary_tools.common.processes import Process, wait_until

RELEASE = ("crm", str(CHART), "--namespace", "sales", "-f", values("sidecar"))
NAME = "crm-ostiary-crm-gateway"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with LocalCluster(tmp_path_factory.mktemp("cluster")) as running:
        running.control_plane.helm("install", *RELEASE, "--create-namespace")
        yield running


@pytest.fixture(scope="module")
def base_url(cluster: LocalCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of the gateway of the release, once it serves the proxy of the guide."""
    control_plane, port, admin = cluster.control_plane, reserve_port(), reserve_port()
    token = tmp_path_factory.mktemp("account") / "token"
    private.write(token, control_plane.service_account_token("sales", NAME))
    deployment = one(render("-f", values("sidecar"), release="crm", namespace="sales"), "Deployment", NAME)
    kept = [each for each in container(deployment)["args"] if each.startswith(("gateway", "--gateway", "--watch"))]
    command: list[str | Path] = [
        Path(sys.executable).with_name("ostiary"),
        *kept,
        f"--port={port}",
        f"--admin-port={admin}",
        f"--kubernetes-api={control_plane.url}",
        f"--kubernetes-token-file={token}",
        f"--kubernetes-ca-file={control_plane.ca_file}",
    ]
    process = Process("sidecar", command, log=token.with_name("log"))
    wait_until(lambda: answers(f"http://{LOOPBACK}:{admin}/readyz"), what="it to be ready", processes=[process])
    resources = fenced_blocks("docs/guides/sidecar.md", "yaml")[1]
    cluster.kubectl("apply", "-f", "-", input=resources.replace("http://localhost:7878/mcp", cluster.mock_url))
    base = f"http://{LOOPBACK}:{port}"
    wait_until(lambda: httpx2.get(f"{base}/sales/crm/mcp").status_code != 404, what="the proxy", processes=[process])
    yield base
    process.stop()


async def test_the_proxy_of_the_guide_leads_to_the_sidecar_server(base_url: str) -> None:
    async with connect(f"{base_url}/sales/crm/mcp", era="modern") as client:
        names = {tool.name for tool in (await client.list_tools()).tools}
        assert names
        assert all(name.startswith(("get_", "search_")) for name in names)
        assert not (await client.call_tool("get_users", {"limit": 1})).is_error


def test_the_shared_gateway_does_not_have_it(cluster: LocalCluster, base_url: str) -> None:
    assert httpx2.get(cluster.endpoint(path="/sales/crm")).status_code == 404


def test_the_url_on_the_page_is_the_url_in_the_status(cluster: LocalCluster, base_url: str) -> None:
    url = cluster.proxy("crm", namespace="sales")["status"]["url"]
    page = (CHART.parents[1] / "docs" / "guides" / "sidecar.md").read_text()
    assert f"Its endpoint is `{url}`" in page


def test_another_namespace_is_not_served_there(cluster: LocalCluster, base_url: str) -> None:
    obj = f"""
apiVersion: ostiary.dev/v1alpha1
kind: MCPProxy
metadata: {{name: thief, namespace: default}}
spec:
  gateways: [{{name: crm, namespace: sales}}]
  servers: [{{name: main, url: "{cluster.mock_url}"}}]
"""
    cluster.kubectl("apply", "-f", "-", input=obj)
    cluster.kubectl("wait", "mcpproxy", "thief", "--for", "condition=Accepted=False", "--timeout=20s")
    assert httpx2.get(f"{base_url}/default/thief/mcp").status_code == 404
