import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from operator_objects import SYSTEM, until

from ostiary_operator.clock import ManualClock, settle
from ostiary_operator.controller.leader_election import LeaderElector, LeadershipLost, LeaseTimings
from ostiary_operator.kube.client_wrappers import FencedClient
from ostiary_operator.kube.errors import Fenced, Unreachable
from ostiary_operator.kube.fake import FakeClient
from ostiary_operator.kube.kinds import CONFIG_MAP, LEASE, PROXY, Kind

TIMES = LeaseTimings()


def candidate(cluster: FakeClient, clock: ManualClock, identity: str) -> LeaderElector:
    return LeaderElector(cluster, clock, namespace=SYSTEM, name="ostiary-operator", identity=identity)


def lease(cluster: FakeClient) -> dict[str, Any]:
    found = cluster.peek(LEASE, name="ostiary-operator", namespace=SYSTEM)
    assert found is not None
    return dict(found["spec"])


@asynccontextmanager
async def running(*work: Any) -> AsyncIterator[list[asyncio.Task[Any]]]:
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        await settle()
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


@pytest.fixture
def cluster() -> FakeClient:
    return FakeClient()


async def test_of_two_that_begin_at_once_one_leads(cluster: FakeClient) -> None:
    clock = ManualClock()
    one, two = candidate(cluster, clock, "one"), candidate(cluster, clock, "two")
    async with running(one.win(), two.win()):
        await clock.advance(TIMES.retry)
        assert [one.leads(), two.leads()].count(True) == 1
        assert one.leader == two.leader == lease(cluster)["holderIdentity"]


async def test_a_released_lease_is_taken_over_at_once(cluster: FakeClient) -> None:
    clock = ManualClock()
    one, two = candidate(cluster, clock, "one"), candidate(cluster, clock, "two")
    await one.win()
    async with running(two.win()):
        await one.release()
        assert not one.leads()
        await clock.advance(TIMES.retry)
        assert two.leads()
    assert lease(cluster)["leaseTransitions"] == 2


async def test_a_silent_leader_is_replaced_after_its_lease_expired(cluster: FakeClient) -> None:
    clock = ManualClock()
    one, two = candidate(cluster, clock, "one"), candidate(cluster, clock, "two")
    await one.win()
    async with running(two.win()):
        await clock.advance(TIMES.lease - 0.1)
        assert not two.leads()
        assert not one.leads()  # it stopped before
        await clock.advance(TIMES.retry + 0.1)
        assert two.leads()


@pytest.mark.parametrize("skew", [-86_400.0, 86_400.0])
async def test_clocks_that_disagree_change_nothing(cluster: FakeClient, skew: float) -> None:
    clock, other = ManualClock(), ManualClock(epoch=1_800_000_000.0 + skew)
    one, two = candidate(cluster, clock, "one"), candidate(cluster, other, "two")
    await one.win()
    async with running(one.keep(lambda: None), two.win()):
        for _ in range(20):
            await clock.advance(1)
            await other.advance(1)
            assert (one.leads(), two.leads()) == (True, False)


async def test_a_replaced_leader_ends(cluster: FakeClient) -> None:
    clock, late = ManualClock(), ManualClock()
    one, two = candidate(cluster, late, "one"), candidate(cluster, clock, "two")
    await one.win()
    async with running(two.win()) as (winning,):
        await clock.advance(TIMES.lease + TIMES.retry)
        await winning
    async with running(one.keep(lambda: None)) as (keeping,):
        await late.advance(TIMES.lease + TIMES.retry)
        with pytest.raises(LeadershipLost, match="two leads now"):
            await keeping
    assert not one.leads()


async def test_while_the_api_server_is_unreachable_no_replica_writes_and_none_ends(cluster: FakeClient) -> None:
    clock, notified = ManualClock(), []
    one = candidate(cluster, clock, "one")
    await one.win()
    async with running(one.keep(lambda: notified.append("regained"))) as (keeping,):
        cluster.fail("get", LEASE, Unreachable("away"), times=1000)
        await clock.advance(60)
        assert not one.leads()
        assert not keeping.done()
        cluster.failures.clear()
        await clock.advance(TIMES.retry)
        assert one.leads()
        assert notified == ["regained"]


async def test_a_deleted_lease_is_not_free_before_it_would_have_expired(cluster: FakeClient) -> None:
    clock = ManualClock()
    one, two = candidate(cluster, clock, "one"), candidate(cluster, clock, "two")
    await one.win()
    async with running(two.win(), one.keep(lambda: None)):
        await clock.advance(0.5)
        cluster.remove(LEASE, name="ostiary-operator", namespace=SYSTEM)
        await clock.advance(30)
        assert (one.leads(), two.leads()) == (True, False)


async def test_a_lease_that_its_leader_recreates_at_that_moment_stays_with_the_leader(cluster: FakeClient) -> None:
    clock, late = ManualClock(), ManualClock()
    one, two = candidate(cluster, clock, "one"), candidate(cluster, late, "two")
    await one.win()
    assert not await two._attempt()
    await late.advance(TIMES.lease)  # for so long it saw nothing of the other
    cluster.remove(LEASE, name="ostiary-operator", namespace=SYSTEM)

    def between(verb: str, kind: Kind, name: str) -> None:
        if (verb, kind) == ("apply", LEASE) and two.leader == "one":
            cluster.failures.remove(between)
            metadata = {"name": "ostiary-operator", "namespace": SYSTEM}
            spec = {"holderIdentity": "one", "leaseDurationSeconds": TIMES.lease}
            cluster.put(LEASE, {"metadata": metadata, "spec": spec})

    cluster.failures.append(between)
    assert not await two._attempt()
    assert lease(cluster)["holderIdentity"] == "one"


@pytest.mark.parametrize("junk", [{}, {"holderIdentity": "x", "leaseDurationSeconds": 10**9}, {"renewTime": "soon"}])
async def test_a_lease_that_was_written_by_hand_delays_an_election_only_briefly(cluster: FakeClient, junk: Any) -> None:
    cluster.put(LEASE, {"metadata": {"name": "ostiary-operator", "namespace": SYSTEM}, "spec": junk})
    clock = ManualClock()
    one = candidate(cluster, clock, "one")
    async with running(one.win()) as (winning,):
        await clock.advance(TIMES.lease + TIMES.retry)
        await winning
    assert lease(cluster)["holderIdentity"] == "one"


async def test_a_replica_that_does_not_lead_reads_and_writes_nothing(cluster: FakeClient) -> None:
    may = [True]
    fenced = FencedClient(cluster, lambda: may[0])
    body = {"metadata": {"name": "x", "namespace": SYSTEM}, "data": {"a": "b"}}
    await fenced.apply(CONFIG_MAP, body, manager="m")
    may[0] = False
    assert len(await fenced.list(CONFIG_MAP)) == 1
    for write in (
        fenced.apply(CONFIG_MAP, body, manager="m"),
        fenced.apply_status(PROXY, {**body, "status": {}}, manager="m"),
        fenced.create(CONFIG_MAP, body),
        fenced.patch(CONFIG_MAP, {}, name="x", namespace=SYSTEM),
    ):
        with pytest.raises(Fenced, match="another replica may lead"):
            await write
    assert cluster.writes == [("apply", "configmaps", "x")]


async def test_a_lease_that_cannot_be_released_does_not_prevent_the_end(cluster: FakeClient) -> None:
    one = candidate(cluster, ManualClock(), "one")
    await one.win()
    cluster.fail("apply", LEASE, Unreachable("away"), times=1000)
    await one.release()
    await until(lambda: not one.leads())
