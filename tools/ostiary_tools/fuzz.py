"""Looks for inputs that break a property: round after round of the property tests, each with new examples.

`python -m ostiary_tools.fuzz --seconds 300 -- PYTEST_ARGS…` stops at the first round that finds something, and says how
to see it again.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from ostiary_tools.progress import say

#: Everything with strangers on the other side; the rest of the property tests is about our own compiler.
SURFACES = ("tests/fuzz", "tests/unit/gateway", "tests/unit/core", "tests/unit/telemetry")

Run = Callable[[Sequence[str]], int]


def command(more: Sequence[str]) -> list[str]:
    """The command of one round: a seed of its own for each, and no limit of time for a single test."""
    pytest = [sys.executable, "-m", "pytest", "-q", "-m", "hypothesis", "--hypothesis-profile=fuzz", "--timeout=0"]
    return [*pytest, *(more or SURFACES)]


def fuzz(seconds: float, more: Sequence[str], *, run: Run, clock: Callable[[], float] = time.monotonic) -> int:
    """Run rounds until `seconds` have passed, at least one; return the exit code of the last.

    A round that has begun is finished, so the last one may take longer.
    """
    started = clock()
    rounds = 0
    while True:
        code = run(command(more))
        rounds += 1
        if code:
            say("make fuzz: found something. Its report shows the input: make that a named test or an @example.")
            return code
        passed = clock() - started
        say(f"make fuzz: round {rounds} found nothing ({passed:.0f} of {seconds:g} s)")
        if passed >= seconds:
            return 0


def _run(arguments: Sequence[str]) -> int:
    return subprocess.run(arguments, check=False).returncode


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=300.0, help="how long to look, at least one round")
    parser.add_argument("pytest", nargs="*", help="what to give to pytest in place of all surfaces")
    arguments = parser.parse_args()
    return fuzz(arguments.seconds, arguments.pytest, run=_run)


if __name__ == "__main__":
    sys.exit(main())
