"""Assembles the operator, starts its parts in order, and stops them together."""

import asyncio
import contextlib
import functools
import logging
import random
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

from ostiary_core.errors import OstiaryError
from ostiary_operator.clock import Clock, SystemClock
from ostiary_operator.controller import pass_trace
from ostiary_operator.controller.admin import AdminServer
from ostiary_operator.controller.change_trace import ChangeTracer
from ostiary_operator.controller.gateway_problems import GatewayProblems
from ostiary_operator.controller.leader_election import LeaderElector, candidate, wait_until_leading
from ostiary_operator.controller.metric_export import OperatorMetricExport
from ostiary_operator.controller.metrics import OperatorMetrics
from ostiary_operator.controller.namespace_ownership import NamespaceOwnership, OwnsEverything
from ostiary_operator.controller.queue import Schedule, WorkQueue
from ostiary_operator.controller.reconciler import Reconciler
from ostiary_operator.controller.tracing import Tracing
from ostiary_operator.controller.weakening_events import WeakeningEvents
from ostiary_operator.delivery.writer import ConfigWriter
from ostiary_operator.kube import credentials, watches
from ostiary_operator.kube.api_keys import ApiKeyReader
from ostiary_operator.kube.api_servers import ApiServerReader
from ostiary_operator.kube.changed_namespaces import NOTHING
from ostiary_operator.kube.client import KubernetesClient
from ostiary_operator.kube.client_wrappers import FencedClient, MeasuredClient
from ostiary_operator.kube.event_filter import EventFilter
from ostiary_operator.kube.foreign_watches import ForeignWatches
from ostiary_operator.kube.informer import quieten_logs
from ostiary_operator.kube.lister import Lister
from ostiary_operator.kube.options import OperatorOptions
from ostiary_operator.kube.reference_reader import CredentialReader, ReferenceReader, ServiceReader
from ostiary_operator.kube.rest import RestClient
from ostiary_operator.kube.server_reader import ForeignServerReader, views_of
from ostiary_operator.kube.watch_scopes import RESYNC, RESYNC_UNWATCHED, Watched
from ostiary_operator.status.audit_checkpoints import AuditCheckpoints
from ostiary_operator.status.events import EventRecorder
from ostiary_operator.status.poller import Poller
from ostiary_operator.status.publisher import StatusPublisher

_log = logging.getLogger(__name__)

#: Seconds that cancelled tasks have to end.
_SHUTDOWN_TIMEOUT: Final = 4.0


class OperatorStartupError(OstiaryError):
    """The operator could not start; the message says why and what to do."""


@dataclass(slots=True)
class Components:
    """The components of the operator, apart from the watches."""

    queue: WorkQueue
    schedule: Schedule
    publisher: StatusPublisher
    event_filter: EventFilter
    poller: Poller
    events: EventRecorder
    admin: AdminServer
    ownership: NamespaceOwnership | None
    audit_checkpoints: AuditCheckpoints
    servers: ForeignServerReader


def assemble(
    cluster: KubernetesClient,
    options: OperatorOptions,
    clock: Clock,
    *,
    election: LeaderElector | None = None,
    claim: bool = False,
    tracer: ChangeTracer | None = None,
) -> Components:
    """Connect the stages of the reconcile loop.

    They are: event -> enqueue -> debounced queue -> list -> compile -> apply config -> apply status. ``election``
    decides whether this replica may write. ``claim`` makes the operator claim its namespaces, so that no other operator
    serves them. ``tracer`` traces changes; None traces nothing.
    """
    tracer = tracer if tracer is not None else ChangeTracer(None, clock)
    metrics = OperatorMetrics(clock)
    fenced = cluster if election is None else FencedClient(cluster, election.leads)
    measured = MeasuredClient(fenced, metrics.wrote, around=pass_trace.request)
    events = EventRecorder(measured, clock)
    ownership = NamespaceOwnership(measured, clock, options, events) if claim else None
    publisher = StatusPublisher(measured, clock, events)
    views = views_of(options.server_kinds)
    event_filter = EventFilter(publisher.is_known, on_change=tracer.seen, views=views)
    servers = ForeignServerReader(measured, options.server_kinds, on_seen=event_filter.record, refer=event_filter.refer)
    schedule = Schedule(random.random)
    reconciler = Reconciler(
        options=options,
        clock=clock,
        lister=Lister(measured, options, event_filter.record),
        references=ReferenceReader(measured),
        credentials=CredentialReader(measured),
        services=ServiceReader(measured, options, on_seen=event_filter.record, follow=event_filter.follow),
        servers=servers,
        api_servers=ApiServerReader(measured, on_seen=event_filter.record),
        api_keys=ApiKeyReader(measured, on_seen=event_filter.record),
        config_writer=ConfigWriter(measured, clock, on_write=event_filter.expect_write),
        publisher=publisher,
        gateway_problems=GatewayProblems(events),
        weakening_events=WeakeningEvents(events),
        metrics=metrics,
        ownership=ownership if ownership is not None else OwnsEverything(),
        tracer=tracer,
    )
    queue = WorkQueue(reconciler.run_pass, clock, schedule)
    checkpoints = AuditCheckpoints(measured, clock)
    poller = Poller(publisher, clock, queue.enqueue, on_reports=tracer.reported, on_report=checkpoints.note)
    metrics.show(queue, publisher, ownership, election)
    admin = AdminServer(options.admin_host, options.admin_port, queue, metrics, clock, election)
    return Components(queue, schedule, publisher, event_filter, poller, events, admin, ownership, checkpoints, servers)


