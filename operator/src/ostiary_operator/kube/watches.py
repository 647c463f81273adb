"""Starts and stops all watches of the operator, in the scopes that its rights permit."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from typing import Final

from ostiary_operator.kube import watch_scopes
from ostiary_operator.kube.changed_namespaces import ChangedNamespaces
from ostiary_operator.kube.client import KubernetesClient
from ostiary_operator.kube.errors import ClusterError
from ostiary_operator.kube.event_filter import EventFilter
from ostiary_operator.kube.informer import Enqueue, Informer
from ostiary_operator.kube.kinds import OURS
from ostiary_operator.kube.options import OperatorOptions
from ostiary_operator.kube.watch_scopes import RESYNC_UNWATCHED, Watched

_log = logging.getLogger(__name__)

#: Seconds until the permissions to watch are checked again after a failure.
_AGAIN: Final = 2.0

OnChosen = Callable[[Watched], None]
"""Called with what is watched and what is not."""


async def watch(
    cluster: KubernetesClient,
    options: OperatorOptions,
    event_filter: EventFilter,
    enqueue: Enqueue,
    *,
    on_chosen: OnChosen,
) -> None:
    """Watch until cancelled. ``enqueue`` is called in this loop."""
    watched = await _chosen(cluster, options)
    on_chosen(watched)
    log_unwatched(watched)
    enqueue_here = in_loop(enqueue)
    async with _informing([Informer(scope, options, event_filter, enqueue_here) for scope in watched.scopes]):
        await asyncio.Event().wait()


def in_loop(enqueue: Enqueue) -> Enqueue:
    """Return a function that calls another in the running loop, from the threads of informers."""
    loop = asyncio.get_running_loop()

    def enqueue_here(reason: str, changed: ChangedNamespaces) -> None:
        with contextlib.suppress(RuntimeError):  # our loop is closed: the event no longer matters
            loop.call_soon_threadsafe(enqueue, reason, changed)

    return enqueue_here


async def _chosen(cluster: KubernetesClient, options: OperatorOptions) -> Watched:
    while True:
        try:
            return await watch_scopes.choose(cluster, options)
        except ClusterError as error:
            _log.warning("no watch is open yet: %s", error)
            await asyncio.sleep(_AGAIN)


def log_unwatched(watched: Watched) -> None:
    """Log which kinds are not watched.

    It is a warning for our own kinds, whose changes are then seen late; the chart grants no right to watch the others.
    """
    ours = [kind.resource for kind in OURS if kind.resource in watched.missing]
    others = [name for name in watched.missing if name not in ours]
    if ours:
        message = "no right to list and watch %s everywhere: changes are seen within %.0f s; see the chart's roles"
        _log.warning(message, ", ".join(ours), RESYNC_UNWATCHED)
    if others:
        message = "read every %.0f s where they are not watched, which needs no further right: %s"
        _log.info(message, RESYNC_UNWATCHED, ", ".join(others))


@contextlib.asynccontextmanager
async def _informing(informers: list[Informer]) -> AsyncIterator[None]:
    for informer in informers:
        informer.start()
    try:
        yield
    finally:
        await asyncio.gather(*(informer.stop() for informer in informers))
