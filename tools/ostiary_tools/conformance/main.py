"""Runs the official conformance suite, direct and through the gateway.

`python -m ostiary_tools.conformance.main` (`make conformance`) prints the differences, and fails if a check is
unexpectedly worse through the gateway; `--write-docs` also writes the table of `docs/conformance.md`.
"""

import argparse
import contextlib
import dataclasses
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from ostiary_tools.common.errors import ToolError
from ostiary_tools.common.progress import say
from ostiary_tools.conformance import report, suite
from ostiary_tools.conformance.compare import Difference, differences, refusal, stale
from ostiary_tools.conformance.suite import BRIDGED, LEGS, Run, SuiteRun
from ostiary_tools.conformance.testbed import ERAS, SERVERS, WAYS, ConformanceEnvironment, of_era, running

DOCS: Final = Path(__file__).parents[3] / "docs" / "conformance.md"
_ALL: Final = (*LEGS, *BRIDGED)


@dataclasses.dataclass(frozen=True, slots=True)
class Result:
    """The result of a leg against one server.

    Attributes:
        server: one of SERVERS.
        leg: the leg.
        direct: the run without the gateway.
        through: the runs through the gateway, by way.
        worse: the checks that are worse, by way, expected or not.
    """

    server: str
    leg: SuiteRun
    direct: Run
    through: dict[str, Run]
    worse: dict[str, list[Difference]]

    @property
    def lost(self) -> list[str]:
        """The checks that are unexpectedly worse, as text."""
        return [
            f"{self.server}, {self.leg.name}, {way}: {each}"
            for way, found in self.worse.items()
            for each in found
            if refusal(self.leg.name, way, each) is None
        ]

    @property
    def stale(self) -> list[str]:
        """The expected refusals that did not happen, as text."""
        return [
            f"{self.server}, {self.leg.name}, {way}: {each.scenario} is no longer refused: remove it from the "
            "list in conformance_compare.py"
            for way, found in self.worse.items()
            for each in stale(self.leg.name, way, found)
        ]


def measure(world: ConformanceEnvironment, server: str, leg: SuiteRun, output: Path) -> Result:
    """Run a leg against a server, direct and through the gateway.

    A difference counts only if a second run repeats it: some scenarios have fixed timeouts, which a busy machine may
    exceed.

    Args:
        world: the running servers and their gateway.
        server: one of SERVERS.
        leg: the leg.
        output: a directory for what the suite writes.

    Raises:
        ToolError: the suite itself failed.
    """
    result = _once(world, server, leg, output / "first")
    return _once(world, server, leg, output / "again") if result.lost else result


def _once(world: ConformanceEnvironment, server: str, leg: SuiteRun, output: Path) -> Result:
    def run(name: str, url: str) -> Run:
        return suite.run(leg, url, output / f"{server}-{leg.revision}-{name}", on=world.node)

    direct = run("direct", world.direct[server])
    through = {way: run(way, url) for way, url in _ways(world, server, leg).items()}
    return Result(server, leg, direct, through, {way: differences(direct, found) for way, found in through.items()})


def _ways(world: ConformanceEnvironment, server: str, leg: SuiteRun) -> dict[str, str]:
    """Return the endpoint of each way through the gateway."""
    if leg in BRIDGED:
        return {"bridged": world.through(of_era(server, leg.other_era), "governed")}
    return {way: world.through(server, way) for way in WAYS}


def measure_all(servers: Sequence[str], legs: Sequence[SuiteRun], directory: Path) -> list[Result]:
    """Run every leg against every server.

    The servers in parallel, the legs of a server one after the other. Bridged legs leave calls that wait for an answer,
    of which a gateway keeps a few of one address, so each server has a gateway of its own for them.
    """
    native = [each for each in legs if each not in BRIDGED]
    bridged = [each for each in legs if each in BRIDGED]
    found = _measured(servers, native, directory / "native") if native else []
    for server in servers if bridged else ():
        found += _measured([server], bridged, directory / server, pinned=[of_era(server, era) for era in ERAS])
    return found


def _measured(
    servers: Sequence[str], legs: Sequence[SuiteRun], directory: Path, *, pinned: Sequence[str] = ()
) -> list[Result]:
    def one_server(server: str) -> list[Result]:
        return list(_reported(measure(world, server, leg, directory / "results") for leg in legs))

    directory.mkdir()
    with running(directory, [*servers, *pinned]) as world, ThreadPoolExecutor(len(servers)) as pool:
        return [result for results in pool.map(one_server, servers) for result in results]


def _reported(results: Iterator[Result]) -> Iterator[Result]:
    for result in results:
        scores = ", ".join(f"{way} {run.score}" for way, run in result.through.items())
        say(f"{result.server}, {result.leg.name}: direct {result.direct.score}, {scores}")
        yield result


@contextlib.contextmanager
def _directory(kept: Path | None) -> Iterator[Path]:
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept
        return
    with tempfile.TemporaryDirectory(prefix="ostiary-conformance-") as made:
        yield Path(made)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the suite; return 0 if no check is unexpectedly worse through the gateway."""
    parser = argparse.ArgumentParser(prog="python -m ostiary_tools.conformance.main", description=__doc__)
    parser.add_argument("--server", choices=SERVERS, action="append", help="only this server (may be repeated)")
    parser.add_argument("--leg", choices=[each.name for each in _ALL], action="append", help="only this leg")
    parser.add_argument("--output", type=Path, help="keep logs and checks.json in this empty directory")
    parser.add_argument("--write-docs", action="store_true", help=f"write {DOCS.name}")
    arguments = parser.parse_args(argv)
    legs = [each for each in _ALL if each.name in (arguments.leg or [leg.name for leg in _ALL])]
    try:
        with _directory(arguments.output) as directory:
            results = measure_all(arguments.server or SERVERS, legs, directory)
    except ToolError as error:
        say(f"error: {error}")
        return 1
    return _conclude(results, write_docs=arguments.write_docs)


def _conclude(results: Sequence[Result], *, write_docs: bool) -> int:
    tables = report.tables(results)
    print(*tables, sep="\n\n")
    if write_docs:
        DOCS.write_text(report.page(*tables))
    wrong = [line for result in results for line in (*result.lost, *result.stale)]
    print(
        "\n".join(wrong) if wrong else "No check is worse through the gateway, except those that it refuses on purpose."
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
