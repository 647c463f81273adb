"""Sessions with several servers, of which one has several endpoints: each stays where it is, and goes on elsewhere."""

from collections.abc import AsyncIterator

import pytest
from endpoint_scenes import EndpointPool, EndpointScene, RunningEndpoint, endpoint_scenes
from gateways import LONG_TIMEOUTS, LOOPBACK, RunningGateway
from mcp_caller import McpCaller, legacy
from mcp_clients import eventually
from session_scenes import SessionScene
from upstreams import Upstream, serving

from ostiary_core.contract.documents import ServerConfig
from ostiary_core.contract.server_selection import RoutingRuleConfig

CALL = legacy("tools/call", {"name": "pool_search", "arguments": {}}, id=7)
LEVEL = legacy("logging/setLevel", {"level": "warning"})


@pytest.fixture
async def pool() -> AsyncIterator[EndpointPool]:
    async with endpoint_scenes("a", "b", "c") as pool:
        yield pool


@pytest.fixture
async def wiki() -> AsyncIterator[Upstream]:
    async with serving(SessionScene("wiki").script) as upstream:
        yield upstream


@pytest.fixture
async def merging(gateway: RunningGateway, pool: EndpointPool, wiki: Upstream) -> None:
    await gateway.apply(pool.merged(gateway, {"wiki": wiki.url}))


def home(pool: EndpointPool) -> RunningEndpoint:
    """The endpoint that has the one session."""
    [found] = [each for each in pool if each.upstream.count("initialize")]
    return found


@pytest.mark.usefixtures("merging")
async def test_every_request_to_one_of_several_servers_reaches_the_endpoint_with_the_session(
    caller: McpCaller, pool: EndpointPool
) -> None:
    await caller.initialize()

    assert [(await caller.post(CALL)).result["count"] for _ in range(9)] == list(range(1, 10))
    assert (await caller.post(legacy("tools/call", {"name": "wiki_search"}))).result["by"] == "wiki"
    assert [each for each in pool if each.upstream.arrived] == [home(pool)]


@pytest.mark.usefixtures("merging")
async def test_one_of_several_servers_goes_on_at_another_endpoint_with_what_the_client_has_set(
    caller: McpCaller, pool: EndpointPool, wiki: Upstream
) -> None:
    await caller.initialize()
    assert (await caller.post(LEVEL)).result == {}
    first = home(pool)
    await first.stop()

    assert [(await caller.post(CALL)).result["count"] for _ in range(3)] == [1, 2, 3]
    [second] = [each for each in pool if each is not first and each.upstream.arrived]
    assert second.upstream.count("logging/setLevel") == 1
    assert wiki.count("initialize") == 1

    await second.stop()
    assert (await caller.post(CALL)).result["count"] == 1


@pytest.mark.usefixtures("merging")
async def test_a_stream_of_changes_follows_the_session_of_each_server_to_another_endpoint(
    caller: McpCaller, pool: EndpointPool
) -> None:
    await caller.initialize()
    first = home(pool)
    async with caller.listen():
        await eventually(lambda: bool(first.scene.streams))
        await first.stop()
        await eventually(lambda: any(each.scene.streams for each in pool if each is not first))
        assert (await caller.post(CALL)).result["by"] in {each.scene.name for each in pool if each.scene.streams}


@pytest.mark.usefixtures("merging")
async def test_a_session_that_is_ended_is_ended_at_its_endpoint_only(caller: McpCaller, pool: EndpointPool) -> None:
    await caller.initialize()

    assert (await caller.request("DELETE")).status == 200
    assert {each.upstream.count("DELETE") for each in pool if each.upstream.arrived} == {1}
    assert home(pool).upstream.count("DELETE") == 1


async def test_a_rule_goes_to_its_next_server_only_when_no_endpoint_of_the_first_is_there(
    gateway: RunningGateway, caller: McpCaller, pool: EndpointPool, wiki: Upstream
) -> None:
    entry, policies = pool.merged(gateway, {"wiki": wiki.url})
    servers = [each.model_copy(update={"prefix": None}) for each in entry.servers]
    rules = [RoutingRuleConfig(name="all", servers=["pool", "wiki"])]
    routed = entry.model_copy(update={"servers": servers, "server_selection": "Route", "routing": rules})
    await gateway.apply((routed, policies))
    await caller.initialize()
    call = legacy("tools/call", {"name": "search", "arguments": {}})

    first, names = home(pool), []
    for endpoint in [first, *(each for each in pool if each is not first)]:
        names.append((await caller.post(call)).result["by"])
        await endpoint.stop()
    names.append((await caller.post(call)).result["by"])

    assert names[0] in "abc"
    assert set(names[:-1]) <= set("abc")
    assert names[-1] == "wiki"


async def test_a_proxy_with_one_server_takes_no_session_of_several(
    gateway: RunningGateway, caller: McpCaller, pool: EndpointPool, wiki: Upstream
) -> None:
    await gateway.apply(pool.merged(gateway, {"wiki": wiki.url}))
    await caller.initialize()
    await gateway.apply(pool.entry(gateway))

    assert (await caller.post(CALL)).status == 404


async def test_a_session_of_a_server_whose_endpoints_were_listed_goes_on_at_its_url(
    gateway: RunningGateway, caller: McpCaller
) -> None:
    scene = EndpointScene("one")
    async with serving(scene.script) as upstream:
        common = {"name": "up", "url": upstream.url, "timeouts": LONG_TIMEOUTS, "addresses": LOOPBACK}
        port = int(upstream.url.rpartition(":")[2].partition("/")[0])
        listed = ServerConfig(**common, endpoints=[{"address": "127.0.0.1", "port": port}])
        await gateway.apply(gateway.entry("mock", "", servers=[listed]))
        await caller.initialize()
        call = legacy("tools/call", {"name": "search", "arguments": {}})
        assert (await caller.post(call)).result["count"] == 1

        await gateway.apply(gateway.entry("mock", "", servers=[ServerConfig(**common)]))

        assert (await caller.post(call)).result["count"] == 2
        scene.forget()
        assert (await caller.post(call)).result["count"] == 1
