"""Watches the kinds of other operators that proxies refer to, while they are served.

Their definitions may be installed, upgraded and removed while the operator runs. Reading which kinds the API server
serves needs no right, other than a watch of definitions; it is asked whenever the referenced kinds change, and every
few seconds. While nothing is referred to, nothing is asked.
"""

import asyncio
import contextlib
import logging
from collections.abc import Iterable
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
from ostiary_operator.kube.server_reader import ForeignServerReader
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

    ``reader`` says which kinds proxies refer to, and which it found installed. :meth:`look` makes it be asked at once;
    ``is_looking`` until that is over.
    """

    def __init__(
        self,
        cluster: DiscoveryClient,
        options: OperatorOptions,
        event_filter: EventFilter,
        enqueue: Enqueue,
        reader: ForeignServerReader,
    ) -> None:
        self._cluster = cluster
        self._options = options
        self._event_filter = event_filter
        self._enqueue = enqueue
        self._reader = reader
        self.is_looking = True
        self._look = asyncio.Event()
        self._served: frozenset[Kind] = frozenset()
        self._informers: list[Informer] = []

    def look(self) -> None:
        """Look again now. Call it in the loop."""
        self.is_looking = True
        self._look.set()

    async def run(self) -> None:
        """Watch until cancelled."""
        try:
            while True:
                self.is_looking = True
                self._look.clear()
                await self._renew()
                self.is_looking = self._look.is_set()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._look.wait(), _LOOK)
        finally:
            await self._stop()

    async def _renew(self) -> None:
        """Start and stop watches where what is served of what is wanted has changed."""
        try:
            found = {kind: await self._is_served(kind) for kind in self._reader.wanted}
            served = _newest(kind for kind, is_served in found.items() if is_served)
            if served != self._served:
                await self._watch(served)
            elif all(self._reader.installed.get(kind, is_served) is is_served for kind, is_served in found.items()):
                return
        except ClusterError as error:
            _log.debug("kinds of other operators are watched as before: %s", error)
            return
        self._enqueue("definitions", EVERYTHING)

    async def _watch(self, served: frozenset[Kind]) -> None:
        """Replace the watches by those of these kinds."""
        watched = await watch_scopes.choose(self._cluster, self._options, sorted(served, key=lambda it: it.path()))
        await self._stop()
        enqueue = in_loop(self._enqueue)
        self._informers = [Informer(scope, self._options, self._event_filter, enqueue) for scope in watched.scopes]
        for informer in self._informers:
            informer.start()
        self._served = served

    async def _stop(self) -> None:
        informers, self._informers = self._informers, []
        self._served = frozenset()
        await asyncio.gather(*(informer.stop() for informer in informers))

    async def _is_served(self, kind: Kind) -> bool:
        try:
            document = await self._cluster.document(f"/apis/{kind.group}/{kind.version}")
        except NotFound:
            return False
        return kind.plural in _names(document.get("resources"))


def _newest(served: Iterable[Kind]) -> frozenset[Kind]:
    """Return the kinds to watch: of two versions of one kind, the first."""
    found = set(served)
    grants = [kind for kind in REFERENCE_GRANTS if kind in found]
    return frozenset(found.difference(grants[1:]))


def _names(resources: object) -> Iterable[str]:
    listed = resources if isinstance(resources, list) else ()
    return {str(each.get("name")) for each in listed if isinstance(each, dict)}
