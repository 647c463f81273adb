"""kopf as an informer: it keeps the watches alive, and every event that matters becomes a poke. Nothing else.

Only ``on.event`` handlers are used: all others write annotations or finalizers to the objects they see. kopf runs in a
thread with a loop of its own, because it takes over signals and cancels tasks of the loop that it lives in.
"""

import asyncio
import contextlib
import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, Never

import aiohttp
import kopf
from yarl import URL

from ostiary_operator.kube.changes import EventFilter
from ostiary_operator.kube.client import Object, name_of, namespace_of
from ostiary_operator.kube.connection import close_at_once, load, open_session
from ostiary_operator.kube.errors import Unreachable
from ostiary_operator.kube.kinds import NAMESPACE, Kind
from ostiary_operator.kube.options import OperatorOptions
from ostiary_operator.kube.scopes import Scope
from ostiary_operator.moved import EVERYTHING, ChangedNamespaces

_log = logging.getLogger(__name__)

Enqueue = Callable[[str, ChangedNamespaces], None]
"""Told the kind of object that changed, and where. An informer calls it on its own thread."""

#: Seconds that each step of kopf's end is waited for, and that all of it is: then its thread, a daemon, is left behind.
_PATIENCE: Final = 0.5
_FAREWELL: Final = 3.0
#: Seconds between attempts to begin again after a watch ended in an error; from the first one after so long a run.
_RESTARTS: Final = (1.0, 2.0, 5.0, 10.0, 30.0)
_LONG_RUN: Final = 60.0
#: Seconds in which kopf asks for every kind, once it was told what the API server offers.
_DISCOVERY: Final = 3.0


class _Backoffs:
    """Seconds between a watch's attempts, without end: a watch is never given up."""

    def __iter__(self) -> Iterator[float]:
        return itertools.chain((0.1, 0.25, 0.5, 1.0), itertools.repeat(2.0))


