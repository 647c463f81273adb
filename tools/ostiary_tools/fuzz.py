"""Searches for inputs that break a property: repeats the property tests with new examples.

`python -m ostiary_tools.fuzz --seconds 300 -- PYTEST_ARGS…` stops at the first round that finds something.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from ostiary_tools.common.progress import say

#: The tests of code that processes untrusted input; the other property tests are about our own compiler.
SURFACES = ("tests/fuzz", "tests/unit/ostiary_gateway", "tests/unit/ostiary_core")

Run = Callable[[Sequence[str]], int]


def command(more: Sequence[str]) -> list[str]:
    """Return the command of one round: each has a new seed, and tests have no time limit."""
    pytest = [sys.executable, "-m", "pytest", "-q", "-m", "hypothesis", "--hypothesis-profile=fuzz", "--timeout=0"]
    return [*pytest, *(more or SURFACES)]


def fuzz(seconds: float, more: Sequence[str], *, run: Run, clock: Callable[[], float] = time.monotonic) -> int:
    """Run rounds until `seconds` have passed, at least one; return the exit code of the last.

    A started round is completed, so the last one may exceed the time.
    """
    started = clock()
    rounds = 0
    while True:
        code = run(command(more))
        rounds += 1
        if code:
            say("make fuzz: found something. The report shows the input: add it as a named test or an @example.")
            return code
        passed = clock() - started
        say(f"make fuzz: round {rounds} found nothing ({passed:.0f} of {seconds:g} s)")
        if passed >= seconds:
            return 0


def _run(arguments: Sequence[str]) -> int:
    return subprocess.run(arguments, check=False).returncode


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m ostiary_tools.fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=300.0, help="how long to search, at least one round")
    parser.add_argument("pytest", nargs="*", help="what to give to pytest in place of all surfaces")
    arguments = parser.parse_args()
    return fuzz(arguments.seconds, arguments.pytest, run=_run)


if __name__ == "__main__":
    sys.exit(main())
