"""The official conformance suite sees no difference between a server and the gateway in front of it.

`make conformance` runs the same and prints a table; `docs/conformance.md` holds it.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ostiary_tools.conformance import main, report
from ostiary_tools.conformance.suite import BRIDGED, LEGS, SuiteRun
from ostiary_tools.conformance.testbed import ERAS, SERVERS, WAYS, ConformanceEnvironment, of_era, running

pytestmark = [pytest.mark.node, pytest.mark.timeout(400)]

#: What each leg passes direct, at both servers. Less means that a fixture is broken, and the comparison is worth less.
PASSES = {"0.1.16": 44, "2025-03-26": 3, "2025-06-18": 56, "2025-11-25": 84, "2026-07-28": 152}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConformanceEnvironment]:
    with running(tmp_path_factory.mktemp("conformance")) as world:
        yield world


@pytest.mark.parametrize("leg", LEGS, ids=lambda leg: leg.revision or leg.name)
def test_no_check_is_worse_through_the_gateway(world: ConformanceEnvironment, leg: SuiteRun, tmp_path: Path) -> None:
    with ThreadPoolExecutor(len(SERVERS)) as pool:  # the suite waits more than it works
        results = list(pool.map(lambda server: main.measure(world, server, leg, tmp_path), SERVERS))

    for result in results:
        assert result.direct.score == f"{PASSES[leg.revision or leg.name]}/0", result.server
        assert result.lost == []
        assert result.stale == []
        assert all(result.through[way].scenarios >= result.direct.scenarios for way in WAYS)
        # `make conformance WRITE_DOCS=1` rewrites the page.
        assert report.row(result) in main.DOCS.read_text()


@pytest.fixture(scope="module", params=SERVERS)
def bridges(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, ConformanceEnvironment]]:
    """A server of every revision and its twins of one era each, with a gateway of their own."""
    server = request.param
    with running(tmp_path_factory.mktemp(server), [server, *(of_era(server, era) for era in ERAS)]) as world:
        yield server, world


@pytest.mark.parametrize("leg", BRIDGED, ids=lambda leg: leg.name)
def test_only_what_the_page_gives_reasons_for_is_worse_through_a_bridge(
    bridges: tuple[str, ConformanceEnvironment], leg: SuiteRun, tmp_path: Path
) -> None:
    server, world = bridges
    result = main.measure(world, server, leg, tmp_path)

    assert result.lost == []
    assert result.stale == []
    assert report.row(result) in main.DOCS.read_text()


def test_the_gateway_writes_no_error_into_its_log(world: ConformanceEnvironment) -> None:
    errors = [line for line in world.log.read_text().splitlines() if " ERROR " in line or "Traceback" in line]

    assert errors == []