def _nothing() -> None:
    pass


async def run_operator(
    options: OperatorOptions, stop: asyncio.Event, *, on_started: Callable[[], None] = _nothing
) -> None:
    """Run until ``stop`` is set. ``on_started`` is called once the first pass has succeeded.

    Raises:
        OperatorStartupError: no pass succeeded within the startup timeout.
        LeadershipLost: this replica led, and another one leads now.
        OstiaryError: the API server cannot be reached, the admin address cannot be opened, or an exporter of spans is
            not installed.
    """
    quieten_logs()
    await credentials.load(options)  # fail at once where the credentials are unusable
    cluster = RestClient(functools.partial(credentials.load, options))
    clock = SystemClock()
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(cluster.close)
        election = await stack.enter_async_context(candidate(options, clock))
        tracing = Tracing()
        stack.push_async_callback(tracing.close)
        tracer = ChangeTracer(tracing.tracer, clock)
        components = assemble(cluster, options, clock, election=election, claim=True, tracer=tracer)
        exporting = OperatorMetricExport(components.admin.metrics.registry)
        stack.push_async_callback(exporting.close)
        await components.admin.start()
        stack.push_async_callback(components.admin.stop)
        _log.info("serving /healthz, /readyz and /metrics on %s:%d", components.admin.host, components.admin.port)
        work = [component.run() for component in (components.queue, components.poller, components.events)]
        work.append(components.audit_checkpoints.run())
        working = await stack.enter_async_context(_tasks(*work))
        if election is not None:
            if not await wait_until_leading(election, stop):
                return
            working += await stack.enter_async_context(_tasks(election.keep(lambda: components.queue.enqueue("lease"))))
        if components.ownership is not None:
            renewing = components.ownership.run(lambda: components.queue.enqueue("claims", NOTHING))
            working += await stack.enter_async_context(_tasks(renewing))
        components.queue.enqueue("start")
        if await _first_success(components, options, stop):
            on_started()
            watching = await stack.enter_async_context(_tasks(_watch(cluster, options, components)))
            await _until(stop, [*working, *watching])


async def _first_success(components: Components, options: OperatorOptions, stop: asyncio.Event) -> bool:
    """Wait for the first successful pass; return whether it came before ``stop`` was set."""
    waits = [asyncio.ensure_future(each.wait()) for each in (components.queue.first_success, stop)]
    done: set[asyncio.Future[Any]] = set()
    while not done:
        done, _ = await asyncio.wait(waits, timeout=options.startup_timeout, return_when=asyncio.FIRST_COMPLETED)
        if components.queue.observed.last_failure is not None:
            break  # otherwise the first pass still runs: with thousands of resources it takes long, without a failure
    for each in waits:
        each.cancel()
    if not components.queue.first_success.is_set() and not stop.is_set():
        failure = components.queue.observed.last_failure
        raise OperatorStartupError(f"gave up after {options.startup_timeout:.0f} s: {failure}")
    return not stop.is_set()


async def _watch(cluster: RestClient, options: OperatorOptions, components: Components) -> None:
    """Watch, and let events enqueue passes; resync more often where a kind cannot be watched."""
    event_filter, enqueue, servers = components.event_filter, components.queue.enqueue, components.servers
    foreign = ForeignWatches(cluster, options, event_filter, enqueue, servers)
    servers.on_wanted = foreign.look

    def chosen(watched: Watched) -> None:
        components.schedule.resync = RESYNC_UNWATCHED if watched.missing else RESYNC

    async with asyncio.TaskGroup() as group:
        group.create_task(watches.watch(cluster, options, event_filter, enqueue, on_chosen=chosen))
        group.create_task(foreign.run())


@contextlib.asynccontextmanager
async def _tasks(*work: Coroutine[Any, Any, None]) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Run coroutines as background tasks; cancel them at the end."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=_SHUTDOWN_TIMEOUT)


async def _until(stop: asyncio.Event, working: list[asyncio.Task[None]]) -> None:
    """Wait until ``stop`` is set. A task that ends on its own is a bug and ends the operator."""
    stopping = asyncio.ensure_future(stop.wait())
    done, _ = await asyncio.wait({stopping, *working}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    for task in done - {stopping}:
        task.result()
