"""`--watch` of the commands that read a cluster.

It prints the output once, then every change, until Ctrl-C.

It polls every two seconds instead of opening a watch, so that it needs no rights besides get and list.
"""

import argparse
import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, TypeVar

from ostiary_operator.cli import cluster

_SECONDS: Final = 2.0

T = TypeVar("T")


def add_watch(parser: argparse.ArgumentParser) -> None:
    """Add `--watch`."""
    parser.add_argument(
        "-w", "--watch", action="store_true", help="keep running, and show every change until Ctrl-C (tables only)"
    )


def unfit(arguments: argparse.Namespace) -> str | None:
    """Return why `--watch` cannot be combined with the other arguments, or None."""
    if arguments.watch and arguments.output in {"json", "yaml"}:
        return f"--watch shows tables, and -o {arguments.output} one object: omit one of them"
    return None


async def polls(poll: Callable[[], Awaitable[T]], *, command: str, seconds: float = _SECONDS) -> AsyncIterator[T]:
    """Poll and yield each result.

    Note once when the API server stops answering, and when it answers again.

    Raises:
        NotFound: a named object no longer exists.
    """
    from ostiary_operator.kube.errors import ClusterError, NotFound  # noqa: PLC0415  --help must work without these packages

    lost = False
    while True:
        await asyncio.sleep(seconds)
        try:
            found = await poll()
        except NotFound:
            raise
        except ClusterError as error:
            if not lost:
                cluster.note(command, f"{error}; trying again")
            lost = True
            continue
        if lost:
            cluster.note(command, "the API server answers again")
            lost = False
        yield found
