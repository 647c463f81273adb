"""A rolling restart of a server costs its callers nothing, and no operator runs meanwhile."""

import asyncio
import functools
import json
from collections.abc import AsyncIterator

import pytest
from mcp_caller import mcp_caller, modern
from mcp_clients import eventually
from pod_processes import PodProcesses, pod_processes
from rollout_load import RolloutLoad, rollout_load

from ostiary_tools.cluster.main import LocalCluster

NAMESPACE = "default"
REPLICAS, SESSIONS, STREAMS = 4, 50, 20
#: Longer than the news that a Pod ends takes on a busy machine: what a preStop hook is for.
PRE_STOP_SECONDS = 3.0


@pytest.fixture
async def pods(cluster: LocalCluster) -> AsyncIterator[PodProcesses]:
    async with pod_processes(cluster.control_plane, NAMESPACE) as pods:
        await pods.make_service()
        await asyncio.gather(*(pods.start(f"crm-{number}") for number in range(REPLICAS)))
        yield pods


async def serve(cluster: LocalCluster) -> None:
    """Apply a proxy of the Service, wait until replicas use its endpoints, and stop the operator for good."""
    server = {"name": "crm", "service": {"name": "crm", "port": 80, "path": "/mcp"}}
    proxy = {
        "apiVersion": "ostiary.dev/v1alpha1",
        "kind": "MCPProxy",
        "metadata": {"name": "crm", "namespace": NAMESPACE},
        "spec": {"path": "/crm", "servers": [server]},
    }
    await asyncio.to_thread(cluster.kubectl, "apply", "--server-side", "-f", "-", input=json.dumps(proxy))
    await asyncio.to_thread(cluster.wait_until_ready, "crm")
    for replica in cluster.replicas:
        await eventually(functools.partial(answers, cluster, replica))
    await asyncio.to_thread(cluster.stop_operator)


async def answers(cluster: LocalCluster, replica: int) -> bool:
    async with mcp_caller(cluster.endpoint(replica, path="/crm")) as caller:
        reply = await caller.post(modern("tools/call", {"name": "who", "arguments": {}}))
        return reply.status == 200 and "result" in reply.json


def endpoints(cluster: LocalCluster) -> list[str]:
    return [cluster.endpoint(replica, path="/crm") for replica in cluster.replicas]


async def roll(pods: PodProcesses, load: RolloutLoad) -> None:
    """Replace every Pod, as a Deployment with maxSurge 1 and maxUnavailable 0 does."""
    for name in list(pods.running):
        await pods.start(f"{name}-new")
        await eventually(functools.partial(load.has_answer_of, f"{name}-new"))
        await pods.stop(name, delay=PRE_STOP_SECONDS)


@pytest.mark.timeout(600)
async def test_a_rolling_restart_under_500_calls_a_second_with_sessions_and_streams_fails_none_and_needs_no_operator(
    cluster: LocalCluster, pods: PodProcesses
) -> None:
    await serve(cluster)
    async with rollout_load(endpoints(cluster), sessions=SESSIONS, streams=STREAMS, rate=500) as load:
        await eventually(lambda: load.calls > 500 and len(load.events) == STREAMS)
        await roll(pods, load)
        calls, events = load.calls, load.event_counts
        await eventually(lambda: load.calls > calls + 500)
        await eventually(lambda: all(now > before for now, before in zip(load.event_counts, events, strict=True)))
    assert (load.failed, load.failures) == (0, [])
    assert load.moved == set(range(SESSIONS)), "every session has outlived its Pod"
    assert {f"crm-{number}-new" for number in range(REPLICAS)} <= load.replicas.keys()
