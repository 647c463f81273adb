"""A gateway keeps its config when the API server is unreachable or the definitions are deleted."""

import asyncio
import signal
import time
from collections.abc import Iterator

import aiohttp
import pytest
from operator_environment import CRDS, OperatorEnvironment, eventually, running_operator
from operator_objects import until
from operator_replicas import operator_process

from ostiary_operator.controller.app import OperatorStartupError, run_operator
from ostiary_operator.kube.kinds import PROXY
from ostiary_tools.cluster.control_plane import ControlPlane

DEFINITIONS = ("mcpproxies.ostiary.dev", "mcppolicies.ostiary.dev")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane of our own: what happens to it here would disturb every other test."""
    with ControlPlane(tmp_path_factory.mktemp("own")) as running:
        yield running


@pytest.fixture
def world(own: ControlPlane) -> OperatorEnvironment:
    def new(prefix: str) -> str:
        body = {"metadata": {"generateName": prefix}}
        return str(own.api.request("POST", "/api/v1/namespaces", body)["metadata"]["name"])

    it = OperatorEnvironment(own.api, own.kubeconfig, system=new("system-"), team=new("team-"))
    it.has_gateway()
    return it


async def test_without_the_definitions_it_gives_up_and_names_the_command_that_installs_them(
    world: OperatorEnvironment,
) -> None:
    with pytest.raises(OperatorStartupError, match="kubectl apply -f crds/"):
        await run_operator(world.options(startup_timeout=1.5), asyncio.Event())


async def test_it_waits_for_definitions_that_come_late(own: ControlPlane, world: OperatorEnvironment) -> None:
    async with running_operator(world.options()):
        await asyncio.to_thread(own.apply_crds, CRDS)
        world.has_proxy("crm")
        await eventually(lambda: world.served() == {"crm"})


async def test_recreated_definitions_remove_no_proxy_before_the_deletion_is_confirmed(
    own: ControlPlane, world: OperatorEnvironment
) -> None:
    own.apply_crds(CRDS)
    async with running_operator(world.options()):
        for name in ("crm", "wiki"):
            world.has_proxy(name)
        await eventually(lambda: world.served() == {"crm", "wiki"})
        for name in DEFINITIONS:
            own.kubectl("delete", "crd", name)
        assert world.served() == {"crm", "wiki"}
        gone = time.monotonic()
        await asyncio.to_thread(own.apply_crds, CRDS)
        world.has_proxy("crm")
        while time.monotonic() - gone < 2.5:
            served = await asyncio.to_thread(world.served)
            assert served == {"crm", "wiki"} or time.monotonic() - gone > 2.5  # the answer itself may be late
            await asyncio.sleep(0.1)
        world.has_proxy("wiki")
        await eventually(lambda: world.condition(PROXY, "wiki", "Accepted") == ("True", "Accepted"))
        await eventually(lambda: world.served() == {"crm", "wiki"})


async def test_definitions_that_were_gone_for_long_are_watched_again(
    own: ControlPlane, world: OperatorEnvironment, caplog: pytest.LogCaptureFixture
) -> None:
    own.apply_crds(CRDS)
    async with running_operator(world.options()):
        world.has_proxy("crm")
        await eventually(lambda: world.served() == {"crm"})
        for name in DEFINITIONS:
            own.kubectl("delete", "crd", name)
        await eventually(lambda: "the API server does not serve mcppolicies, mcpproxies yet" in caplog.text)
        await asyncio.to_thread(own.apply_crds, CRDS)
        world.has_proxy("crm")
        await eventually(lambda: world.condition(PROXY, "crm", "Accepted") == ("True", "Accepted"), seconds=60)
        # Neither waits for the pass that comes round without any news.
        world.has_proxy("wiki")
        await eventually(lambda: world.served() == {"crm", "wiki"})
        world.has_proxy("git")
        await eventually(lambda: world.served() == {"crm", "git", "wiki"})


async def test_an_api_server_that_was_away_is_found_again_and_nothing_is_lost_though_no_lease_was_renewed(
    own: ControlPlane, world: OperatorEnvironment
) -> None:
    own.apply_crds(CRDS)
    async with operator_process(world, "one", "--leader-elect") as one:
        world.has_proxy("crm")
        await eventually(lambda: world.served() == {"crm"})
        # The statuses are written after the config.
        await eventually(lambda: world.condition(PROXY, "crm", "Programmed") == ("False", "NoReplicas"))
        before = world.versions()
        own.kill_api_server()
        await until(lambda: "cannot be acquired" in one.log)
        assert await one.leads()  # it is ready all the same: it would not be any better elsewhere
        # For so long that its lease runs out, and with it the right to write.
        await until(lambda: is_fenced(one.port))
        own.start_api_server()  # from this thread, with whose end it would end
        assert {name: world.versions()[name] for name in before} == before
        world.has_proxy("wiki")
        await eventually(lambda: world.served() == {"crm", "wiki"})
        assert "leading again" in one.log
        assert one.process.returncode is None


async def is_fenced(port: int) -> bool:
    return "ostiary_operator_leader 0.0" in await text_of(f"http://127.0.0.1:{port}/metrics")


async def text_of(url: str) -> str:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return await answer.text()


async def test_the_process_shows_its_health_and_ends_on_sigterm(own: ControlPlane, world: OperatorEnvironment) -> None:
    own.apply_crds(CRDS)
    async with operator_process(world, "one") as one:
        await until(one.leads)
        world.has_proxy("crm")
        await eventually(lambda: world.served() == {"crm"})
        assert "ostiary_operator_passes_total" in await text_of(f"http://127.0.0.1:{one.port}/metrics")
        one.signal(signal.SIGTERM)
        assert await one.ended() == 0
        text = one.log
    assert "SIGTERM: ending" in text
    assert f"changed: {world.team}/crm" in text
    assert "Traceback" not in text
