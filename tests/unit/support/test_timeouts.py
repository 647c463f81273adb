"""No test measures the machine: waits are long, and no test asserts on the wall clock."""

import re
from pathlib import Path

import pytest
from timeouts import TIMEOUT_SECONDS

TESTS = Path(__file__).parents[2]
SKIPPED = {"node_modules", Path(__file__).name}
FILES = sorted(path for path in TESTS.rglob("*.py") if not SKIPPED & {*path.parts})
#: Waits that fail when their time is over, with a literal number of seconds.
SHORT_WAIT = re.compile(
    r"asyncio\.timeout\((\d[\d.]*)\)"
    r"|asyncio\.wait_for\(.*, (\d[\d.]*)\)"
    r"|process\.wait(?:\(|, )(\d[\d.]*)\)"
    r"|(?:eventually|until|wait_until|tells|ended)\(.*(?:seconds|timeout)=(\d[\d.]*)"
    r"|(?:communicate|urlopen|subprocess\.run)\(.*timeout=(\d[\d.]*)"
    r"|assert (?:\w+\.)*(?:monotonic|perf_counter|time)\(\) - \w+ < (\d[\d.]*)"
)
#: The test expects the timeout, or a comment says why another time is right.
DELIBERATE = re.compile(r"TimeoutError|ToolError|AssertionError|# on purpose:")


def too_short_waits(lines: list[str]) -> list[str]:
    """Return the lines that give up sooner than a busy machine needs."""
    found = []
    for number, line in enumerate(lines):
        numbers = [float(text) for match in SHORT_WAIT.finditer(line) for text in match.groups() if text]
        if any(seconds < TIMEOUT_SECONDS / 4 for seconds in numbers) and not DELIBERATE.search(
            "\n".join(lines[number - 1 : number + 1])
        ):
            found.append(line.strip())
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(TESTS)))
def test_no_test_gives_up_sooner_than_a_busy_machine_needs(path: Path) -> None:
    assert too_short_waits(path.read_text().splitlines()) == [], "use TIMEOUT_SECONDS of tests/support/timeouts.py"


def test_a_wait_that_is_too_short_is_found() -> None:
    lines = [
        "async with asyncio.timeout(5):",
        "await asyncio.wait_for(gone.wait(), 3.0)",
        "assert process.wait(4) == 0",
        "await eventually(lambda: True, seconds=2.5)",
        "assert time.monotonic() - began < 2",
    ]
    assert too_short_waits(lines) == lines
    assert too_short_waits(["with pytest.raises(TimeoutError):", *lines[:1]]) == []
    assert too_short_waits(["async with asyncio.timeout(TIMEOUT_SECONDS):"]) == []
