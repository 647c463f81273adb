"""A rolling restart of a server costs its callers nothing, and no operator runs meanwhile."""

import asyncio
import functools
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from mcp_caller import LEGACY, legacy, mcp_caller, modern
from mcp_clients import eventually
from pod_processes import KEEP_ALIVE_SECONDS, PodProcesses, pod_processes
from rollout_load import RolloutLoad, rollout_load

from ostiary_tools.cluster.main import LocalCluster

NAMESPACE = "default"
HELLO = {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
CALL = legacy("tools/call", {"name": "who", "arguments": {}})
SESSIONS, STREAMS = 50, 20
#: Longer than the news that a Pod ends takes on a busy machine: what a preStop hook is for.
PRE_STOP_SECONDS = 3.0


@asynccontextmanager
async def replicas_of(
    cluster: LocalCluster, service: str, count: int, *, keep_alive: int = KEEP_ALIVE_SECONDS
) -> AsyncIterator[PodProcesses]:
    """Run the Pods of a Service, let the gateways serve them, and stop the operator for good."""
    async with pod_processes(cluster.control_plane, NAMESPACE, service=service, keep_alive=keep_alive) as pods:
        await pods.make_service()
        await asyncio.gather(*(pods.start(f"{service}-{number}") for number in range(count)))
        if "operator" not in cluster.processes:
            await asyncio.to_thread(cluster.start_operator)
        await serve(cluster, service)
        await asyncio.to_thread(cluster.stop_operator)
        yield pods


async def serve(cluster: LocalCluster, service: str) -> None:
    """Apply a proxy of the Service, and wait until both gateways reach it."""
    # Nothing is said of retries: no call that a Pod may have carried out is sent to another one.
    server = {"name": "crm", "service": {"name": service, "port": 80, "path": "/mcp"}}
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
    cluster: LocalCluster,
) -> None:
    async with (
        replicas_of(cluster, "crm", 4) as pods,
        rollout_load(endpoints(cluster), sessions=SESSIONS, streams=STREAMS, rate=500) as load,
    ):
        await eventually(lambda: load.calls > 500 and len(load.events) == STREAMS)
        await roll(pods, load)
        await goes_on(load)
    assert (load.failed, load.failures) == ({}, [])
    assert load.moved == set(range(SESSIONS)), "every session has outlived its Pod"
    assert {f"crm-{number}-new" for number in range(4)} <= load.replicas.keys()


async def goes_on(load: RolloutLoad) -> None:
    """Wait until every stream has brought something new, and some hundred calls were answered."""
    calls, events = load.calls, load.event_counts
    await eventually(lambda: load.calls > calls + 500)
    await eventually(lambda: all(now > before for now, before in zip(load.event_counts, events, strict=True)))


@pytest.mark.timeout(600)
async def test_killing_four_of_eight_replicas_costs_only_what_was_in_flight_there(cluster: LocalCluster) -> None:
    async with (
        replicas_of(cluster, "wiki", 8) as pods,
        rollout_load(endpoints(cluster), sessions=SESSIONS, streams=STREAMS, rate=500) as load,
    ):
        await eventually(lambda: load.calls > 500 and len(load.events) == STREAMS)
        killed = [f"wiki-{number}" for number in range(4)]
        before = dict(load.failed)
        await pods.kill(*killed)
        # Kubernetes does not hear of it: the slices go on to list all eight.
        await goes_on(load)
        lost, answered = dict(load.failed), {name: load.replicas.get(name, 0) for name in killed}
        await goes_on(load)
        assert len(await pods.endpoints()) == 8
    assert before == {}
    assert load.failed == lost, "a caller that lost a call in flight loses no second one"
    assert set(lost.values()) <= {1}, load.failures
    assert {name: load.replicas.get(name, 0) for name in killed} == answered
    assert all("UpstreamReset" in each for each in load.failures), load.failures


@pytest.mark.timeout(600)
async def test_replicas_that_hang_are_left_alone_once_kubernetes_calls_them_not_ready(cluster: LocalCluster) -> None:
    async with (
        # One that wakes up closes each connection that is overdue by then, with the call that came meanwhile.
        replicas_of(cluster, "docs", 4, keep_alive=600) as pods,
        rollout_load(endpoints(cluster), sessions=SESSIONS, streams=STREAMS, rate=200) as load,
    ):
        await eventually(lambda: load.calls > 500 and len(load.events) == STREAMS)
        hung = ["docs-0", "docs-1"]
        pods.signal(signal.SIGSTOP, *hung)
        try:
            calls = load.calls
            await eventually(lambda: load.calls > calls + 500)
            for name in hung:
                await pods.set_ready(name, is_ready=False)
            calls = load.calls
            await eventually(lambda: load.calls > calls + 500)
        finally:
            pods.signal(signal.SIGCONT, *hung)
        for name in hung:
            await pods.set_ready(name, is_ready=True)
        answered = {name: load.replicas.get(name, 0) for name in hung}
        await eventually(lambda: all(load.replicas.get(name, 0) > answered[name] for name in hung))
    assert (load.failed, load.failures) == ({}, [])


@pytest.mark.timeout(600)
async def test_a_gateway_that_starts_in_the_middle_of_a_rollout_goes_on_with_the_sessions_of_another_one(
    cluster: LocalCluster,
) -> None:
    async with (
        replicas_of(cluster, "notes", 2) as pods,
        rollout_load(endpoints(cluster)[:1], sessions=10, streams=4, rate=50) as load,
        mcp_caller(endpoints(cluster)[0]) as caller,
    ):
        reply = await caller.post(legacy("initialize", HELLO))
        caller.session = reply.headers["Mcp-Session-Id"]
        await eventually(lambda: load.calls > 50 and len(load.events) == 4)
        rolling = asyncio.create_task(roll(pods, load))
        await eventually(functools.partial(load.has_answer_of, "notes-0-new"))
        await asyncio.to_thread(cluster.restart_gateway, 1)
        caller.url = endpoints(cluster)[1]
        while not rolling.done():
            assert (await caller.post(CALL)).status == 200
        await rolling
        assert (await caller.post(CALL)).result["content"][0]["text"].endswith("-new")
        await goes_on(load)
    assert (load.failed, load.failures) == ({}, [])
