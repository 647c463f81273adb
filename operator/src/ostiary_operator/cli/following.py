"""`--watch` of the commands that look at a cluster: the answer once, and then whatever changes, until Ctrl-C.

It asks every two seconds rather than holding a watch, so that it needs no right but those that the answer needs.
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
        "-w", "--watch", action="store_true", help="go on, and tell every change until Ctrl-C (tables only)"
    )


def unfit(arguments: argparse.Namespace) -> str | None:
    """Return why `--watch` does not go with the other arguments, or None."""
    if arguments.watch and arguments.output in {"json", "yaml"}:
        return f"--watch shows tables, and -o {arguments.output} one object: leave one of them out"
    return None


async def polls(look: Callable[[], Awaitable[T]], *, command: str, seconds: float = _SECONDS) -> AsyncIterator[T]:
    """Yield what further looks find; say once when the API server does not answer, and when it does again.

    Raises:
        NotFound: what was named does not exist any more.
    """
    from ostiary_operator.kube.errors import ClusterError, NotFound  # noqa: PLC0415  help does without any of this

    lost = False
    while True:
        await asyncio.sleep(seconds)
        try:
            found = await look()
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
