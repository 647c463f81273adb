"""Unchanged clients do through the gateway what they can do without it; `docs/compatibility.md` holds the table."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import everything_server_input
import everything_server_tools
import pytest

from ostiary_tools.conformance import clients
from ostiary_tools.conformance.clients import CLIENTS, Client
from ostiary_tools.conformance.testbed import SERVERS, ConformanceEnvironment, running

pytestmark = [pytest.mark.node, pytest.mark.timeout(240)]

ALL_TOOLS = sorted(fixture.name for fixture in (*everything_server_tools.FIXTURES, *everything_server_input.FIXTURES))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConformanceEnvironment]:
    directory = tmp_path_factory.mktemp("clients")
    with running(directory, [*SERVERS, *clients.BY_ERA], page_size=clients.PAGE_SIZE) as world:
        yield world


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: f"{client.name}, {client.revision}")
def test_a_client_does_through_the_gateway_all_that_it_can_do(world: ConformanceEnvironment, client: Client) -> None:
    urls = [world.through(server, "governed") for server in SERVERS]
    with ThreadPoolExecutor(len(SERVERS)) as pool:
        outcomes = list(pool.map(lambda url: clients.run(client, url), urls))

    assert [line for each in outcomes for line in clients.failures(client, each)] == []
    assert all(each["list"]["names"] == ALL_TOOLS for each in outcomes)
    assert clients.row(client, outcomes) in clients.DOCS.read_text()


@pytest.mark.parametrize("client", clients.ACROSS, ids=lambda client: f"{client.name}, {client.revision}")
def test_a_client_does_at_servers_of_the_other_era_all_that_is_carried_across(
    world: ConformanceEnvironment, client: Client
) -> None:
    outcomes = clients.run_across_eras(world, client)

    assert [line for each in outcomes for line in clients.failures(client, each)] == []
    assert all(each["list"]["names"] == ALL_TOOLS for each in outcomes)
    assert clients.row(client, outcomes) in clients.DOCS.read_text().partition("## Across eras")[2]
