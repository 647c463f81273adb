"""One reconcile pass: the stages that follow the queue.

    event -> enqueue -> debounced queue -> list -> compile -> apply config -> apply status

Level-triggered: a pass reads the state of the cluster, never what an event says. A pass that fails keeps the last good
config in force.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ostiary_core.contract.bundle import GatewayConfig
from ostiary_operator.api.objects import Object, namespace_of
from ostiary_operator.clock import Clock
from ostiary_operator.compile.authentication_methods import namespaces_with_api_keys
from ostiary_operator.compile.cache import Cache
from ostiary_operator.compile.compiler import compile_resources
from ostiary_operator.compile.foreign_servers import WantedServer
from ostiary_operator.compile.model import Compiled, DiscoveredGateway, Resources
from ostiary_operator.compile.references import wanted, wanted_credentials
from ostiary_operator.compile.server_references import wanted_servers
from ostiary_operator.compile.weakening import Weakening
from ostiary_operator.compile.weakenings import weakenings
from ostiary_operator.controller.applied_configs import AppliedConfigs
from ostiary_operator.controller.change_trace import ChangeTracer
from ostiary_operator.controller.config_delivery import ConfigDelivery, DeliveredConfigs
from ostiary_operator.controller.gateway_problems import GatewayProblems
from ostiary_operator.controller.mass_deletion_guard import MassDeletionGuard
from ostiary_operator.controller.metrics import OperatorMetrics
from ostiary_operator.controller.namespace_ownership import OwnershipFilter
from ostiary_operator.controller.pass_trace import PassTrace
from ostiary_operator.controller.queue import PassRequest, PassResult
from ostiary_operator.controller.span_names import SpanAttribute, SpanName
from ostiary_operator.controller.weakening_events import WeakeningEvents
from ostiary_operator.delivery.writer import ConfigWriter
from ostiary_operator.kube.api_keys import ApiKeyReader
from ostiary_operator.kube.api_servers import ApiServerReader
from ostiary_operator.kube.changed_namespaces import NOTHING, ChangedNamespaces
from ostiary_operator.kube.cluster_snapshot import ClusterSnapshot
from ostiary_operator.kube.kinds import POLICY
from ostiary_operator.kube.lister import Lister
from ostiary_operator.kube.options import OperatorOptions
from ostiary_operator.kube.reference_reader import CredentialReader, ReferenceReader, ServiceReader
from ostiary_operator.kube.server_reader import ForeignServerReader
from ostiary_operator.status import replica_state, replicas
from ostiary_operator.status.publisher import StatusPublisher
from ostiary_operator.worker_thread import compute

_log = logging.getLogger(__name__)

#: Seconds that a pass spends on writing statuses. Thousands take longer; the poller writes the rest.
_PUBLISHING = 2.0


@dataclass(frozen=True, slots=True)
class _Last:
    """The last compilation and its input."""

    compiled: Compiled
    snapshot: ClusterSnapshot

    def holds(self, snapshot: ClusterSnapshot, previous: Mapping[str, GatewayConfig]) -> bool:
        """Return whether compiling again gives the same, if no referenced object changed."""
        mine, before = self.compiled.configs, self.snapshot
        return (
            previous.keys() == mine.keys()
            and all(previous[key] is mine[key] for key in mine)
            and _are_same(before.proxies, snapshot.proxies)
            and _are_same(before.policies, snapshot.policies)
            and _are_same(before.locks, snapshot.locks)
            and (before.gateways, before.namespaces) == (snapshot.gateways, snapshot.namespaces)
        )


def _are_same(before: Sequence[Object], now: Sequence[Object]) -> bool:
    return len(before) == len(now) and all(one is other for one, other in zip(before, now, strict=True))


@dataclass(slots=True)
class Reconciler:
    """Runs the stages of a pass, and keeps what one pass passes on to the next."""

    options: OperatorOptions
    clock: Clock
    lister: Lister
    references: ReferenceReader
    credentials: CredentialReader
    services: ServiceReader
    servers: ForeignServerReader
    api_servers: ApiServerReader
    api_keys: ApiKeyReader
    config_writer: ConfigWriter
    publisher: StatusPublisher
    gateway_problems: GatewayProblems
    weakening_events: WeakeningEvents
    metrics: OperatorMetrics
    ownership: OwnershipFilter
    tracer: ChangeTracer
    applied_configs: AppliedConfigs = field(default_factory=AppliedConfigs)
    deletion_guard: MassDeletionGuard = field(default_factory=MassDeletionGuard)
    cache: Cache = field(default_factory=Cache)
    _last: _Last | None = None

    async def run_pass(self, request: PassRequest) -> PassResult:
        """List, compile, and bring configs and statuses to the desired state.

        Raises:
            ClusterError: an object could not be read, so nothing was changed.
            ForeignNamespace: another operator serves this operator's own namespace.
        """
        with self.tracer.tracing(request.reasons) as trace:
            return await self._traced_pass(request, trace)

    async def _traced_pass(self, request: PassRequest, trace: PassTrace) -> PassResult:
        began = self.clock.monotonic()
        with self.publisher.waiting():
            with self.metrics.stage("list"), trace.stage(SpanName.LIST) as span:
                snapshot = await self.ownership.owned(await self.lister.snapshot(request.changed))
                span.set_attribute(SpanAttribute.OBJECTS, snapshot.size)
            self.gateway_problems.unusable(await compute(self._refreshed, snapshot), snapshot)
            pending = self.deletion_guard.check(snapshot, self.applied_configs.configs, now=began)
            if pending is not None:
                kinds = " and all ".join(pending.kinds)
                _log.warning("all %s in force are gone; listing again before they are removed", kinds)
                trace.fail(f"all {kinds} in force are gone: listing again before they are removed")
                return PassResult(requeue_after=pending.requeue_after)
            with self.metrics.stage("compile"), trace.stage(SpanName.COMPILE):
                compiled = await self._compile(snapshot, request.changed)
            with self.metrics.stage("apply_config"):
                applied = await self._delivery().deliver(
                    compiled, snapshot, self.credentials.last.values, trace, began=began
                )
            await self._report_weakenings(applied, compiled, trace)
        with self.metrics.stage("apply_status"), trace.stage(SpanName.STATUSES):
            failures = await self._apply_status(compiled, snapshot, applied, request, trace)
        if failures or applied.conflict:
            trace.fail("; ".join(failures) or "an object changed meanwhile")
        _log.debug("pass for %s: %.3f s", ", ".join(sorted(request.reasons)), self.clock.monotonic() - began)
        return PassResult(failures, requeue_after=applied.requeue_after)

    def _delivery(self) -> ConfigDelivery:
        return ConfigDelivery(self.clock, self.config_writer, self.publisher, self.applied_configs)

    def _refreshed(self, snapshot: ClusterSnapshot) -> dict[str, str]:
        return self.applied_configs.refresh(snapshot, now=self.clock.time())

    async def _compile(self, snapshot: ClusterSnapshot, changed: ChangedNamespaces) -> Compiled:
        """Compile in the worker thread, since it would delay probes and responses."""
        last = self._last
        if last is not None and changed == NOTHING and last.holds(snapshot, self.applied_configs.configs):
            return last.compiled
        compiled = await self._compile_changed(snapshot, changed)
        self._last = _Last(compiled, snapshot)
        return compiled

    async def _compile_changed(self, snapshot: ClusterSnapshot, changed: ChangedNamespaces) -> Compiled:
        keys = await compute(wanted, snapshot.proxies, snapshot.policies, self.cache, gateways=snapshot.gateways)
        keyed = await compute(namespaces_with_api_keys, snapshot.policies, self.cache)
        secrets = await compute(
            wanted_credentials, snapshot.proxies, snapshot.policies, self.cache, gateways=snapshot.gateways
        )
        servers = await compute(wanted_servers, snapshot.proxies, self.applied_configs.configs, self.cache)
        read = await self.servers.read(servers, changed)
        resources = Resources(
            operator_namespace=self.options.operator_namespace,
            proxies=snapshot.proxies,
            policies=snapshot.policies,
            locks=snapshot.locks,
            gateways=snapshot.gateways,
            namespaces=snapshot.namespaces,
            references=await self.references.resolve(keys, changed),
            credentials=(await self.credentials.read(secrets, changed)).secrets,
            services=await self.services.read(self._inhabited(snapshot, servers), changed),
            api_servers=await self.api_servers.read(changed),
            api_keys=await self.api_keys.read(keyed, changed),
            servers=read.servers,
            reference_grants=read.grants,
            server_kinds=self.options.server_kinds,
        )
        return await compute(compile_resources, resources, self.applied_configs.configs, cache=self.cache)

    def _inhabited(self, snapshot: ClusterSnapshot, servers: Iterable[WantedServer]) -> set[str]:
        """Return the namespaces whose Services matter, as far as they are watched."""
        watched = self.options.namespaces
        found = {each.key.namespace for each in servers if watched is None or each.key.namespace in watched}
        return found | {namespace_of(proxy) for proxy in snapshot.proxies}

    async def _report_weakenings(self, applied: DeliveredConfigs, compiled: Compiled, trace: PassTrace) -> None:
        policies = frozenset((key.namespace, key.name) for key in compiled.statuses if key.kind == POLICY.name)
        found: dict[Weakening, DiscoveredGateway] = {}
        for gateway, old, new in applied.changed:
            for weakening in await compute(weakenings, old, new, policies=policies):
                found.setdefault(weakening, gateway)
        self.weakening_events.report(found, change_trace=trace.trace_id)

    async def _apply_status(
        self,
        compiled: Compiled,
        snapshot: ClusterSnapshot,
        applied: DeliveredConfigs,
        request: PassRequest,
        trace: PassTrace,
    ) -> tuple[str, ...]:
        """Write the statuses; return the failures of this stage and the one before."""
        now = self.clock.monotonic()
        for identity, gateway_objects in snapshot.gateway_objects.items():
            static = self.options.gateway_replicas.get(identity)
            found = replicas.from_urls(static) if static is not None else replicas.from_slices(gateway_objects.slices)
            self.publisher.gateway_states[identity].has(found, now)
        self.gateway_problems.found(
            [*compiled.problems, *replica_state.problems(self.publisher.gateway_states)],
            applied.failures | applied.forbidden,
            snapshot,
        )
        trace_id = trace.trace_id
        self.publisher.approved_definitions.take(snapshot.locks)
        if self.publisher.take(compiled.statuses, snapshot.fresh, seen_at=applied.began, change_trace=trace_id):
            trace.keep()
        end = self.clock.monotonic() + _PUBLISHING
        published = await self.publisher.publish(lambda: request.superseded() or self.clock.monotonic() >= end)
        if self.publisher.unfinished:
            self.publisher.poll_now.set()  # the poller writes the rest
        failed = [f"gateway {identity}: {message}" for identity, message in sorted(applied.failures.items())]
        return (*failed, *([f"statuses: {published.failure}"] if published.failure is not None else []))
