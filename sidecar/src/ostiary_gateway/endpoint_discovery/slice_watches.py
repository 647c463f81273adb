"""The watches that a gateway needs: one for each namespace, or one for all.

A watch is a connection to the API server, and costs some hundred kilobytes. Servers of more namespaces than
``MOST_NAMESPACES`` share one watch of all of them, where the gateway has that right.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from ostiary_gateway.endpoint_discovery.endpoint_slice import ServiceKey
from ostiary_gateway.endpoint_discovery.slice_watch import NOT_PERMITTED, SliceWatch
from ostiary_gateway.options import KubernetesOptions

#: The most namespaces that have watches of their own, unless the gateway may not watch all of them at once.
MOST_NAMESPACES: Final = 32


class SliceWatches:
    """The watches that are open; ``changed`` is called with the Services whose slices changed."""

    def __init__(self, options: KubernetesOptions, changed: Callable[[Iterable[ServiceKey]], None]) -> None:
        self._options = options
        self._changed = changed
        self._services: frozenset[ServiceKey] = frozenset()
        self._by_namespace: dict[str, SliceWatch] = {}
        self._of_all: SliceWatch | None = None
        self._is_refused = False
        self._ending: set[asyncio.Task[None]] = set()

    def need(self, services: frozenset[ServiceKey]) -> None:
        """Watch the slices of exactly these Services from now on."""
        self._services = services
        namespaces = {namespace for namespace, _ in services}
        for namespace in self._by_namespace.keys() - namespaces:
            self._end(self._by_namespace.pop(namespace))
        if self._of_all is not None:
            self._of_all.need(services)
        elif len(namespaces) > MOST_NAMESPACES and not self._is_refused:
            # Those that are open go on until this one has listed what they know.
            self._of_all = self._started("", services)
        else:
            self._watch_each(namespaces)

    def _watch_each(self, namespaces: Iterable[str]) -> None:
        for namespace in namespaces:
            services = frozenset(each for each in self._services if each[0] == namespace)
            if namespace in self._by_namespace:
                self._by_namespace[namespace].need(services)
            else:
                self._by_namespace[namespace] = self._started(namespace, services)

    def _started(self, namespace: str, services: frozenset[ServiceKey]) -> SliceWatch:
        watch = SliceWatch(namespace, services, self._options, self._observe)
        watch.start()
        return watch

    def of(self, service: ServiceKey) -> SliceWatch | None:
        """Return the watch that knows a Service, or will."""
        if self._of_all is not None and service in self._of_all.listed:
            return self._of_all
        return self._by_namespace.get(service[0], self._of_all)

    def _observe(self, watch: SliceWatch, services: frozenset[ServiceKey]) -> None:
        if watch is self._of_all:
            self._judge(watch)
        elif self._by_namespace.get(watch.namespace) is not watch:
            return  # it ends
        self._changed(services)

    def _judge(self, of_all: SliceWatch) -> None:
        """Use the watch of all namespaces in place of the others, or the others in place of it."""
        if of_all.problem is not None and of_all.problem[0] == NOT_PERMITTED:
            self._of_all, self._is_refused = None, True
            self._end(of_all)
            self._watch_each({namespace for namespace, _ in self._services})
        elif of_all.listed:
            for watch in self._by_namespace.values():
                self._end(watch)
            self._by_namespace.clear()

    def _end(self, watch: SliceWatch) -> None:
        ending = asyncio.get_running_loop().create_task(watch.stop())
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)

    @property
    def are_tried(self) -> bool:
        """Whether each of them has listed, or failed to."""
        return all(watch.is_tried for watch in self._open)

    @property
    def _open(self) -> list[SliceWatch]:
        return [*self._by_namespace.values(), *([self._of_all] if self._of_all is not None else [])]

    async def close(self) -> None:
        """Watch no more."""
        await asyncio.gather(*(watch.stop() for watch in self._open), *self._ending)
