import asyncio
import logging
from dataclasses import replace
from typing import Any

import pytest
from operator_objects import SYSTEM, delivered, policy, populated, proxy, service
from prometheus_client import generate_latest

from ostiary_operator.clock import ManualClock
from ostiary_operator.controller.app import Components, assemble
from ostiary_operator.controller.namespace_ownership import CHECK_EVERY, LASTS, RENEW
from ostiary_operator.controller.queue import PassRequest, PassResult
from ostiary_operator.kube.errors import Forbidden
from ostiary_operator.kube.fake import FakeClient, add_namespaces
from ostiary_operator.kube.kinds import LEASE, PROXY, SERVICE
from ostiary_operator.kube.options import OperatorOptions

OTHER = "other-system"
OPTIONS = OperatorOptions(operator_namespace=SYSTEM)


def populated_twice(*objects: dict[str, Any], clock: ManualClock) -> FakeClient:
    cluster = populated(*objects, time=clock.time)
    add_namespaces(cluster, [OTHER])
    cluster.put(SERVICE, service(namespace=OTHER))
    return cluster


def operator(
    cluster: FakeClient, clock: ManualClock, *, system: str = SYSTEM, name: str = "ostiary-operator"
) -> Components:
    return assemble(
        cluster, replace(OPTIONS, operator_namespace=system, watch_namespaces=("tools",), name=name), clock, claim=True
    )


async def run_pass(parts: Components) -> PassResult:
    return await parts.queue._work(PassRequest(frozenset({"test"})))


def claim(cluster: FakeClient, namespace: str) -> dict[str, Any]:
    found = cluster.peek(LEASE, name="ostiary-claim", namespace=namespace)
    assert found is not None
    return found


def served(cluster: FakeClient, system: str) -> set[str]:
    return {each.proxy for each in delivered(cluster, namespace=system).manifest.entries}


def conditions(cluster: FakeClient) -> Any:
    return (cluster.peek(PROXY, name="crm", namespace="tools") or {}).get("status")


async def test_the_first_operator_serves_a_namespace_and_the_second_refuses_it_with_an_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = ManualClock()
    cluster = populated_twice(proxy("crm"), policy("p", "crm"), clock=clock)
    first, second = operator(cluster, clock), operator(cluster, clock, system=OTHER)
    await run_pass(first)
    before = conditions(cluster)
    with caplog.at_level(logging.ERROR):
        await run_pass(second)
        await run_pass(second)
    assert served(cluster, SYSTEM) == {"tools/crm"}
    assert served(cluster, OTHER) == set()
    assert conditions(cluster) == before
    (line,) = caplog.messages
    assert f"{SYSTEM}/ostiary-operator" in line
    assert "kubectl -n tools delete lease ostiary-claim" in line
    assert b"ostiary_operator_namespaces_refused 1.0" in exposed(second)


def exposed(parts: Components) -> bytes:
    return generate_latest(parts.admin.metrics.registry)


async def test_two_releases_in_one_namespace_are_one_too_many() -> None:
    clock = ManualClock()
    cluster = populated(proxy("crm"), time=clock.time)
    await run_pass(operator(cluster, clock))
    writes = list(cluster.writes)
    with pytest.raises(Exception, match=f"namespace {SYSTEM} is served by another operator"):
        await run_pass(operator(cluster, clock, name="another-operator"))
    assert [each for each in cluster.writes if each not in writes] == []


async def test_a_restart_continues_with_its_own_claim() -> None:
    clock = ManualClock()
    cluster = populated(proxy("crm"), time=clock.time)
    await run_pass(operator(cluster, clock))
    again = operator(cluster, clock)
    await run_pass(again)
    assert again.ownership is not None
    assert again.ownership.refused == {}


async def test_a_claim_lasts_as_long_as_it_is_renewed() -> None:
    clock = ManualClock()
    cluster = populated_twice(proxy("crm"), clock=clock)
    first, second = operator(cluster, clock), operator(cluster, clock, system=OTHER)
    for _ in range(10):
        await run_pass(first)
        await run_pass(second)
        await clock.advance(RENEW + 1)
    assert served(cluster, OTHER) == set()
    await clock.advance(LASTS)
    await run_pass(second)  # the first is gone for long
    assert served(cluster, OTHER) == {"tools/crm"}
    await run_pass(first)
    assert first.ownership is not None
    assert first.ownership.refused == {"tools": f"{OTHER}/ostiary-operator"}


async def test_between_renewals_a_claim_costs_no_request() -> None:
    clock = ManualClock()
    cluster = populated(proxy("crm"), time=clock.time)
    parts = operator(cluster, clock)
    await run_pass(parts)
    writes = len(cluster.writes)
    cluster.fail("get", LEASE, Forbidden("asked"), times=1)
    await run_pass(parts)
    assert len(cluster.writes) == writes
    assert parts.ownership is not None
    assert not parts.ownership.refused


async def test_a_claim_is_deleted_with_the_last_object_that_it_is_for() -> None:
    clock = ManualClock()
    cluster = populated(proxy("crm"), proxy("wiki"), time=clock.time)
    parts = operator(cluster, clock)
    await run_pass(parts)
    (owner,) = claim(cluster, "tools")["metadata"]["ownerReferences"]
    assert owner["name"] == "crm"
    assert "blockOwnerDeletion" not in owner
    cluster.remove(PROXY, name="crm", namespace="tools")
    await run_pass(parts)
    (owner,) = claim(cluster, "tools")["metadata"]["ownerReferences"]
    assert owner["name"] == "wiki"


async def test_a_namespace_whose_claim_cannot_be_written_is_served_all_the_same(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = ManualClock()
    cluster = populated(proxy("crm"), time=clock.time)
    cluster.fail("apply", LEASE, Forbidden("it is being terminated"), times=1000)
    await run_pass(operator(cluster, clock))
    assert served(cluster, SYSTEM) == {"tools/crm"}
    assert "served without a claim" in caplog.text


@pytest.mark.parametrize("renewed", ["2999-01-01T00:00:00.000000Z", "never", None])
async def test_a_claim_with_an_invalid_time_belongs_to_no_operator(renewed: str | None) -> None:
    clock = ManualClock()
    cluster = populated(proxy("crm"), time=clock.time)
    spec = {"holderIdentity": "evil", "renewTime": renewed, "leaseDurationSeconds": 10**9}
    cluster.put(LEASE, {"metadata": {"name": "ostiary-claim", "namespace": "tools"}, "spec": spec})
    await run_pass(operator(cluster, clock))
    assert served(cluster, SYSTEM) == {"tools/crm"}


async def test_a_check_of_the_claims_is_requested_when_one_is_due() -> None:
    clock = ManualClock()
    cluster = populated(proxy("crm"), time=clock.time)
    parts, asked = operator(cluster, clock), []
    await run_pass(parts)
    assert parts.ownership is not None
    task = asyncio.ensure_future(parts.ownership.run(lambda: asked.append(clock.monotonic())))
    await clock.advance(RENEW + CHECK_EVERY)
    task.cancel()
    assert asked
    assert asked[0] >= RENEW
