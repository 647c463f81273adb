"""The operator and gateways of two workers each, on a real API server: what is in force is in force at all of them."""

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp_clients import connect, eventually

from ostiary_tools.cluster.main import LocalCluster
from ostiary_tools.cluster.stack import EXAMPLE
from ostiary_tools.common.processes import wait_until

PROXY = "mock-mcp-server"
POLICY = "/apis/ostiary.dev/v1alpha1/namespaces/default/mcppolicies/only"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with LocalCluster(tmp_path_factory.mktemp("cluster"), env={"gateway": {"WORKERS": "2"}}) as running:
        running.apply(EXAMPLE)
        running.wait_until_ready()
        yield running


def only(*names: str) -> str:
    return json.dumps(
        {
            "apiVersion": "ostiary.dev/v1alpha1",
            "kind": "MCPPolicy",
            "metadata": {"name": "only", "namespace": "default"},
            "spec": {
                "targetRefs": [{"kind": "MCPProxy", "name": PROXY}],
                "access": {"rules": [{"name": "only", "effect": "Allow", "tools": {"names": list(names)}}]},
            },
        }
    )


def workers(cluster: LocalCluster, number: int) -> list[int]:
    """The processes of the workers of a replica."""
    supervisor = cluster.processes[f"gateway-{number}"].pid
    return [int(pid) for pid in Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()]


def programmed(cluster: LocalCluster) -> tuple[str, str, str]:
    """What the policy's condition says of its newest generation."""
    policy: dict[str, Any] = cluster.control_plane.api.request("GET", POLICY)
    generation = policy["metadata"]["generation"]
    for each in policy.get("status", {}).get("conditions", ()):
        if each["type"] == "Programmed" and each.get("observedGeneration") == generation:
            return each["status"], each["reason"], each["message"]
    return "", "", ""


async def tools(cluster: LocalCluster, replica: int) -> set[str]:
    """What one connection, at either of the workers, is shown."""
    async with connect(cluster.endpoint(replica), era="modern") as client:
        return {tool.name for tool in (await client.list_tools()).tools}


async def test_a_policy_is_programmed_once_every_worker_enforces_it_and_one_that_hangs_is_named(
    cluster: LocalCluster,
) -> None:
    assert [len(workers(cluster, number)) for number in cluster.replicas] == [2, 2]
    cluster.kubectl("apply", "--server-side", "-f", "-", input=only("get_users"))
    await asyncio.to_thread(wait_until, lambda: programmed(cluster)[0] == "True", what="Programmed", timeout=60)
    for replica in cluster.replicas:
        assert [await tools(cluster, replica) for _ in range(6)] == [{"get_users"}] * 6  # the kernel spreads them

    hung = workers(cluster, 1)[1]
    os.kill(hung, signal.SIGSTOP)  # its supervisor ends it within half a minute
    cluster.kubectl("apply", "--server-side", "-f", "-", input=only("echo"))

    def is_named() -> bool:
        status, reason, message = programmed(cluster)
        assert status != "True" or hung not in workers(cluster, 1), "one worker has not taken it"
        return (status, reason) == ("Unknown", "Pending") and message.endswith("its worker 1 does not answer")

    await asyncio.to_thread(wait_until, is_named, what="the worker to be named", timeout=60)
    assert cluster.gateway_admin_urls[1] in programmed(cluster)[2]
    await eventually(lambda: enforced(cluster, 0))
    await asyncio.to_thread(wait_until, lambda: programmed(cluster)[0] == "True", what="Programmed", timeout=120)
    assert hung not in workers(cluster, 1)
    assert [await tools(cluster, 1) for _ in range(6)] == [{"echo"}] * 6


async def enforced(cluster: LocalCluster, replica: int) -> bool:
    return await tools(cluster, replica) == {"echo"}
