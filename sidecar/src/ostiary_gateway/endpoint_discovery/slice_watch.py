"""Lists and watches the EndpointSlices of one namespace, and keeps the last good ones.

What is known stays in force while the API server is away. It is dropped where the gateway has no right to it any more:
a list that never changes again would lead to Pods that are gone.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn, TypeAlias

from ostiary_gateway.config.kubernetes_client import KubernetesApi
from ostiary_gateway.config.watch_loop import repeat
from ostiary_gateway.endpoint_discovery.endpoint_slice import SERVICE_NAME, EndpointSlice, read_slice, slice_name
from ostiary_gateway.errors import ApiForbidden, ConfigUnavailable
from ostiary_gateway.options import KubernetesOptions

_log = logging.getLogger(__name__)

#: The slices of one page of a list: one slice may hold a thousand endpoints.
_PAGE: Final = 20
#: The most Services that a selector names; of more, all slices of the namespace are watched. A URL has a bound.
_MOST_SELECTED: Final = 50
#: Seconds of work with a slice after which others get their turn: nine times as long as the work took.
_LONG_SECONDS: Final = 0.002
_PAUSES: Final = 9
_LONGEST_PAUSE_SECONDS: Final = 2.0

#: Why the endpoints of a Service are not observed, as statuses name it.
NOT_PERMITTED: Final = "NotPermitted"
API_UNAVAILABLE: Final = "ApiUnavailable"

_NO_RIGHT: Final = (
    "the gateway may not watch EndpointSlices in namespace {0}, so it connects to the Service's name: grant its "
    "ServiceAccount list and watch on endpointslices.discovery.k8s.io there"
)

Problem: TypeAlias = tuple[str, str]
Observer: TypeAlias = Callable[["SliceWatch", frozenset[str]], None]


class SliceWatch:
    """The slices of the Services of one namespace that servers need.

    ``observer`` is called with the Services whose slices changed, and with all of them when the watch itself does.
    """

    def __init__(
        self, namespace: str, services: frozenset[str], options: KubernetesOptions, observer: Observer
    ) -> None:
        self.namespace = namespace
        self._services = services
        self._options = options
        self._observer = observer
        self._slices: dict[str, EndpointSlice] = {}
        self._task: asyncio.Task[NoReturn] | None = None
        #: The Services of the last list; a Service that is not among them has not been listed.
        self.listed: frozenset[str] = frozenset()
        #: Why the slices are not, or no longer, observed; None while they are.
        self.problem: Problem | None = None
        #: Whether a list has succeeded or failed.
        self.is_tried = False

    @property
    def _path(self) -> str:
        return f"/apis/discovery.k8s.io/v1/namespaces/{self.namespace}/endpointslices"

    def start(self) -> None:
        """Watch from now on."""
        doing = f"watching the EndpointSlices of namespace {self.namespace}"
        self._task = asyncio.get_running_loop().create_task(repeat(self._guarded, doing))

    async def stop(self) -> None:
        """Watch no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def need(self, services: frozenset[str]) -> None:
        """Watch the slices of exactly these Services from now on."""
        is_new = not services <= self._services
        self._services = services
        self._slices = {name: each for name, each in self._slices.items() if each.service in services}
        self.listed &= services
        if is_new and self._task is not None:
            self._task.cancel()
            self.start()

    def slices_of(self, service: str) -> list[EndpointSlice]:
        """Return the slices of a Service."""
        return [each for each in self._slices.values() if each.service == service]

    async def _guarded(self) -> None:
        try:
            await self._watch()
        except ConfigUnavailable:
            raise
        except Exception as error:
            _log.critical("watching the EndpointSlices of %s failed: this is a bug", self.namespace, exc_info=True)
            raise ConfigUnavailable(f"{type(error).__name__} in the gateway") from error

    async def _watch(self) -> None:
        """Take the slices as they are now, then each of their changes, until the watch ends.

        Raises:
            ConfigUnavailable: the API server does not answer, or refuses.
        """
        services = self._services
        query = _selector(services)
        async with KubernetesApi(self._options) as api:
            try:
                version = await self._list(api, query, services)
            except ConfigUnavailable as error:
                self._failed(error)
                raise
            async for event, found in api.watch(self._path, {**query, "resourceVersion": version}):
                began = asyncio.get_running_loop().time()
                self._take(event, found)
                await _give_way(asyncio.get_running_loop().time() - began)

    async def _list(self, api: KubernetesApi, query: Mapping[str, str], services: frozenset[str]) -> str:
        """Take all slices in place of those known; return the version to watch from."""
        found: dict[str, EndpointSlice] = {}
        page = {**query, "limit": str(_PAGE)}
        while True:
            listed = await api.get(self._path, page)
            for each in _items(listed):
                self._keep(found, each)
            metadata = listed.get("metadata")
            metadata = metadata if isinstance(metadata, dict) else {}
            if not metadata.get("continue"):
                break
            page["continue"] = str(metadata["continue"])
        self._slices, self.listed = found, services
        self.problem, self.is_tried = None, True
        self._observer(self, services)
        return str(metadata.get("resourceVersion") or "")

    def _take(self, event: str, found: Mapping[str, Any]) -> None:
        if event not in ("ADDED", "MODIFIED", "DELETED"):
            return
        before = self._slices.pop(slice_name(found), None)
        if event != "DELETED":
            self._keep(self._slices, found)
        after = self._slices.get(slice_name(found))
        if before != after:
            self._observer(self, frozenset(each.service for each in (before, after) if each is not None))

    def _keep(self, slices: dict[str, EndpointSlice], found: Any) -> None:
        read = read_slice(found)
        if read is not None and read.service in self._services:
            slices[read.name] = read

    def _failed(self, error: ConfigUnavailable) -> None:
        if isinstance(error, ApiForbidden):
            self._slices, self.listed = {}, frozenset()
            self.problem = NOT_PERMITTED, _NO_RIGHT.format(self.namespace)
        else:
            self.problem = API_UNAVAILABLE, f"EndpointSlices of namespace {self.namespace}: {error}"
        self.is_tried = True
        self._observer(self, self._services)


def _selector(services: frozenset[str]) -> dict[str, str]:
    if len(services) > _MOST_SELECTED:
        return {}
    return {"labelSelector": f"{SERVICE_NAME} in ({','.join(sorted(services))})"}


def _items(listed: Mapping[str, Any]) -> list[Any]:
    items = listed.get("items")
    return items if isinstance(items, list) else []


async def _give_way(seconds: float) -> None:
    """Let others work after an event that took long.

    A tenant that changes large slices all the time delays its own endpoints only.
    """
    if seconds > _LONG_SECONDS:
        await asyncio.sleep(min(seconds * _PAUSES, _LONGEST_PAUSE_SECONDS))
