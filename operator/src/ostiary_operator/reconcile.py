"""One pass: the part of a change's straight line that lies behind the queue.

    event -> poke -> debounced queue -> list -> compile -> apply config -> apply status

Level-triggered: a pass looks at what is, never at what happened. A pass that fails changes nothing for the worse.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ostiary_core.contract.bundle import GatewayConfig
from ostiary_core.errors import ContractError
from ostiary_operator.background import compute
from ostiary_operator.claims import OwnershipFilter
from ostiary_operator.clock import Clock
from ostiary_operator.compile.cache import Cache
from ostiary_operator.compile.compiler import compile_resources
from ostiary_operator.compile.model import Compiled, DiscoveredGateway, Resources
from ostiary_operator.compile.references import wanted
from ostiary_operator.delivery.writer import AppliedConfig, ConfigWriter
from ostiary_operator.hold import MassDeletionGuard
from ostiary_operator.kube import gateways
from ostiary_operator.kube.api_servers import ApiServerReader
from ostiary_operator.kube.client import Object, namespace_of
from ostiary_operator.kube.errors import ClusterError, Conflict
from ostiary_operator.kube.listing import ClusterSnapshot, GatewayObjects
from ostiary_operator.kube.lookout import Lister
from ostiary_operator.kube.options import OperatorOptions
from ostiary_operator.kube.references import ReferenceReader
from ostiary_operator.kube.services import ServiceReader
from ostiary_operator.metrics import OperatorMetrics
from ostiary_operator.moved import NOTHING, ChangedNamespaces
from ostiary_operator.previous import AppliedConfigs
from ostiary_operator.problems import GatewayProblems
from ostiary_operator.queue import PassRequest, PassResult
from ostiary_operator.status import replicas, watch
from ostiary_operator.status.board import StatusPublisher

_log = logging.getLogger(__name__)

#: Seconds until a pass that lost a race for one gateway is repeated.
_AFTER_CONFLICT = 0.2
#: Seconds until it is tried again to look beside a gateway of another namespace: nobody tells us of new rights.
_AFTER_CLOSED = 60.0
#: Seconds that a pass writes statuses for. Thousands take longer, and need no pass for it.
_PUBLISHING = 2.0


@dataclass(slots=True)
class _Applied:
    """What became of the configs: failures by gateway, and whether somebody else was faster somewhere.

    ``closed`` are the gateways of other namespaces beside which we may not look. Anybody may label a Service there, so
    that is no failure of ours: a pass that failed makes the next one, and with it everybody, wait.

    ``began`` is the monotonic moment at which the pass began.
    """

    began: float
    failures: dict[str, str] = field(default_factory=dict)
    closed: dict[str, str] = field(default_factory=dict)
    conflict: bool = False

    @property
    def again_in(self) -> float | None:
        """After how many seconds to look again although nothing failed."""
        if self.conflict:
            return _AFTER_CONFLICT
        return _AFTER_CLOSED if self.closed else None


@dataclass(frozen=True, slots=True)
class _Last:
    """What was compiled last, and of what."""

    compiled: Compiled
    seen: ClusterSnapshot

    def holds(self, seen: ClusterSnapshot, previous: Mapping[str, GatewayConfig]) -> bool:
        """Whether compiling anew would make the same, as far as nothing that is referred to moved."""
        mine, before = self.compiled.configs, self.seen
        return (
            previous.keys() == mine.keys()
            and all(previous[key] is mine[key] for key in mine)
            and _are_same(before.proxies, seen.proxies)
            and _are_same(before.policies, seen.policies)
            and (before.gateways, before.namespaces) == (seen.gateways, seen.namespaces)
        )


def _are_same(before: Sequence[Object], now: Sequence[Object]) -> bool:
    return len(before) == len(now) and all(one is other for one, other in zip(before, now, strict=True))


@dataclass(slots=True)
class Reconciler:
    """The stations of a pass and what it remembers from one to the next."""

    options: OperatorOptions
    clock: Clock
    lookout: Lister
    references: ReferenceReader
    services: ServiceReader
    api_servers: ApiServerReader
    delivery: ConfigWriter
    board: StatusPublisher
    problems: GatewayProblems
    metrics: OperatorMetrics
    claims: OwnershipFilter
    previous: AppliedConfigs = field(default_factory=AppliedConfigs)
    hold: MassDeletionGuard = field(default_factory=MassDeletionGuard)
    cache: Cache = field(default_factory=Cache)
    _last: _Last | None = None

    async def run_pass(self, call: PassRequest) -> PassResult:
        """Look at everything, and bring configs and statuses to what they should be.

        Raises:
            ClusterError: something could not be read, so nothing was changed.
            ForeignNamespace: another operator serves the namespace that we were to serve.
        """
        began = self.clock.monotonic()
        with self.board.waiting():
            with self.metrics.stage("list"):
                seen = await self.claims.judge(await self.lookout.look(call.moved))
            self.problems.unusable(await compute(self._refreshed, seen), seen)
            held = self.hold.judge(seen, self.previous.configs, now=began)
            if held is not None:
                _log.warning(
                    "no %s in force is there any more; looking again before believing it", " and no ".join(held.kinds)
                )
                return PassResult(again_in=held.again_in)
            with self.metrics.stage("compile"):
                compiled = await self._compile(seen, call.moved)
            with self.metrics.stage("apply_config"):
                applied = await self._apply_config(compiled, seen, began)
        with self.metrics.stage("apply_status"):
            failures = await self._apply_status(compiled, seen, applied, call, began=began)
        _log.debug("pass for %s: %.3f s", ", ".join(sorted(call.reasons)), self.clock.monotonic() - began)
        return PassResult(failures, again_in=applied.again_in)

    def _refreshed(self, seen: ClusterSnapshot) -> dict[str, str]:
        return self.previous.refresh(seen, now=self.clock.time())

    async def _compile(self, seen: ClusterSnapshot, moved: ChangedNamespaces) -> Compiled:
        """Compile beside the loop: thousands of resources take long enough to delay probes and answers."""
        last = self._last
        if last is not None and moved == NOTHING and last.holds(seen, self.previous.configs):
            return last.compiled
        compiled = await self._compile_anew(seen, moved)
        self._last = _Last(compiled, seen)
        return compiled

    async def _compile_anew(self, seen: ClusterSnapshot, moved: ChangedNamespaces) -> Compiled:
        keys = await compute(wanted, seen.proxies, self.cache)
        resources = Resources(
            operator_namespace=self.options.operator_namespace,
            proxies=seen.proxies,
            policies=seen.policies,
            gateways=seen.gateways,
            namespaces=seen.namespaces,
            references=await self.references.resolve(keys, moved),
            services=await self.services.read({namespace_of(proxy) for proxy in seen.proxies}, moved),
            api_servers=await self.api_servers.read(moved),
        )
        return await compute(compile_resources, resources, self.previous.configs, cache=self.cache)

    async def _apply_config(self, compiled: Compiled, seen: ClusterSnapshot, began: float) -> _Applied:
        """Deliver to every gateway; what fails at one keeps no other waiting."""
        watch.restrict(self.board.watches, seen.beside, self.clock.monotonic())
        self.delivery.keep_only(seen.beside)
        applied = _Applied(began)
        chosen = gateways.elected(seen.gateways)
        work = [
            self._deliver(chosen[identity], config, seen.beside[identity], applied)
            for identity, config in compiled.configs.items()
        ]
        await asyncio.gather(*work)
        return applied

    async def _deliver(
        self, gateway: DiscoveredGateway, config: GatewayConfig, beside: GatewayObjects, applied: _Applied
    ) -> None:
        identity = gateway.identity
        at = self.board.watches[identity]
        if beside.forbidden is not None:
            at.problem = applied.closed[identity] = beside.forbidden
            return
        try:
            done = await self.delivery.deliver(gateway, config, beside, acknowledged=at.acknowledged())
        except Conflict as error:
            _log.info("gateway %s: somebody wrote meanwhile, looking again: %s", identity, error)
            applied.conflict = True
        except (ClusterError, ContractError) as error:
            at.problem = applied.failures[identity] = str(error)
        else:
            self._delivered(gateway, config, done, applied.began)

    def _delivered(self, gateway: DiscoveredGateway, config: GatewayConfig, done: AppliedConfig, began: float) -> None:
        identity = gateway.identity
        if done.wrote:
            seconds = self.clock.monotonic() - began
            _log_change(identity, self.previous.configs.get(identity), config, done, seconds=seconds)
        self.previous.accept(identity, config, done.manifest)
        at = self.board.watches[identity]
        at.superfluous = done.superfluous
        if at.given(done.manifest, done.admin_token, self.clock.monotonic()):
            self.board.news.set()

    async def _apply_status(
        self, compiled: Compiled, seen: ClusterSnapshot, applied: _Applied, call: PassRequest, *, began: float
    ) -> tuple[str, ...]:
        """Say how things stand; return what did not work, in this station and the one before."""
        now = self.clock.monotonic()
        for identity, beside in seen.beside.items():
            static = self.options.gateway_replicas.get(identity)
            found = replicas.from_urls(static) if static is not None else replicas.from_slices(beside.slices)
            self.board.watches[identity].has(found, now)
        self.problems.found(
            [*compiled.problems, *watch.problems(self.board.watches)], applied.failures | applied.closed, seen
        )
        self.board.take(compiled.statuses, seen.fresh, seen_at=began)
        end = self.clock.monotonic() + _PUBLISHING
        published = await self.board.publish(lambda: call.superseded() or self.clock.monotonic() >= end)
        if self.board.cut:
            self.board.news.set()  # the poller goes on with them
        failed = [f"gateway {identity}: {message}" for identity, message in sorted(applied.failures.items())]
        return (*failed, *([f"statuses: {published.failure}"] if published.failure is not None else []))


def _log_change(
    identity: str, old: GatewayConfig | None, new: GatewayConfig, done: AppliedConfig, *, seconds: float
) -> None:
    before = old.entries if old is not None else {}
    changed = sorted(key for key in before.keys() | new.entries.keys() if before.get(key) != new.entries.get(key))
    _log.info(
        "gateway %s: revision %d, %d proxies, changed: %s; wrote %s in %.2f s",
        *(identity, done.manifest.revision, len(new.entries), _few(changed), ", ".join(done.wrote), seconds),
    )


def _few(names: Iterable[str], *, most: int = 10) -> str:
    found = list(names)
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return (", ".join(found[:most]) or "none") + more
