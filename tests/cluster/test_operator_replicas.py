"""Two replicas of one operator, and two operators where one was meant, with the rights of the chart."""

import asyncio
import logging
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from operator_environment import OperatorEnvironment, eventually, running_operator
from operator_objects import until
from operator_replicas import OperatorProcess, operator_process

from ostiary_operator.controller.app import OperatorStartupError, run_operator
from ostiary_operator.kube.kinds import LEASE, PROXY

#: Seconds within which another replica must work after a kill.
HAND_OVER = 15.0
#: A lease that is not renewed expires after this time: what happens earlier was handed over, not waited for.
LEASE_SECONDS = 8.0


@asynccontextmanager
async def leader_and_standby(world: OperatorEnvironment) -> AsyncIterator[tuple[OperatorProcess, OperatorProcess]]:
    async with operator_process(world, "one", "--leader-elect") as one:
        await until(one.leads)
        async with operator_process(world, "two", "--leader-elect") as two:
            await until(two.stands_by)
            yield one, two


async def takes_over(world: OperatorEnvironment, standby: OperatorProcess, *, within: float) -> None:
    began = time.monotonic()
    world.has_proxy("meanwhile")
    await eventually(lambda: "meanwhile" in (world.served() or ()))
    assert time.monotonic() - began < within
    await until(standby.leads)  # the config is there before its own pass has ended


def lease(world: OperatorEnvironment) -> dict[str, Any]:
    found: dict[str, Any] = world.api.request("GET", LEASE.path(namespace=world.system, name=world.operator_name))
    return found["spec"]  # type: ignore[no-any-return]


async def test_a_leader_that_is_killed_is_followed_within_fifteen_seconds(world: OperatorEnvironment) -> None:
    async with leader_and_standby(world) as (one, two):
        one.signal(signal.SIGKILL)
        await takes_over(world, two, within=HAND_OVER)
        assert lease(world)["holderIdentity"].startswith("two_")


async def test_a_leader_that_receives_sigterm_hands_over_at_once(world: OperatorEnvironment) -> None:
    async with leader_and_standby(world) as (one, two):
        one.signal(signal.SIGTERM)
        assert await one.ended() == 0
        await takes_over(world, two, within=LEASE_SECONDS)


async def test_a_leader_that_hung_writes_nothing_when_it_wakes_up_and_ends(world: OperatorEnvironment) -> None:
    async with leader_and_standby(world) as (one, two):
        one.signal(signal.SIGSTOP)
        await takes_over(world, two, within=HAND_OVER)
        before = world.versions()
        one.signal(signal.SIGCONT)
        assert await one.ended() == 1
        assert "leads now" in one.log
        assert world.versions() == before


async def test_a_foreign_release_in_the_same_namespace_refuses_to_start_and_changes_nothing(
    world: OperatorEnvironment,
) -> None:
    async with running_operator(world.options()):
        world.has_proxy("crm")
        await eventually(lambda: world.condition(PROXY, "crm", "Accepted") == ("True", "Accepted"))
        before = world.versions()
        with pytest.raises(OperatorStartupError, match=f"namespace {world.system} is served by another operator"):
            await run_operator(world.options(name="another", startup_timeout=2.0), asyncio.Event())
        assert world.versions() == before


@pytest.mark.parametrize("wide", [False, True])
async def test_a_foreign_release_elsewhere_serves_nothing_of_a_namespace_that_is_served(
    unrestricted: OperatorEnvironment, new_namespace: Callable[..., str], caplog: pytest.LogCaptureFixture, wide: bool
) -> None:
    world = unrestricted
    other = OperatorEnvironment(world.api, world.kubeconfig, system=new_namespace(), team=world.team, wide=wide)
    other.has_gateway()
    async with running_operator(world.options()):
        world.has_proxy("crm")
        await eventually(lambda: world.condition(PROXY, "crm", "Accepted") == ("True", "Accepted"))
        before = world.versions()
        with caplog.at_level(logging.ERROR):
            async with running_operator(other.options()):
                await eventually(lambda: other.served() is not None)
                await eventually(lambda: reports_refusal(world))
        assert "crm" not in (other.served() or ())
        assert f"namespace {world.team} is served by another operator, {world.system}/" in caplog.text
        assert world.versions() == before
        assert world.served() == {"crm"}


def reports_refusal(world: OperatorEnvironment) -> bool:
    events = world.api.request("GET", f"/apis/events.k8s.io/v1/namespaces/{world.team}/events")["items"]
    return any(event["reason"] == "NamespaceRefused" for event in events)
