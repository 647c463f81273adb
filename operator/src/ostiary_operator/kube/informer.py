"""kopf as an informer: it keeps the watches alive, and every event that matters becomes a poke. Nothing else.

Only ``on.event`` handlers are used: all others write annotations or finalizers to the objects they see. kopf runs in a
thread with a loop of its own, because it takes over signals and cancels tasks of the loop that it lives in.
"""

import asyncio
import itertools
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

import kopf

from ostiary_operator.kube.changes import Changes
from ostiary_operator.kube.connection import for_kopf
from ostiary_operator.kube.kinds import Kind
from ostiary_operator.kube.options import OperatorOptions
from ostiary_operator.kube.scopes import SELECTORS, Scope

_log = logging.getLogger(__name__)

Poke = Callable[[str], None]
"""Told the kind of object that changed; called on the informer's thread."""

#: Seconds that kopf is given to end before it is left behind; its thread is a daemon.
_FAREWELL: Final = 3.0
#: Seconds between attempts to begin again after a watch ended in an error.
_RESTARTS: Final = (1.0, 2.0, 5.0, 10.0, 30.0)


class _Backoffs:
    """Seconds between a watch's attempts, without end: a watch is never given up."""

    def __iter__(self) -> Iterator[float]:
        return itertools.chain((0.1, 0.25, 0.5, 1.0), itertools.repeat(2.0))


class Informer:
    """Watches the kinds of one scope until it is stopped, and begins again if the watches end."""

    def __init__(self, scope: Scope, options: OperatorOptions, changes: Changes, poke: Poke) -> None:
        self._scope = scope
        self._options = options
        self._changes = changes
        self._poke = poke
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped: asyncio.Event | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._main, name="informer", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()
        self._ready.wait()

    async def stop(self) -> None:
        """End the watches, and wait for that a little."""
        if self._loop is not None and self._stopped is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stopped.set)
        await asyncio.to_thread(self._thread.join, _FAREWELL)

    def _main(self) -> None:
        asyncio.run(self._watch())

    async def _watch(self) -> None:
        self._loop, self._stopped = asyncio.get_running_loop(), asyncio.Event()
        self._ready.set()
        for pause in itertools.chain(_RESTARTS, itertools.repeat(_RESTARTS[-1])):
            try:
                await self._operate(self._stopped)
            except Exception as error:  # noqa: BLE001  whatever ends the watches, they begin again
                _log.warning(
                    "the watches ended, beginning again in %.0f s: %s", pause, str(error) or type(error).__name__
                )
            if self._stopped.is_set():
                return
            try:
                await asyncio.wait_for(self._stopped.wait(), pause)
            except TimeoutError:
                self._poke("watch")  # what happened meanwhile was not seen
            else:
                return

    async def _operate(self, stopped: asyncio.Event) -> None:
        where: dict[str, Any] = (
            {"clusterwide": True} if self._scope.namespaces is None else {"namespaces": self._scope.namespaces}
        )
        await kopf.operator(
            registry=make_registry(self._scope, self._options, self._changes, self._poke),
            settings=make_settings(self._scope),
            standalone=True,
            stop_flag=stopped,
            **where,
        )


def make_registry(scope: Scope, options: OperatorOptions, changes: Changes, poke: Poke) -> kopf.OperatorRegistry:
    """Return a registry with one event handler a kind, and our own login."""
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.ConnectionInfo:
        return await for_kopf(options)

    for kind in scope.kinds:
        _register(registry, kind, changes, poke)
    return registry


def _register(registry: kopf.OperatorRegistry, kind: Kind, changes: Changes, poke: Poke) -> None:
    @kopf.on.event(kind.group, kind.version, kind.plural, registry=registry, id=f"{kind.plural}-moved")
    async def moved(event: Any, **_: Any) -> None:
        obj = dict(event["object"])
        if changes.matter(kind, event["type"], obj):
            poke(kind.name)


def make_settings(scope: Scope) -> kopf.OperatorSettings:
    """Return kopf's settings for an informer."""
    settings = kopf.OperatorSettings()
    settings.scanning.disabled = True  # else it wants to watch CRDs and namespaces, and waits 54 s for the right
    settings.posting.enabled = False
    settings.peering.standalone = True
    settings.process.ultimate_exiting_timeout = None  # the process is not kopf's to kill
    settings.watching.connect_timeout = 10
    settings.watching.chunk_size = 500
    settings.watching.reconnect_backoff = 0.1
    settings.networking.error_backoffs = _Backoffs()
    settings.execution.max_workers = 1
    for kind in scope.kinds:
        if SELECTORS[kind]:
            settings.watching.label_selectors[kind.group, kind.version, kind.plural] = SELECTORS[kind]
    return settings


def quieten_logs() -> None:
    """Keep kopf from writing a line for every event, and one for every attempt while the API server is away."""
    logging.getLogger("kopf").setLevel(logging.ERROR)
    logging.getLogger("kopf.objects").setLevel(logging.ERROR)
    for noisy in ("kopf._cogs.clients", "kopf._core.reactor.running", "kopf.activities"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
