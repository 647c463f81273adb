"""All watches of the operator: chosen by its rights, kept alive, ended together."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from typing import Final

from ostiary_operator.kube import scopes
from ostiary_operator.kube.changes import Changes
from ostiary_operator.kube.client import Cluster
from ostiary_operator.kube.errors import ClusterError
from ostiary_operator.kube.informer import Informer, Poke
from ostiary_operator.kube.kinds import OURS
from ostiary_operator.kube.options import OperatorOptions
from ostiary_operator.kube.scopes import Watched
from ostiary_operator.moved import Moved

_log = logging.getLogger(__name__)

#: Seconds until the API server is asked again what may be watched.
_AGAIN: Final = 2.0

OnChosen = Callable[[Watched], None]
"""Told what is watched, and what is not."""


async def watch(
    cluster: Cluster, options: OperatorOptions, changes: Changes, poke: Poke, *, on_chosen: OnChosen
) -> None:
    """Watch until cancelled. ``poke`` is called on this loop."""
    watched = await _chosen(cluster, options)
    on_chosen(watched)
    _tell(watched)
    loop = asyncio.get_running_loop()

    def poke_here(reason: str, moved: Moved) -> None:  # called on an informer's thread
        with contextlib.suppress(RuntimeError):  # our loop is closed: too late
            loop.call_soon_threadsafe(poke, reason, moved)

    async with _informing([Informer(scope, options, changes, poke_here) for scope in watched.scopes]):
        await asyncio.Event().wait()


async def _chosen(cluster: Cluster, options: OperatorOptions) -> Watched:
    while True:
        try:
            return await scopes.choose(cluster, options)
        except ClusterError as error:
            _log.warning("nothing is watched yet: %s", error)
            await asyncio.sleep(_AGAIN)


def _tell(watched: Watched) -> None:
    """Say what is not watched: without our own kinds the operator is slow, the others matter less."""
    if not watched.missing:
        return
    level = logging.WARNING if {kind.resource for kind in OURS} & set(watched.missing) else logging.INFO
    _log.log(level, "no right to watch these everywhere, so changes are seen later: %s", ", ".join(watched.missing))


@contextlib.asynccontextmanager
async def _informing(informers: list[Informer]) -> AsyncIterator[None]:
    for informer in informers:
        informer.start()
    try:
        yield
    finally:
        await asyncio.gather(*(informer.stop() for informer in informers))
