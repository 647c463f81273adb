"""What happens to a gateway's config when the API server, or the definitions, go away: nothing."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
from operator_process import CRDS, World, eventually, operating
from operator_world import until

from ostiary_operator.app import StartupError, run_operator
from ostiary_operator.kube.kinds import PROXY
from ostiary_tools.control_plane import ControlPlane
from ostiary_tools.ports import reserve_port

DEFINITIONS = ("mcpproxies.ostiary.dev", "mcppolicies.ostiary.dev")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane of our own: what happens to it here would disturb every other test."""
    with ControlPlane(tmp_path_factory.mktemp("own")) as running:
        yield running


@pytest.fixture
def world(own: ControlPlane) -> World:
    def new(prefix: str) -> str:
        body = {"metadata": {"generateName": prefix}}
        return str(own.api.request("POST", "/api/v1/namespaces", body)["metadata"]["name"])

    it = World(own.api, own.kubeconfig, system=new("system-"), team=new("team-"))
    it.has_gateway()
    return it


async def test_without_the_definitions_it_gives_up_and_says_how_to_install_them(world: World) -> None:
    with pytest.raises(StartupError, match="kubectl apply -f crds/"):
        await run_operator(world.options(startup_timeout=1.5), asyncio.Event())


async def test_it_waits_for_definitions_that_come_late(own: ControlPlane, world: World) -> None:
    async with operating(world.options()):
        await asyncio.to_thread(own.apply_crds, CRDS)
        world.has_proxy("crm")
        await eventually(lambda: world.served() == {"crm"})


async def test_definitions_made_again_take_no_door_away_before_it_is_confirmed(own: ControlPlane, world: World) -> None:
    own.apply_crds(CRDS)
    async with operating(world.options()):
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
            assert await asyncio.to_thread(world.served) == {"crm", "wiki"}
            await asyncio.sleep(0.1)
        world.has_proxy("wiki")
        await eventually(lambda: world.said(PROXY, "wiki", "Accepted") == ("True", "Accepted"))
        assert world.served() == {"crm", "wiki"}


async def test_an_api_server_that_was_away_is_found_again_and_nothing_is_lost(own: ControlPlane, world: World) -> None:
    own.apply_crds(CRDS)
    async with operating(world.options()):
        world.has_proxy("crm")
        await eventually(lambda: world.served() == {"crm"})
        own.kill_api_server()
        await asyncio.sleep(2)
        own.start_api_server()  # from this thread, with whose end it would end
        assert world.served() == {"crm"}
        world.has_proxy("wiki")
        await eventually(lambda: world.served() == {"crm", "wiki"})


async def status_of(url: str) -> int:
    async with aiohttp.ClientSession() as session:
        try:
            async with session.get(url) as answer:
                return answer.status
        except aiohttp.ClientConnectionError:
            return 0


async def is_ready(port: int) -> bool:
    return await status_of(f"http://127.0.0.1:{port}/readyz") == 200


async def test_the_process_shows_its_health_and_ends_in_seconds_when_told(
    own: ControlPlane, world: World, tmp_path: Path
) -> None:
    own.apply_crds(CRDS)
    port, log = reserve_port(), tmp_path / "log"
    code = (
        "import argparse, sys; from ostiary_operator import operator_command as it; p = argparse.ArgumentParser(); "
        "it.add_arguments(p); sys.exit(it.run(p.parse_args()))"
    )
    arguments = (
        f"--operator-namespace={world.system}",
        f"--watch-namespace={world.team}",
        f"--admin-address=127.0.0.1:{port}",
    )
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", code, *arguments),
            env={**os.environ, "KUBECONFIG": str(own.kubeconfig)},
            stderr=output,
        )
    try:
        await until(lambda: is_ready(port))
        world.has_proxy("crm")
        await eventually(lambda: world.served() == {"crm"})
        assert await status_of(f"http://127.0.0.1:{port}/metrics") == 200
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(10):
            assert await process.wait() == 0
        assert time.monotonic() - began < 5
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    text = log.read_text()
    assert "SIGTERM: ending" in text
    assert f"changed: {world.team}/crm" in text
    assert "Traceback" not in text
