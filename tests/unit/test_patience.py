"""No test measures the machine: what must happen is waited for with patience, and no wall clock says who was quick."""

import re
from pathlib import Path

import pytest
from patience import PATIENCE

TESTS = Path(__file__).parents[1]
SKIPPED = {"node_modules", Path(__file__).name}
FILES = sorted(path for path in TESTS.rglob("*.py") if not SKIPPED & {*path.parts})
#: Waits whose end is a failure, with a number of seconds of their own.
IMPATIENT = re.compile(
    r"asyncio\.timeout\((\d[\d.]*)\)"
    r"|asyncio\.wait_for\(.*, (\d[\d.]*)\)"
    r"|process\.wait(?:\(|, )(\d[\d.]*)\)"
    r"|(?:eventually|until|wait_until|tells|ended)\(.*(?:seconds|timeout)=(\d[\d.]*)"
    r"|(?:communicate|urlopen|subprocess\.run)\(.*timeout=(\d[\d.]*)"
    r"|assert (?:\w+\.)*(?:monotonic|perf_counter|time)\(\) - \w+ < (\d[\d.]*)"
)
#: The test wants the time to be over, or says why another time is right.
MEANT = re.compile(r"TimeoutError|ToolError|AssertionError|# patient:")


def impatient(lines: list[str]) -> list[str]:
    """The lines that give up sooner than a busy machine needs."""
    found = []
    for number, line in enumerate(lines):
        numbers = [float(text) for match in IMPATIENT.finditer(line) for text in match.groups() if text]
        if any(seconds < PATIENCE / 4 for seconds in numbers) and not MEANT.search(
            "\n".join(lines[number - 1 : number + 1])
        ):
            found.append(line.strip())
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(TESTS)))
def test_no_test_gives_up_sooner_than_a_busy_machine_needs(path: Path) -> None:
    assert impatient(path.read_text().splitlines()) == [], "use PATIENCE of tests/support/patience.py"


def test_what_is_impatient_is_found() -> None:
    lines = [
        "async with asyncio.timeout(5):",
        "await asyncio.wait_for(gone.wait(), 3.0)",
        "assert process.wait(4) == 0",
        "await eventually(lambda: True, seconds=2.5)",
        "assert time.monotonic() - began < 2",
    ]
    assert impatient(lines) == lines
    assert impatient(["with pytest.raises(TimeoutError):", *lines[:1]]) == []
    assert impatient(["async with asyncio.timeout(PATIENCE):"]) == []
