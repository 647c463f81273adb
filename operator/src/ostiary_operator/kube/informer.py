"""kopf as an informer: it keeps the watches open, and its event handlers enqueue passes.

Only ``on.event`` handlers are used, since all others write annotations or finalizers to the watched objects. kopf runs
in a thread with a loop of its own, because it installs signal handlers and cancels tasks of its loop.
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

from ostiary_operator.api import labels
from ostiary_operator.api.objects import Object, name_of, namespace_of
from ostiary_operator.kube.changed_namespaces import EVERYTHING, ChangedNamespaces
from ostiary_operator.kube.credentials import close_at_once, load, open_session
from ostiary_operator.kube.errors import Unreachable
from ostiary_operator.kube.event_filter import EventFilter
from ostiary_operator.kube.kinds import CONFIG_MAP, NAMESPACE, Kind
from ostiary_operator.kube.options import OperatorOptions
from ostiary_operator.kube.watch_scopes import Scope

_log = logging.getLogger(__name__)

Enqueue = Callable[[str, ChangedNamespaces], None]
"""Called with the kind of the changed object, or :data:`PLATFORM_SETTINGS`, and its namespace, in the informer's
thread."""

#: Enqueued in place of the kind for settings in the operator's own namespace, which the platform writes.
PLATFORM_SETTINGS: Final = "settings"
#: Seconds to wait for each step of kopf's shutdown, and for all of it. Then its thread, a daemon, is abandoned.
_PATIENCE: Final = 0.5
_SHUTDOWN_TIMEOUT: Final = 3.0
#: Seconds between restarts after a watch ended in an error; after a run of _LONG_RUN seconds they start from the first.
_RESTARTS: Final = (1.0, 2.0, 5.0, 10.0, 30.0)
_LONG_RUN: Final = 60.0
#: Seconds within which kopf requests every kind, after it has read which API groups exist.
_DISCOVERY: Final = 3.0


class _Backoffs:
    """The endless sequence of back-offs, in seconds, between attempts to watch."""

    def __iter__(self) -> Iterator[float]:
        return itertools.chain((0.1, 0.25, 0.5, 1.0), itertools.repeat(2.0))


class Informer:
    """Watches the kinds of one scope until it is stopped; restarts watches that end."""

    def __init__(self, scope: Scope, options: OperatorOptions, event_filter: EventFilter, enqueue: Enqueue) -> None:
        self._scope = scope
        self._options = options
        self._event_filter = event_filter
        self._enqueue = enqueue
        self._end = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(target=self._main, name="informer", daemon=True)

    def start(self) -> None:
        """Start to watch."""
        self._thread.start()

    async def stop(self) -> None:
        """Stop the watches, and wait a limited time for their end."""
        logging.getLogger("kopf").setLevel(logging.CRITICAL)  # errors of its shutdown do not matter
        self._end.set()
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: the thread waits between two restarts
                self._loop.call_soon_threadsafe(self._stopping.set)
        await asyncio.to_thread(self._thread.join, _SHUTDOWN_TIMEOUT)

    def _main(self) -> None:
        pauses = _pauses()
        while True:
            began = time.monotonic()
            reason = "kopf ended on its own"
            try:
                asyncio.run(self._watch())
            except Exception as error:  # noqa: BLE001  any error ends the watches, and they restart
                reason = str(error) or type(error).__name__
            if time.monotonic() - began > _LONG_RUN:
                pauses = _pauses()
            pause = next(pauses)
            if not self._end.is_set():
                _log.warning("the watches ended, restarting in %.0f s: %s", pause, reason)
            if self._end.wait(pause):
                return
            self._enqueue("watch", EVERYTHING)  # events in the meantime were missed

    async def _watch(self) -> None:
        """Run kopf until :meth:`stop` is called or it fails."""
        self._stopping, self._loop = asyncio.Event(), asyncio.get_running_loop()
        self._loop.set_exception_handler(_quietly)
        if self._end.is_set():
            return
        login = Login(self._options, self._scope.kinds, lambda: self._enqueue("watch", EVERYTHING))
        stopping = asyncio.ensure_future(_until(self._stopping, login.watching))
        unwatched = asyncio.ensure_future(_fail_if_unwatched(login))
        try:
            operator = asyncio.ensure_future(self._operator(login, stopping))
            await asyncio.wait({operator, stopping, unwatched}, return_when=asyncio.FIRST_COMPLETED)
            if unwatched.done():
                unwatched.result()
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
            registry=make_registry(
                self._scope,
                login,
                self._event_filter,
                self._enqueue,
                operator_namespace=self._options.operator_namespace,
            ),
            settings=make_settings(self._scope),
            standalone=True,
            stop_flag=stopping,
            **where,
        )


def _pauses() -> Iterator[float]:
    return itertools.chain(_RESTARTS, itertools.repeat(_RESTARTS[-1]))


async def _fail_if_unwatched(login: "Login") -> Never:
    """Fail if kopf does not watch every kind; else wait forever.

    kopf runs API discovery once, and never again for kinds that were missing then: because their CRD was deleted, or
    because the API server had only just started.
    """
    await login.discovered.wait()
    await asyncio.sleep(_DISCOVERY)
    if login.unrequested:
        raise Unreachable(f"the API server does not serve {', '.join(sorted(login.unrequested))} yet")
    while True:
        await asyncio.Event().wait()


async def _until(stopping: asyncio.Event, watching: asyncio.Event) -> None:
    """Wait until stopped, then briefly until kopf watches, since its shutdown fails before."""
    await stopping.wait()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(watching.wait(), _PATIENCE)


async def _cancel_others() -> None:
    """Cancel the tasks that kopf left running, so that their connections close."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    if others:
        await asyncio.wait(others, timeout=_PATIENCE)
    await asyncio.get_running_loop().shutdown_asyncgens()


