"""What the developer tools share as commands: exit codes, and printing where programs are."""

import argparse
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from ostiary_tools.common.errors import ToolError
from ostiary_tools.common.progress import say


def exit_code(work: Callable[[], None]) -> int:
    """Do the work of a command; return 0, or 1 after printing what is missing or broken."""
    try:
        work()
    except ToolError as error:
        say(f"error: {error}")
        return 1
    return 0


def print_programs(
    prog: str, description: str | None, *, known: Iterable[str], ensure: Callable[..., Mapping[str, Path]]
) -> int:
    """Print the path of each program on the command line.

    ``ensure`` makes them present and returns where they are.
    """
    parser = argparse.ArgumentParser(prog=prog, description=description)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(known))
    names = parser.parse_args().names

    def work() -> None:
        for path in ensure(*names).values():
            print(path)

    return exit_code(work)
