"""EndpointsObserved with the chart's own rights: who tells a platform team that a gateway cannot see Pods."""

import asyncio
import functools
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from command_line import ostiary_command
from doctor_stack import DoctorStack
from mcp_clients import eventually
from pod_processes import PodProcesses, pod_processes

from ostiary_tools.cluster.main import LocalCluster
from ostiary_tools.common.processes import wait_until

NAMESPACE = "default"
RIGHT = "ostiary-gateway-ostiary-system-endpoints"


@pytest.fixture
async def pods(cluster: LocalCluster) -> AsyncIterator[PodProcesses]:
    async with pod_processes(cluster.control_plane, NAMESPACE) as pods:
        await pods.make_service()
        await asyncio.gather(*(pods.start(f"crm-{number}") for number in range(2)))
        yield pods


async def are_listed(pods: PodProcesses, count: int) -> bool:
    found = [endpoint for each in (await pods.endpoints()).values() for endpoint in each]
    return len(found) == count and all(endpoint["conditions"]["ready"] for endpoint in found)


def serve(cluster: LocalCluster) -> None:
    server = {"name": "crm", "service": {"name": "crm", "port": 80}}
    metadata = {"name": "crm", "namespace": NAMESPACE}
    proxy = {
        "apiVersion": "ostiary.dev/v1alpha1",
        "kind": "MCPProxy",
        "metadata": metadata,
        "spec": {"servers": [server]},
    }
    cluster.kubectl("apply", "--server-side", "-f", "-", input=json.dumps(proxy))
    cluster.wait_until_ready("crm")


def observed(cluster: LocalCluster) -> dict[str, Any]:
    conditions = cluster.proxy("crm")["status"].get("conditions", ())
    return next((each for each in conditions if each["type"] == "EndpointsObserved"), {})


def has(cluster: LocalCluster, status: str, reason: str) -> None:
    def is_there() -> bool:
        found = observed(cluster)
        return (found.get("status"), found.get("reason")) == (status, reason)

    wait_until(is_there, what=f"EndpointsObserved={status}, {reason}")


async def test_the_status_counts_pods_and_names_the_right_that_a_gateway_lacks(
    cluster: LocalCluster, pods: PodProcesses, capsys: pytest.CaptureFixture[str]
) -> None:
    stack = DoctorStack(cluster, ostiary_command(capsys))
    await eventually(functools.partial(are_listed, pods, 2))
    await asyncio.to_thread(serve, cluster)
    await asyncio.to_thread(has, cluster, "True", "EndpointsObserved")
    [server] = (await asyncio.to_thread(cluster.proxy, "crm"))["status"]["servers"]
    assert server["endpoints"] == "2 ready"

    await asyncio.to_thread(cluster.kubectl, "delete", "clusterrolebinding", RIGHT)
    await asyncio.to_thread(cluster.restart_gateway, 0)
    await asyncio.to_thread(has, cluster, "False", "NotPermitted")

    message = observed(cluster)["message"]
    assert message.startswith("server crm at gateway ostiary-system/default: ")
    assert f"namespace {NAMESPACE}" in message
    conditions = {each["type"]: each["status"] for each in cluster.proxy("crm")["status"]["conditions"]}
    assert conditions["Ready"] == "True", "where Pods are is not part of Ready"
    links = {link["name"]: link for link in (await asyncio.to_thread(stack.diagnose, "crm"))["links"]}
    assert links["Pods"]["state"] == "warning"
    assert "`list` and `watch` on `endpointslices`" in links["Pods"]["remedy"]
