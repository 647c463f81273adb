import socket
from collections.abc import AsyncIterator

import pytest
from mcp_clients import Era, connect

from ostiary_operator.demo.scenarios import Scenario
from ostiary_operator.demo.served_eras import ServedEras
from ostiary_operator.local.manifests import ObjectManifest
from ostiary_operator.local.mock_server_process import MockServerError
from ostiary_operator.local.mock_servers import MOCK_SERVERS, MockServers
from ostiary_operator.local.yaml_positions import Places, Position

ERA_OF: dict[ServedEras, Era] = {ServedEras.LEGACY: "legacy", ServedEras.MODERN: "modern"}


def proxy(*ports: int) -> ObjectManifest:
    servers = [{"name": f"s{port}", "url": f"http://localhost:{port}/mcp"} for port in ports]
    value = {"kind": "MCPProxy", "metadata": {"namespace": "default", "name": "p"}, "spec": {"servers": servers}}
    return ObjectManifest("f.yaml", value, Places(Position(1, 1)))


@pytest.fixture
async def mocks() -> AsyncIterator[MockServers]:
    servers = MockServers(0, say=lambda _: None)
    yield servers
    await servers.stop()


def test_files_name_them_by_the_default_ports_and_run_may_have_others() -> None:
    defaults = [row.default_port for row in MOCK_SERVERS]
    assert {7878, 7879, 7880} < set(defaults)
    assert MockServers(7878, say=print).ports == {port: port for port in defaults}
    assert MockServers(9000, say=print).ports == {port: port + 9000 - 7878 for port in defaults}
    assert MockServers(0, say=print).ports == {port: port for port in defaults}


def test_only_those_that_proxies_name_are_wanted() -> None:
    servers = MockServers(9000, say=print)
    both, legacy, modern = MOCK_SERVERS[:3]
    assert servers.wanted([proxy(7878)]) == {both: 9000}
    assert servers.wanted([proxy(7880), proxy(9001)]) == {legacy: 9001, modern: 9002}
    assert servers.wanted([proxy(3001)]) == {}


def test_replicas_are_named_by_the_endpoints_of_a_server_whose_url_starts_none() -> None:
    endpoints = [{"address": "127.0.0.1", "port": port} for port in (7878, 7882, 7883)]
    spec = {"servers": [{"name": "pool", "url": "http://localhost:7880/mcp", "endpoints": endpoints}]}
    value = {"kind": "MCPProxy", "metadata": {"namespace": "default", "name": "p"}, "spec": spec}
    wanted = MockServers(9000, say=print).wanted([ObjectManifest("f.yaml", value, Places(Position(1, 1)))])
    assert list(wanted.values()) == [9000, 9004, 9005]
    assert {row.eras for row in wanted} == {ServedEras.BOTH}


def leaky(port: int = 7879) -> ObjectManifest:
    manifest = proxy(port)
    manifest.value["metadata"]["annotations"] = {"ostiary.dev/mock-scenario": "leaky"}
    return manifest


def test_a_scenario_is_started_for_proxies_that_ask_for_it_and_only_for_those() -> None:
    servers = MockServers(9000, say=print)
    (row,) = servers.wanted([leaky(), proxy(7878)]).keys() - servers.wanted([proxy(7878)]).keys()
    assert (row.scenario, servers.wanted([leaky()])[row]) == (Scenario.LEAKY, 9001)
    assert servers.wanted([leaky(7880)]) == {}
    other = leaky()
    other.value["metadata"]["annotations"] = {"ostiary.dev/mock-scenario": "peaceful"}
    assert [each.scenario for each in servers.wanted([other])] == [None]


async def test_the_server_of_a_scenario_that_runs_already_is_used() -> None:
    listener = taken_port_before_a_free_one()
    taken = listener.getsockname()[1]
    mocks = MockServers(taken - 1, say=lambda _: None)
    with listener:
        await mocks.ensure([leaky()])
        assert mocks.running_ports == frozenset()
        assert mocks.ports[7879] == taken


async def test_a_scenario_takes_a_free_port_and_its_place_in_files(mocks: MockServers) -> None:
    await mocks.ensure([leaky()])
    async with connect(f"http://127.0.0.1:{mocks.ports[7879]}/mcp", era="modern") as client:
        assert (await client.list_tools()).tools[0].name == "get_customer"


async def test_each_speaks_its_era_at_the_port_that_it_took(mocks: MockServers) -> None:
    await mocks.ensure([proxy(7879, 7880)])
    assert set(mocks.ports.values()) > mocks.running_ports
    assert mocks.ports[7878] == 7878
    for eras, era in ERA_OF.items():
        async with connect(f"http://127.0.0.1:{mocks.ports[7878 + eras.port_offset]}/mcp", era=era) as client:
            assert len((await client.list_tools()).tools) == 15


async def test_one_that_runs_is_not_started_again(mocks: MockServers) -> None:
    await mocks.ensure([proxy(7879)])
    before = mocks.running_ports
    await mocks.ensure([proxy(7879)])
    assert mocks.running_ports == before


def taken_port_before_a_free_one() -> socket.socket:
    """Listen on a port; the one after it is free."""
    while True:
        listener = socket.create_server(("127.0.0.1", 0))
        try:
            socket.create_server(("127.0.0.1", listener.getsockname()[1] + 1)).close()
        except (OSError, OverflowError):
            listener.close()
            continue
        return listener


async def test_one_that_does_not_start_is_tried_again_and_the_others_run() -> None:
    listener = taken_port_before_a_free_one()
    taken = listener.getsockname()[1]
    mocks = MockServers(taken - 1, say=lambda _: None)
    try:
        with pytest.raises(
            MockServerError, match=r"the mock MCP server with sessions only does not start: .* --no-mock"
        ):
            await mocks.ensure([proxy(7879, 7880)])
        assert mocks.running_ports == {taken + 1}
        listener.close()
        await mocks.ensure([proxy(7879, 7880)])
        assert mocks.running_ports == {taken, taken + 1}
    finally:
        listener.close()
        await mocks.stop()
