"""Watches the kinds of other operators that proxies refer to, while they are served.

Their definitions may be installed, upgraded and removed while the operator runs. Reading which kinds the API server
serves needs no right, other than a watch of definitions; it is asked whenever the referenced kinds change, and every
few seconds. While nothing is referred to, nothing is asked.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from ostiary_operator.api.objects import Object
from ostiary_operator.kube import watch_scopes
from ostiary_operator.kube.changed_namespaces import EVERYTHING
from ostiary_operator.kube.client import KubernetesClient
from ostiary_operator.kube.errors import ClusterError, NotFound
from ostiary_operator.kube.event_filter import EventFilter
from ostiary_operator.kube.informer import Enqueue, Informer
from ostiary_operator.kube.kinds import REFERENCE_GRANTS, Kind
from ostiary_operator.kube.options import OperatorOptions
from ostiary_operator.kube.watches import in_loop

_log = logging.getLogger(__name__)

#: Seconds between two looks at what the API server serves.
_LOOK: Final = 10.0


class DiscoveryClient(KubernetesClient, Protocol):
    """A client that can also read which kinds the API server serves."""

    async def document(self, path: str) -> Object:
        """Return the document at a path.

        Raises:
            NotFound: the path does not exist.
        """
        ...


class ForeignWatches:
    """Keeps the watches of foreign kinds as they should be, until it is cancelled.

    ``wanted`` returns the kinds that proxies refer to; :meth:`look` makes it be asked at once.
    """

    def __init__(
        self,
        cluster: DiscoveryClient,
        options: OperatorOptions,
        event_filter: EventFilter,
        enqueue: Enqueue,
        wanted: Callable[[], frozenset[Kind]],
    ) -> None:
        self._cluster = cluster
        self._options = options
        self._event_filter = event_filter
        self._enqueue = enqueue
        self._wanted = wanted
        self._look = asyncio.Event()
        self._served: frozenset[Kind] = frozenset()
        self._informers: list[Informer] = []

    def look(self) -> None:
        """Look again now. Call it in the loop."""
        self._look.set()

    async def run(self) -> None:
        """Watch until cancelled."""
        try:
            while True:
                self._look.clear()
                await self._renew()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._look.wait(), _LOOK)
        finally:
            await self._stop()

    async def _renew(self) -> None:
        """Start and stop watches where what is served of what is wanted has changed."""
        try:
            served = await self._serving(self._wanted())
            if served == self._served:
                return
            watched = await watch_scopes.choose(self._cluster, self._options, sorted(served, key=lambda it: it.path()))
        except ClusterError as error:
            _log.debug("kinds of other operators are watched as before: %s", error)
            return
        await self._stop()
        enqueue = in_loop(self._enqueue)
        self._informers = [Informer(scope, self._options, self._event_filter, enqueue) for scope in watched.scopes]
        for informer in self._informers:
            informer.start()
        self._served = served
        self._enqueue("definitions", EVERYTHING)

    async def _stop(self) -> None:
        informers, self._informers = self._informers, []
        self._served = frozenset()
        await asyncio.gather(*(informer.stop() for informer in informers))

    async def _serving(self, wanted: frozenset[Kind]) -> frozenset[Kind]:
        """Return which wanted kinds are served; of two versions of one kind, the first."""
        found = {kind for kind in wanted if await self._is_served(kind)}
        grants = [kind for kind in REFERENCE_GRANTS if kind in found]
        return frozenset(found.difference(grants[1:]))

    async def _is_served(self, kind: Kind) -> bool:
        try:
            document = await self._cluster.document(f"/apis/{kind.group}/{kind.version}")
        except NotFound:
            return False
        return kind.plural in _names(document.get("resources"))


def _names(resources: object) -> Iterable[str]:
    listed = resources if isinstance(resources, list) else ()
    return {str(each.get("name")) for each in listed if isinstance(each, dict)}
