import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import ClientSession
from operator_objects import SYSTEM, StubReplica, delivered, listening_replica, populated, proxy, until
from waiting import for_ever

from ostiary_operator.clock import ManualClock, SystemClock
from ostiary_operator.controller.admin import AdminError
from ostiary_operator.controller.app import Components, assemble
from ostiary_operator.controller.queue import PassRequest, PassResult
from ostiary_operator.kube.errors import Unreachable
from ostiary_operator.kube.fake import FakeClient
from ostiary_operator.kube.kinds import PROXY
from ostiary_operator.kube.options import OperatorOptions


@asynccontextmanager
async def serving(
    cluster: FakeClient, *, clock: ManualClock | SystemClock, replica: str = ""
) -> AsyncIterator[Components]:
    replicas = {f"{SYSTEM}/default": (replica,)} if replica else {}
    options = OperatorOptions(
        operator_namespace=SYSTEM, admin_host="127.0.0.1", admin_port=0, gateway_replicas=replicas
    )
    parts = assemble(cluster, options, clock)
    await parts.admin.start()
    tasks = [asyncio.create_task(each) for each in (parts.queue.run(), parts.poller.run(), parts.events.run())]
    try:
        yield parts
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await parts.admin.stop()


async def get(parts: Components, path: str) -> tuple[int, str]:
    async with ClientSession() as session, session.get(f"http://127.0.0.1:{parts.admin.port}{path}") as response:
        return response.status, await response.text()


async def test_it_is_ready_once_a_pass_succeeded_and_not_before() -> None:
    cluster = populated(proxy("crm"))
    cluster.fail("list", PROXY, Unreachable("away"), times=1000)
    async with serving(cluster, clock=SystemClock()) as parts:
        parts.queue.enqueue("start")
        await until(lambda: parts.queue.observed.last_failure)
        assert (await get(parts, "/readyz"))[0] == 503
        assert (await get(parts, "/healthz"))[0] == 200
        cluster.failures.clear()
        await until(parts.queue.first_success.is_set)
        assert await get(parts, "/readyz") == (200, "ok\n")


async def hanging(_: PassRequest) -> PassResult:
    await for_ever()
    return PassResult()


async def test_a_worker_that_gives_no_sign_of_life_is_dead() -> None:
    clock = ManualClock()
    async with serving(populated(), clock=clock) as parts:
        parts.queue._work = hanging
        parts.queue.enqueue("start")
        await clock.advance(1)
        assert (await get(parts, "/healthz"))[0] == 200
        await clock.advance(301)
        assert (await get(parts, "/healthz"))[0] == 503


async def test_metrics_count_passes_resources_replicas_and_writes() -> None:
    cluster = populated(proxy("crm"))
    async with (
        listening_replica(StubReplica()) as replica,
        serving(cluster, clock=SystemClock(), replica=replica.url) as parts,
    ):
        parts.queue.enqueue("start")
        await until(parts.queue.first_success.is_set)
        replica.runs(delivered(cluster))
        await until(lambda: parts.publisher.readiness.get(("MCPProxy", "True")))
        _, text = await get(parts, "/metrics")
    for line in (
        'ostiary_operator_passes_total{outcome="succeeded"} 1.0',
        'ostiary_operator_pokes_total{reason="start"} 1.0',
        'ostiary_operator_resources{kind="MCPProxy",ready="True"} 1.0',
        'ostiary_operator_gateway_replicas{gateway="ostiary-system/default",state="ready"} 1.0',
        'ostiary_operator_gateway_replicas{gateway="ostiary-system/default",state="current"} 1.0',
        'ostiary_operator_writes_total{kind="ConfigMap",outcome="written"} 1.0',
        'ostiary_operator_stage_duration_seconds_count{stage="compile"} 1.0',
    ):
        assert line in text, line
    assert "ostiary_operator_last_success_timestamp_seconds" in text


async def test_a_port_in_use_is_reported() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        options = OperatorOptions(operator_namespace=SYSTEM, admin_host="127.0.0.1", admin_port=taken.getsockname()[1])
        parts = assemble(populated(), options, SystemClock())
        with pytest.raises(AdminError, match="choose another --admin-address"):
            await parts.admin.start()
