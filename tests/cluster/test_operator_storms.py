"""The operator under faults of the API server, and when it is killed at any step of a change."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from kube_api_proxy import Chooses, KubeApiProxy, is_watch, kube_api_proxy, lists, writes
from operator_environment import OperatorEnvironment, eventually, running_operator
from operator_replicas import operator_process
from timeouts import TIMEOUT_SECONDS

from ostiary_operator.kube.kinds import CONFIG_MAP, PROXY
from ostiary_tools.cluster.control_plane import ControlPlane


def token_of(control_plane: ControlPlane, world: OperatorEnvironment) -> str:
    return control_plane.service_account_token(world.system, world.operator_name)


@pytest.fixture
async def api(control_plane: ControlPlane, world: OperatorEnvironment, tmp_path: Path) -> AsyncIterator[KubeApiProxy]:
    """The only way from the world's operator to the API server; tests have their own."""
    async with kube_api_proxy(control_plane, tmp_path) as proxy:
        world.kubeconfig = proxy.kubeconfig(await asyncio.to_thread(token_of, control_plane, world))
        yield proxy


async def serves(world: OperatorEnvironment, *names: str) -> None:
    await eventually(lambda: world.served() == set(names))


async def test_an_api_server_that_asks_to_come_again_gets_what_it_asks_for(
    world: OperatorEnvironment, api: KubeApiProxy
) -> None:
    async with running_operator(world.options()):
        world.has_proxy("crm")
        await serves(world, "crm")
        api.refuse(lambda request: not is_watch(request), status=429, times=12, **{"Retry-After": "0"})
        world.has_proxy("wiki")
        await serves(world, "crm", "wiki")
        assert api.refusals_left == 0
        await eventually(lambda: world.condition(PROXY, "wiki", "Accepted") == ("True", "Accepted"))


async def test_an_expired_watch_starts_again_and_reports_what_happened_meanwhile(
    world: OperatorEnvironment, api: KubeApiProxy
) -> None:
    async with running_operator(world.options()):
        for name in ("crm", "wiki"):
            world.has_proxy(name)
        await serves(world, "crm", "wiki")
        await eventually(lambda: len(api.watches) >= 6)
        api.refuse(is_watch, status=503, times=5)
        assert api.expire_watches() >= 6
        world.delete(PROXY, "crm")
        world.has_proxy("mail")
        await serves(world, "wiki", "mail")


async def test_while_a_listing_is_incomplete_no_object_that_it_may_contain_is_dropped(
    world: OperatorEnvironment, api: KubeApiProxy
) -> None:
    async with running_operator(world.options()):
        world.has_proxy("crm")
        await serves(world, "crm")
        await eventually(lambda: world.condition(PROXY, "crm", "Accepted") == ("True", "Accepted"))
        before = world.versions()
        with api.holding(lists("mcppolicies")) as held:
            world.has_proxy("wiki")
            await held.reached.wait()
            await eventually(lambda: api.count("GET", f"/{world.team}/mcpproxies") >= 2)
            assert {name: version for name, version in world.versions().items() if name in before} == before
        await serves(world, "crm", "wiki")


async def test_a_list_that_fails_half_way_drops_nothing_and_is_repeated(
    world: OperatorEnvironment, api: KubeApiProxy
) -> None:
    world.has_proxy("crm")
    async with running_operator(world.options()):
        await serves(world, "crm")
    before = world.versions()
    api.refuse(lists("mcpproxies"), status=500, times=3)
    async with running_operator(world.options()):
        await eventually(lambda: api.refusals_left == 0)
        assert world.versions() == before
        world.has_proxy("wiki")
        await serves(world, "crm", "wiki")


async def test_a_rotated_token_is_read_again_by_requests_and_watches(
    control_plane: ControlPlane, world: OperatorEnvironment, api: KubeApiProxy
) -> None:
    old = await asyncio.to_thread(token_of, control_plane, world)
    world.kubeconfig = api.kubeconfig(old)
    async with running_operator(world.options()):
        world.has_proxy("crm")
        await serves(world, "crm")
        api.kubeconfig(await asyncio.to_thread(token_of, control_plane, world))
        api.revoked.add(old)
        api.expire_watches()
        world.has_proxy("wiki")
        await serves(world, "crm", "wiki")
        await eventually(lambda: world.condition(PROXY, "wiki", "Accepted") == ("True", "Accepted"))