class Informer:
    """Watches the kinds of one scope until it is stopped, and begins again if the watches end."""

    def __init__(self, scope: Scope, options: OperatorOptions, changes: EventFilter, enqueue: Enqueue) -> None:
        self._scope = scope
        self._options = options
        self._changes = changes
        self._enqueue = enqueue
        self._end = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._told = asyncio.Event()
        self._thread = threading.Thread(target=self._main, name="informer", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    async def stop(self) -> None:
        """End the watches, and wait for that a little."""
        logging.getLogger("kopf").setLevel(logging.CRITICAL)  # how it ends is nobody's concern
        self._end.set()
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: it pauses between two attempts
                self._loop.call_soon_threadsafe(self._told.set)
        await asyncio.to_thread(self._thread.join, _FAREWELL)

    def _main(self) -> None:
        pauses = _pauses()
        while True:
            began = time.monotonic()
            reason = "kopf ended on its own"
            try:
                asyncio.run(self._watch())
            except Exception as error:  # noqa: BLE001  whatever ends the watches, they begin again
                reason = str(error) or type(error).__name__
            if time.monotonic() - began > _LONG_RUN:
                pauses = _pauses()
            pause = next(pauses)
            if not self._end.is_set():
                _log.warning("the watches ended, beginning again in %.0f s: %s", pause, reason)
            if self._end.wait(pause):
                return
            self._enqueue("watch", EVERYTHING)  # what happened meanwhile was not seen

    async def _watch(self) -> None:
        """Let kopf watch until we are told to stop, or it fails."""
        self._told, self._loop = asyncio.Event(), asyncio.get_running_loop()
        self._loop.set_exception_handler(_quietly)
        if self._end.is_set():
            return
        login = Login(self._options, self._scope.kinds, lambda: self._enqueue("watch", EVERYTHING))
        stopping = asyncio.ensure_future(_until(self._told, login.watching))
        lacking = asyncio.ensure_future(_lacking(login))
        try:
            operator = asyncio.ensure_future(self._operator(login, stopping))
            await asyncio.wait({operator, stopping, lacking}, return_when=asyncio.FIRST_COMPLETED)
            if lacking.done():
                lacking.result()
            await asyncio.wait({operator}, timeout=_PATIENCE if stopping.done() else None)
            if operator.done():
                operator.result()
        finally:
            await _cancel_others()
            await login.close()

    async def _operator(self, login: "Login", stopping: asyncio.Future[None]) -> None:
        where: dict[str, Any] = (
            {"clusterwide": True} if self._scope.namespaces is None else {"namespaces": self._scope.namespaces}
        )
        await kopf.operator(
            registry=make_registry(self._scope, login, self._changes, self._enqueue),
            settings=make_settings(self._scope),
            standalone=True,
            stop_flag=stopping,
            **where,
        )


def _pauses() -> Iterator[float]:
    return itertools.chain(_RESTARTS, itertools.repeat(_RESTARTS[-1]))


async def _lacking(login: "Login") -> Never:
    """Fail if kopf does not watch every kind; else wait without end.

    It asks the API server once what it offers, and never looks for what was not there: a definition that was deleted,
    or any at all of an API server that has only just begun.
    """
    await login.discovered.wait()
    await asyncio.sleep(_DISCOVERY)
    if login.unasked:
        raise Unreachable(f"the API server has not said that it offers {', '.join(sorted(login.unasked))}")
    while True:
        await asyncio.Event().wait()


async def _until(told: asyncio.Event, watching: asyncio.Event) -> None:
    """Wait to be told to stop, and then a little for kopf to be past its discovery: before that it ends badly."""
    await told.wait()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(watching.wait(), _PATIENCE)


async def _cancel_others() -> None:
    """End what kopf left behind, so that it lets go of its connections."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    if others:
        await asyncio.wait(others, timeout=_PATIENCE)
    await asyncio.get_running_loop().shutdown_asyncgens()


class Login:
    """Logs kopf in, again whenever its credentials are refused. The sessions are ours, so that we can close them.

    ``watching`` is set once kopf watches anything. Before that it must not be told to stop: it would close connections
    that it goes on to wait for. ``discovered`` is set once the API server has said which groups it offers, ``unasked``
    are the kinds that kopf did not ask for yet. ``on_listed`` is called whenever kopf has listed anew, and watches from
    there on: what was deleted before that, no event ever told.
    """

    def __init__(self, options: OperatorOptions, kinds: Iterable[Kind], on_listed: Callable[[], None]) -> None:
        self.watching = asyncio.Event()
        self.discovered = asyncio.Event()
        self.unasked = {kind.plural for kind in kinds}
        self._options = options
        self._on_listed = on_listed
        self._listing: set[str] = set()
        self._sessions: list[aiohttp.ClientSession] = []

    async def log_in(self, **_: Any) -> kopf.AiohttpSession:
        """Read the credentials afresh, and open a session with them."""
        try:
            configuration = await load(self._options)
        except Unreachable as error:
            raise kopf.LoginError(str(error)) from error
        trace = aiohttp.TraceConfig()
        trace.on_request_start.append(self._sees)
        trace.on_request_end.append(self._answered)
        session = await open_session(configuration, trace)
        self._sessions.append(session)
        return kopf.AiohttpSession(server=configuration.host, aiohttp_session=session)

    async def _sees(self, *args: Any) -> None:
        request: aiohttp.TraceRequestStartParams = args[-1]
        self.sees(request.url)

    async def _answered(self, *args: Any) -> None:
        request: aiohttp.TraceRequestEndParams = args[-1]
        if request.url.name == "apis" and request.response.ok:
            self.discovered.set()

    def sees(self, url: URL) -> None:
        """Note a request of kopf's."""
        self.unasked.discard(url.name)
        if "watch" in url.query:
            self.watching.set()
            was_listing = url.path in self._listing
            self._listing.discard(url.path)
            if was_listing and not self._listing:
                self._on_listed()
        elif "limit" in url.query:
            self._listing.add(url.path)

    async def close(self) -> None:
        """Close all sessions: their loop ends now."""
        await close_at_once(*self._sessions)


def _quietly(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    _log.debug("in the informer's loop: %s", context.get("message"))


def make_registry(scope: Scope, login: Login, changes: EventFilter, enqueue: Enqueue) -> kopf.OperatorRegistry:
    """Return a registry with one event handler a kind, and our own login."""
    registry = kopf.OperatorRegistry()
    kopf.on.login(registry=registry, id="login")(login.log_in)
    for kind in scope.kinds:
        _register(registry, kind, changes, enqueue)
    return registry


def _register(registry: kopf.OperatorRegistry, kind: Kind, changes: EventFilter, enqueue: Enqueue) -> None:
    @kopf.on.event(kind.group, kind.version, kind.plural, registry=registry, id=f"{kind.plural}-moved")
    async def changed(event: Any, **_: Any) -> None:
        obj = dict(event["object"])
        if changes.matters(kind, event["type"], obj):
            enqueue(kind.name, _place(kind, obj))


def _place(kind: Kind, obj: Object) -> ChangedNamespaces:
    return ChangedNamespaces.within([name_of(obj) if kind == NAMESPACE else namespace_of(obj)])


def make_settings(scope: Scope) -> kopf.OperatorSettings:
    """Return kopf's settings for an informer."""
    settings = kopf.OperatorSettings()
    settings.scanning.disabled = True  # else it wants to watch CRDs and namespaces, and waits 54 s for the right
    settings.posting.enabled = False
    settings.peering.standalone = True
    settings.process.ultimate_exiting_timeout = None  # the process is not kopf's to kill
    settings.watching.connect_timeout = 10
    settings.watching.chunk_size = 100
    settings.watching.reconnect_backoff = 0.1
    settings.networking.error_backoffs = _Backoffs()
    settings.queueing.idle_timeout = 0.1  # it keeps an object's last event for so long: of thousands, a lot of memory
    settings.execution.max_workers = 1
    for kind in scope.kinds:
        if selector := scope.selector(kind):
            settings.watching.label_selectors[kind.group, kind.version, kind.plural] = selector
    return settings


def quieten_logs() -> None:
    """Keep kopf from writing a line for every event, and one for every attempt while the API server is away."""
    logging.getLogger("kopf").setLevel(logging.ERROR)
    logging.getLogger("kopf.objects").setLevel(logging.ERROR)
    for noisy in ("kopf._cogs.clients", "kopf._core.reactor", "kopf.activities"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
