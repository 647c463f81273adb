"""The class behind `make cluster`, as tests use it."""

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from mcp_clients import connect
from timeouts import TIMEOUT_SECONDS

from ostiary_tools.cluster.main import LocalCluster
from ostiary_tools.cluster.stack import CHART, EXAMPLE
from ostiary_tools.common.errors import ToolError
from ostiary_tools.common.processes import wait_until


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    env = {"gateway-1": {"POD_NAME": "the-second"}}
    with LocalCluster(tmp_path_factory.mktemp("cluster"), env=env) as running:
        running.apply(EXAMPLE)
        running.wait_until_ready()
        yield running


async def tool_count(cluster: LocalCluster, replica: int) -> int:
    async with connect(cluster.endpoint(replica), era="legacy") as client:
        return len((await client.list_tools()).tools)


def report(cluster: LocalCluster, replica: int) -> Any:
    """What a replica says on its admin port."""
    headers = {"Authorization": f"Bearer {cluster.admin_token()}"}
    request = urllib.request.Request(f"{cluster.gateway_admin_urls[replica]}/config", headers=headers)  # noqa: S310  our own
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310  our own
        return json.load(answer)


async def test_each_replica_serves_the_example(cluster: LocalCluster) -> None:
    assert [await tool_count(cluster, replica) for replica in cluster.replicas] == [15, 15]


def test_the_operator_needs_no_right_that_the_chart_does_not_give(cluster: LocalCluster) -> None:
    for name in ("operator", "gateway-0", "gateway-1"):
        assert "forbidden" not in cluster.log(name).read_text().lower()


async def test_a_replica_comes_back_and_the_other_one_never_left(cluster: LocalCluster) -> None:
    pid = cluster.processes["gateway-0"].pid
    assert cluster.stop_gateway(0) == 0
    assert await tool_count(cluster, 1) == 15
    cluster.start_gateway(0)
    assert cluster.processes["gateway-0"].pid != pid
    assert await tool_count(cluster, 0) == 15


async def test_traffic_continues_without_the_operator(cluster: LocalCluster) -> None:
    assert cluster.stop_operator() == 0
    cluster.restart_gateway(1)
    assert await tool_count(cluster, 1) == 15
    cluster.start_operator()


def test_a_process_gets_the_environment_that_is_its_own(cluster: LocalCluster) -> None:
    assert report(cluster, 1)["replica"] == "the-second"
    assert report(cluster, 0)["replica"] != "the-second"


def test_other_settings_reach_every_replica(cluster: LocalCluster) -> None:
    before = [report(cluster, replica)["revision"] for replica in cluster.replicas]
    cluster.configure({"gatewayDefaults": {"settings": {"allowedOrigins": ["https://app.example.com"]}}})
    for replica in cluster.replicas:
        wait_until(lambda r=replica: report(cluster, r)["revision"] > before[r], what="a newer revision")  # type: ignore[misc]
    values = yaml.safe_load((cluster.control_plane.directory / "values.yaml").read_text())
    assert values["gatewayDefaults"]["settings"]["grants"], "loopback is still granted"


@pytest.mark.parametrize("namespace", ["ostiary-system", "sales"])
def test_a_further_gateway_is_given_a_config_by_the_operator_that_is_there(
    cluster: LocalCluster, namespace: str
) -> None:
    release = ("edge", "--namespace", namespace)
    chosen = "operator.enabled=false,crds.install=false,rbac.aggregate=false,gateways[0].name=edge"
    there = ("--create-namespace", "--set", f"{chosen},operator.namespace=ostiary-system")
    cluster.control_plane.helm("install", *release, str(CHART), *there)
    config = f"/api/v1/namespaces/{namespace}/configmaps/ostiary-edge-0"
    wait_until(lambda: cluster.control_plane.api.answers(config), what="its config")
    cluster.control_plane.helm("uninstall", *release)
    wait_until(lambda: not cluster.control_plane.api.answers(config), what="its config to go with it")


def test_an_unready_object_is_reported_with_its_status(cluster: LocalCluster) -> None:
    proxy = {
        "apiVersion": "ostiary.dev/v1alpha1",
        "kind": "MCPProxy",
        "metadata": {"name": "twin", "namespace": "default"},
        "spec": {"path": "/mock-mcp-server", "servers": [{"name": "main", "url": cluster.mock_url}]},
    }
    cluster.kubectl("apply", "-f", "-", input=yaml.safe_dump(proxy))
    with pytest.raises(ToolError, match="PathConflict"):
        cluster.wait_until_ready("twin", timeout=3)
