"""Lists and watches EndpointSlices, and keeps the last good ones.

What is known stays in force while the API server is away. It is dropped where the gateway has no right to it any more:
a list that never changes again would lead to Pods that are gone.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn, TypeAlias

from ostiary_core.kubernetes_labels import SERVICE_NAME
from ostiary_gateway.config.kubernetes_client import KubernetesApi
from ostiary_gateway.config.watch_loop import repeat
from ostiary_gateway.endpoint_discovery.endpoint_slice import (
    EndpointSlice,
    ServiceKey,
    read_slice,
    slice_key,
)
from ostiary_gateway.endpoint_discovery.known_slices import KnownSlices
from ostiary_gateway.errors import ApiForbidden, ConfigUnavailable
from ostiary_gateway.options import KubernetesOptions

_log = logging.getLogger(__name__)

#: The slices of one page of a list: one slice may hold a thousand endpoints.
_PAGE: Final = 20
#: The most Services that a selector names; of more, all slices of the namespace are watched. A URL has a bound.
_MOST_SELECTED: Final = 50
#: Seconds of work with a slice after which others get their turn: nine times as long as the work took; in a watch of
#: all namespaces as long as it took, since all of them wait.
_LONG_SECONDS: Final = 0.002
_PAUSES: Final = 9
_PAUSES_OF_ALL: Final = 1
_LONGEST_PAUSE_SECONDS: Final = 2.0

#: Why the endpoints of a Service are not observed, as statuses name it.
NOT_PERMITTED: Final = "NotPermitted"
API_UNAVAILABLE: Final = "ApiUnavailable"

_NO_RIGHT: Final = (
    "the gateway may not watch EndpointSlices in namespace {0}, so it connects to the Service's name: grant its "
    "ServiceAccount list and watch on endpointslices.discovery.k8s.io there"
)

Problem: TypeAlias = tuple[str, str]
Observer: TypeAlias = Callable[["SliceWatch", frozenset[ServiceKey]], None]


class SliceWatch:
    """The slices of the Services that servers need.

    They are of one namespace, or with an empty one of all.
    ``observer`` is called with the Services whose slices changed, and with all of them when the watch itself does.
    """

    def __init__(
        self, namespace: str, services: frozenset[ServiceKey], options: KubernetesOptions, observer: Observer
    ) -> None:
        self.namespace = namespace
        self._services = services
        self._options = options
        self._observer = observer
        self._slices = KnownSlices(services)
        self._task: asyncio.Task[NoReturn] | None = None
        #: The Services of the last list; a Service that is not among them has not been listed.
        self.listed: frozenset[ServiceKey] = frozenset()
        #: Why the slices are not, or no longer, observed; None while they are.
        self.problem: Problem | None = None
        #: Whether a list has succeeded or failed.
        self.is_tried = False

    @property
    def _path(self) -> str:
        scope = f"namespaces/{self.namespace}/" if self.namespace else ""
        return f"/apis/discovery.k8s.io/v1/{scope}endpointslices"

    @property
    def _title(self) -> str:
        return f"the EndpointSlices of {f'namespace {self.namespace}' if self.namespace else 'all namespaces'}"

    def start(self) -> None:
        """Watch from now on."""
        self._task = asyncio.get_running_loop().create_task(repeat(self._guarded, f"watching {self._title}"))

    async def stop(self) -> None:
        """Watch no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def need(self, services: frozenset[ServiceKey]) -> None:
        """Watch the slices of exactly these Services from now on."""
        is_new = not services <= self._services
        self._services = services
        self._slices = self._slices.restricted(services)
        self.listed &= services
        if is_new and self._task is not None:
            self._task.cancel()
            self.start()

    def slices_of(self, service: ServiceKey) -> list[EndpointSlice]:
        """Return the slices of a Service."""
        return list(self._slices.of(service).values())

    async def _guarded(self) -> None:
        try:
            await self._watch()
        except ConfigUnavailable:
            raise
        except Exception as error:
            _log.critical("watching %s failed: this is a bug", self._title, exc_info=True)
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
                seconds = asyncio.get_running_loop().time() - began
                await _give_way(seconds, pauses=_PAUSES if self.namespace else _PAUSES_OF_ALL)

    async def _list(self, api: KubernetesApi, query: Mapping[str, str], services: frozenset[ServiceKey]) -> str:
        """Take all slices in place of those known; return the version to watch from."""
        found = KnownSlices(services)
        page = {**query, "limit": str(_PAGE)}
        while True:
            listed = await api.get(self._path, page)
            for each in _items(listed):
                found.replace(slice_key(each), read_slice(each))
            metadata = listed.get("metadata")
            metadata = metadata if isinstance(metadata, dict) else {}
            if not metadata.get("continue"):
                break
            page["continue"] = str(metadata["continue"])
        changed = services
        if self.problem is None:  # most lists confirm what is known
            known, before = self._slices, self.listed
            changed = frozenset(each for each in services if each not in before or found.of(each) != known.of(each))
        self._slices, self.listed = found, services
        self.problem, self.is_tried = None, True
        self._observer(self, changed)
        return str(metadata.get("resourceVersion") or "")

    def _take(self, event: str, found: Mapping[str, Any]) -> None:
        if event not in ("ADDED", "MODIFIED", "DELETED"):
            return
        changed = self._slices.replace(slice_key(found), None if event == "DELETED" else read_slice(found))
        if changed:
            self._observer(self, changed)

    def _failed(self, error: ConfigUnavailable) -> None:
        if isinstance(error, ApiForbidden):
            self._slices, self.listed = KnownSlices(self._services), frozenset()
            self.problem = NOT_PERMITTED, _NO_RIGHT.format(self.namespace)
        else:
            self.problem = API_UNAVAILABLE, f"{self._title}: {error}"
        self.is_tried = True
        self._observer(self, self._services)


def _selector(services: frozenset[ServiceKey]) -> dict[str, str]:
    names = sorted({name for _, name in services})
    return {"labelSelector": f"{SERVICE_NAME} in ({','.join(names)})"} if len(names) <= _MOST_SELECTED else {}


def _items(listed: Mapping[str, Any]) -> list[Any]:
    items = listed.get("items")
    return items if isinstance(items, list) else []


async def _give_way(seconds: float, *, pauses: int) -> None:
    """Let others work after an event that took long, ``pauses`` times as long.

    A tenant that changes large slices all the time delays its own endpoints, and little else.
    """
    if seconds > _LONG_SECONDS:
        await asyncio.sleep(min(seconds * pauses, _LONGEST_PAUSE_SECONDS))