async def test_two_hundred_edits_a_second_are_few_writes_and_the_last_one_counts(
    world: OperatorEnvironment, api: KubeApiProxy
) -> None:
    names = [f"p{number}" for number in range(10)]
    async with running_operator(world.options()):
        for name in names:
            world.has_proxy(name)
        await serves(world, *names)
        before = api.count("PATCH", "configmaps/ostiary-default-0")
        with ThreadPoolExecutor(8) as hands:
            edits = [(name, f"/{world.team}/{name}/v{turn}") for turn in range(20) for name in names]
            await asyncio.gather(*(_edit(hands, world, name, path) for name, path in edits))

        def all_run_the_last() -> bool:
            found = [world.get(PROXY, name) or {} for name in names]
            return all(
                obj["status"]["observedGeneration"] == obj["metadata"]["generation"]
                and f"{obj['spec']['path']}/mcp" in obj["status"].get("url", "")
                for obj in found
            )

        await eventually(all_run_the_last)
        assert api.count("PATCH", "configmaps/ostiary-default-0") - before < 40  # of 200 edits


async def _edit(hands: ThreadPoolExecutor, world: OperatorEnvironment, name: str, path: str) -> None:
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(hands, lambda: world.patch(PROXY, name, {"spec": {"path": path}}))


async def test_a_namespace_in_deletion_loses_its_own_proxies_and_no_others(
    unrestricted: OperatorEnvironment, new_namespace: Callable[..., str]
) -> None:
    world, leaving = unrestricted, new_namespace()
    other = OperatorEnvironment(world.api, world.kubeconfig, system=world.system, team=leaving)
    async with running_operator(world.options(watch_namespaces=(world.team, leaving))):
        world.has_proxy("crm")
        other.has_proxy("gone")
        await serves(world, "crm", "gone")
        # Something holds the namespace back, as often happens: it stays in deletion.
        metadata = {"name": "held", "namespace": leaving, "finalizers": ["example.com/held"]}
        world.create(CONFIG_MAP, {"metadata": metadata})
        world.api.request("DELETE", f"/api/v1/namespaces/{leaving}")
        try:
            await serves(world, "crm")
            world.has_proxy("wiki")
            await serves(world, "crm", "wiki")
            assert world.api.request("GET", f"/api/v1/namespaces/{leaving}")["status"]["phase"] == "Terminating"
        finally:
            held = CONFIG_MAP.path(namespace=leaving, name="held")
            world.api.request("PATCH", held, {"metadata": {"finalizers": None}})


STEPS: dict[str, tuple[Chooses, bool]] = {
    "while it lists": (lists("mcpproxies"), True),
    "before the config": (writes("configmaps", "ostiary-default-0"), False),
    "after the config": (writes("configmaps", "ostiary-default-0"), True),
    "before the status": (writes("mcpproxies", "/status"), False),
}
EARLY = ("while it lists", "before the config")


@pytest.mark.parametrize("step", STEPS)
async def test_an_operator_that_is_killed_at_any_step_leaves_a_whole_config_and_the_next_completes_the_change(
    world: OperatorEnvironment, api: KubeApiProxy, step: str
) -> None:
    chooses, answered = STEPS[step]
    async with operator_process(world, "one") as one:
        world.has_proxy("crm")
        await serves(world, "crm")
        await eventually(lambda: world.condition(PROXY, "crm", "Accepted") == ("True", "Accepted"))
        with api.holding(chooses, answered=answered) as held:
            world.has_proxy("wiki")
            async with asyncio.timeout(TIMEOUT_SECONDS):
                await held.reached.wait()
            one.signal(signal.SIGKILL)
            await one.ended()
        assert world.served() == ({"crm"} if step in EARLY else {"crm", "wiki"})
    async with running_operator(world.options()):
        await serves(world, "crm", "wiki")
        await eventually(lambda: world.condition(PROXY, "wiki", "Accepted") == ("True", "Accepted"))


async def test_an_operator_that_is_killed_at_its_first_secret_is_followed_by_one_that_begins_well(
    world: OperatorEnvironment, api: KubeApiProxy
) -> None:
    world.has_proxy("crm")
    with api.holding(writes("secrets"), answered=True) as held:
        async with operator_process(world, "one") as one:
            await held.reached.wait()
            one.signal(signal.SIGKILL)
            await one.ended()
    assert world.served() is None
    async with running_operator(world.options()):
        await serves(world, "crm")
