"""The operator put together: who pokes whom, what starts when, and how all of it ends."""

import asyncio
import contextlib
import functools
import logging
import random
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

from ostiary_core.errors import OstiaryError
from ostiary_operator.admin import AdminServer
from ostiary_operator.candidacy import candidate, wait_until_leading
from ostiary_operator.claims import NamespaceOwnership, OwnsEverything
from ostiary_operator.clock import Clock, SystemClock
from ostiary_operator.delivery.writer import ConfigWriter
from ostiary_operator.election import LeaderElector
from ostiary_operator.kube import connection, watches
from ostiary_operator.kube.api_servers import ApiServerReader
from ostiary_operator.kube.changes import EventFilter
from ostiary_operator.kube.client import KubernetesClient
from ostiary_operator.kube.fenced import FencedClient
from ostiary_operator.kube.informer import quieten_logs
from ostiary_operator.kube.lookout import Lister
from ostiary_operator.kube.measured import MeasuredClient
from ostiary_operator.kube.options import OperatorOptions
from ostiary_operator.kube.references import ReferenceReader
from ostiary_operator.kube.rest import RestClient
from ostiary_operator.kube.scopes import Watched
from ostiary_operator.kube.services import ServiceReader
from ostiary_operator.metrics import OperatorMetrics
from ostiary_operator.moved import NOTHING
from ostiary_operator.problems import GatewayProblems
from ostiary_operator.queue import WorkQueue
from ostiary_operator.reconcile import Reconciler
from ostiary_operator.schedule import RESYNC, RESYNC_UNWATCHED, Schedule
from ostiary_operator.status.board import StatusPublisher
from ostiary_operator.status.events import EventRecorder
from ostiary_operator.status.poller import Poller

_log = logging.getLogger(__name__)

#: Seconds that the tasks are given to end.
_FAREWELL: Final = 4.0


class OperatorStartupError(OstiaryError):
    """The operator could not begin its work; the message says why and what to do."""


@dataclass(slots=True)
class Components:
    """Everything but the watches."""

    queue: WorkQueue
    schedule: Schedule
    board: StatusPublisher
    changes: EventFilter
    poller: Poller
    events: EventRecorder
    admin: AdminServer
    claims: NamespaceOwnership | None


def assemble(
    cluster: KubernetesClient,
    options: OperatorOptions,
    clock: Clock,
    *,
    election: LeaderElector | None = None,
    claim: bool = False,
) -> Components:
    """Connect the stations: event -> poke -> debounced queue -> list -> compile -> apply config -> apply status.

    ``election`` says when we may write; ``claim``, whether others may serve what we serve.
    """
    metrics = OperatorMetrics(clock)
    fenced = cluster if election is None else FencedClient(cluster, election.leads)
    measured = MeasuredClient(fenced, metrics.wrote)
    events = EventRecorder(measured, clock)
    claims = NamespaceOwnership(measured, clock, options, events) if claim else None
    board = StatusPublisher(measured, clock, events)
    changes = EventFilter(board.is_familiar)
    schedule = Schedule(random.random)
    reconciler = Reconciler(
        options=options,
        clock=clock,
        lookout=Lister(measured, options, changes.saw),
        references=ReferenceReader(measured),
        services=ServiceReader(measured, options, on_seen=changes.saw, follow=changes.follow),
        api_servers=ApiServerReader(measured, on_seen=changes.saw),
        delivery=ConfigWriter(measured, clock, on_write=changes.expect),
        board=board,
        problems=GatewayProblems(events),
        metrics=metrics,
        claims=claims if claims is not None else OwnsEverything(),
    )
    queue = WorkQueue(reconciler.run_pass, clock, schedule)
    poller = Poller(board, clock, queue.poke)
    metrics.show(queue, board, claims, election)
    admin = AdminServer(options.admin_host, options.admin_port, queue, metrics, clock, election)
    return Components(queue, schedule, board, changes, poller, events, admin, claims)


def _nothing() -> None:
    pass


async def run_operator(
    options: OperatorOptions, stop: asyncio.Event, *, on_started: Callable[[], None] = _nothing
) -> None:
    """Run until ``stop`` is set. ``on_started`` is called once the first pass has succeeded.

    Raises:
        OperatorStartupError: no pass succeeded within the startup timeout.
        LeadershipLost: we led, and another replica leads now.
        OstiaryError: there is no way to the API server, or the admin address cannot be had.
    """
    quieten_logs()
    await connection.load(options)  # what is wrong with the credentials themselves is said at once
    cluster = RestClient(functools.partial(connection.load, options))
    clock = SystemClock()
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(cluster.close)
        election = await stack.enter_async_context(candidate(options, clock))
        parts = assemble(cluster, options, clock, election=election, claim=True)
        await parts.admin.start()
        stack.push_async_callback(parts.admin.stop)
        _log.info("serving /healthz, /readyz and /metrics on %s:%d", parts.admin.host, parts.admin.port)
        work = [parts.queue.run(), parts.poller.run(), parts.events.run()]
        working = await stack.enter_async_context(_tasks(*work))
        if election is not None:
            if not await wait_until_leading(election, stop):
                return
            working += await stack.enter_async_context(_tasks(election.keep(lambda: parts.queue.poke("lease"))))
        if parts.claims is not None:
            renewing = parts.claims.run(lambda: parts.queue.poke("claims", NOTHING))
            working += await stack.enter_async_context(_tasks(renewing))
        parts.queue.poke("start")
        if await _first_success(parts, options, stop):
            on_started()
            watching = await stack.enter_async_context(_tasks(_watch(cluster, options, parts)))
            await _until(stop, [*working, *watching])


async def _first_success(parts: Components, options: OperatorOptions, stop: asyncio.Event) -> bool:
    """Wait for the first pass that succeeds; say whether it did before we were told to stop."""
    waits = [asyncio.ensure_future(each.wait()) for each in (parts.queue.first_success, stop)]
    done: set[asyncio.Future[Any]] = set()
    while not done:
        done, _ = await asyncio.wait(waits, timeout=options.startup_timeout, return_when=asyncio.FIRST_COMPLETED)
        if parts.queue.observed.last_failure is not None:
            break  # else the first pass is under way: over thousands of resources it takes long, and no request hangs
    for each in waits:
        each.cancel()
    if not parts.queue.first_success.is_set() and not stop.is_set():
        failure = parts.queue.observed.last_failure
        raise OperatorStartupError(f"gave up after {options.startup_timeout:.0f} s: {failure}")
    return not stop.is_set()


async def _watch(cluster: KubernetesClient, options: OperatorOptions, parts: Components) -> None:
    """Watch, and let events poke the queue; where something cannot be watched, look again more often."""

    def chosen(watched: Watched) -> None:
        parts.schedule.resync = RESYNC_UNWATCHED if watched.missing else RESYNC

    await watches.watch(cluster, options, parts.changes, parts.queue.poke, on_chosen=chosen)


@contextlib.asynccontextmanager
async def _tasks(*work: Coroutine[Any, Any, None]) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Run coroutines in the background; cancel them in the end."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=_FAREWELL)


async def _until(stop: asyncio.Event, working: list[asyncio.Task[None]]) -> None:
    """Wait to be told to stop. A task that ends on its own is a bug, and ends all."""
    told = asyncio.ensure_future(stop.wait())
    done, _ = await asyncio.wait({told, *working}, return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    for task in done - {told}:
        task.result()