class Login:
    """Logs kopf in, again whenever its credentials are rejected.

    The sessions are ours, so that we can close them. ``watching`` is set once kopf watches any kind. Before that it
    must not be stopped: it would close connections that it still waits for. ``discovered`` is set once the API server
    has returned its API groups; ``unrequested`` are the kinds that kopf has not requested yet. ``on_listed`` is called
    whenever kopf has listed again and watches from there: no event reports what was deleted before that.
    """

    def __init__(self, options: OperatorOptions, kinds: Iterable[Kind], on_listed: Callable[[], None]) -> None:
        self.watching = asyncio.Event()
        self.discovered = asyncio.Event()
        self.unrequested = {kind.plural for kind in kinds}
        self._options = options
        self._on_listed = on_listed
        self._listing: set[str] = set()
        self._sessions: list[aiohttp.ClientSession] = []

    async def log_in(self, **_: Any) -> kopf.AiohttpSession:
        """Read the credentials again, and open a session with them."""
        try:
            configuration = await load(self._options)
        except Unreachable as error:
            raise kopf.LoginError(str(error)) from error
        trace = aiohttp.TraceConfig()
        trace.on_request_start.append(self._on_request)
        trace.on_request_end.append(self._on_response)
        session = await open_session(configuration, trace)
        self._sessions.append(session)
        return kopf.AiohttpSession(server=configuration.host, aiohttp_session=session)

    async def _on_request(self, *args: Any) -> None:
        request: aiohttp.TraceRequestStartParams = args[-1]
        self.on_request(request.url)

    async def _on_response(self, *args: Any) -> None:
        request: aiohttp.TraceRequestEndParams = args[-1]
        if request.url.name == "apis" and request.response.ok:
            self.discovered.set()

    def on_request(self, url: URL) -> None:
        """Record a request that kopf sends."""
        self.unrequested.discard(url.name)
        if "watch" in url.query:
            self.watching.set()
            was_listing = url.path in self._listing
            self._listing.discard(url.path)
            if was_listing and not self._listing:
                self._on_listed()
        elif "limit" in url.query:
            self._listing.add(url.path)

    async def close(self) -> None:
        """Close all sessions, since their loop ends now."""
        await close_at_once(*self._sessions)


def _quietly(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    _log.debug("in the informer's loop: %s", context.get("message"))


def make_registry(
    scope: Scope, login: Login, event_filter: EventFilter, enqueue: Enqueue, *, operator_namespace: str
) -> kopf.OperatorRegistry:
    """Return a registry with one event handler for each kind, and our own login."""
    registry = kopf.OperatorRegistry()
    kopf.on.login(registry=registry, id="login")(login.log_in)
    for kind in scope.kinds:
        _register(registry, kind, event_filter, enqueue, operator_namespace)
    return registry


def _register(
    registry: kopf.OperatorRegistry, kind: Kind, event_filter: EventFilter, enqueue: Enqueue, operator_namespace: str
) -> None:
    @kopf.on.event(kind.group, kind.version, kind.plural, registry=registry, id=f"{kind.plural}-changed")
    async def changed(event: Any, **_: Any) -> None:
        obj = dict(event["object"])
        if event_filter.matters(kind, event["type"], obj):
            enqueue(_reason(kind, obj, operator_namespace), _place(kind, obj))


def _reason(kind: Kind, obj: Object, operator_namespace: str) -> str:
    is_platform = namespace_of(obj) == operator_namespace and labels.of(obj).get(labels.USAGE) == labels.SETTINGS_USAGE
    return PLATFORM_SETTINGS if kind == CONFIG_MAP and is_platform else kind.name


def _place(kind: Kind, obj: Object) -> ChangedNamespaces:
    return ChangedNamespaces.within([name_of(obj) if kind == NAMESPACE else namespace_of(obj)])


def make_settings(scope: Scope) -> kopf.OperatorSettings:
    """Return kopf's settings for an informer."""
    settings = kopf.OperatorSettings()
    settings.scanning.disabled = True  # otherwise kopf watches CRDs and namespaces, and waits 54 s for the right
    settings.posting.enabled = False
    settings.peering.standalone = True
    settings.process.ultimate_exiting_timeout = None  # kopf must not kill the process
    settings.watching.connect_timeout = 10
    settings.watching.chunk_size = 100
    settings.watching.reconnect_backoff = 0.1
    settings.networking.error_backoffs = _Backoffs()
    settings.queueing.idle_timeout = 0.1  # kopf keeps each object's last event for this time
    settings.execution.max_workers = 1
    for kind in scope.kinds:
        if selector := scope.selector(kind):
            settings.watching.label_selectors[kind.group, kind.version, kind.plural] = selector
    return settings


def quieten_logs() -> None:
    """Keep kopf from logging every event, and every attempt while the API server is down."""
    logging.getLogger("kopf").setLevel(logging.ERROR)
    logging.getLogger("kopf.objects").setLevel(logging.ERROR)
    for noisy in ("kopf._cogs.clients", "kopf._core.reactor", "kopf.activities"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
