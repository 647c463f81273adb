"""The compiler: turns resources and the previous configs into new configs and statuses."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from ostiary_core.addresses import parse
from ostiary_core.contract.bundle import GatewayConfig
from ostiary_core.contract.manifest import GatewayIdentity
from ostiary_core.policy.block_list import BlockList
from ostiary_operator.compile import blocks, gateway_settings, policies, resource_parser
from ostiary_operator.compile.audit_webhooks import with_audit_webhooks
from ostiary_operator.compile.authentication_methods import ReferencedObjects
from ostiary_operator.compile.cache import Cache
from ostiary_operator.compile.entries import entries_of
from ostiary_operator.compile.gateway_settings import Site
from ostiary_operator.compile.grants import ClusterFacts
from ostiary_operator.compile.limit_store import with_limit_stores
from ostiary_operator.compile.lock_statuses import lock_status
from ostiary_operator.compile.locks import LockDecision, LockInForce, decide_locks, locks_by_proxy
from ostiary_operator.compile.model import Compiled, GatewayProblem, ObjectKey, Resources, ResourceStatus
from ostiary_operator.compile.policies import Governance, PolicyDecision
from ostiary_operator.compile.policy_statuses import policy_status
from ostiary_operator.compile.proxies import Admission, AdmissionContext, admit, admitted_by_gateway
from ostiary_operator.compile.quota import DEFAULT_BUDGET, BudgetedConfig, ExistingResources, apply_budget
from ostiary_operator.compile.resource_parser import ParsedProxy
from ostiary_operator.compile.scorers import ScorerGrants
from ostiary_operator.compile.server_references import ReferenceContext, resolve_references
from ostiary_operator.compile.statuses import CompiledGateway, GatewayIndex, proxy_status
from ostiary_operator.compile.targets import TargetIndex


def compile_resources(
    resources: Resources,
    previous: Mapping[str, GatewayConfig],
    *,
    cache: Cache | None = None,
    budget: int = DEFAULT_BUDGET,
) -> Compiled:
    """Compile resources into a config for each gateway and a status for each resource.

    ``previous`` are the configs of the last compilation, by gateway (``namespace/name``); they contain the last
    accepted versions. ``cache`` only makes it faster. ``budget`` limits what each namespace adds to one config, in
    bytes of canonical JSON.

    Invalid resources and settings raise no errors: statuses and problems report them.
    """
    memory = cache if cache is not None else Cache()
    proxies = resource_parser.read_proxies(resources.proxies, memory)
    owners = resource_parser.read_policies(resources.policies, memory)
    locks = decide_locks(resource_parser.read_locks(resources.locks, memory), proxies, previous)
    places, problems = gateway_settings.resolve_sites(resources, previous, memory)
    places, unresolved = with_limit_stores(places, resources, previous, memory)
    places, undelivered = with_audit_webhooks(places, resources)
    api_servers = frozenset(address for text in resources.api_servers if (address := parse(text)) is not None)
    proxies, servers = resolve_references(proxies, _reference_context(resources, places, previous))
    known = ClusterFacts(_namespaces(resources, proxies), resources.services, api_servers)
    objects = ReferencedObjects(resources.api_keys, resources.references, resources.credentials)
    context = AdmissionContext(
        places, resources.operator_namespace, known, objects, previous, resources.reference_grants, servers
    )
    admissions = admit(proxies, context, memory)
    decisions = policies.decide(
        owners,
        TargetIndex(proxies, resources.namespaces),
        operator_namespace=resources.operator_namespace,
        previous=previous,
        objects=objects,
        scorers=ScorerGrants(places, known),
        cache=memory,
    )
    governance = policies.govern(decisions)
    existing = ExistingResources(
        {proxy.key: proxy for proxy in proxies},
        {policy.uid for policy in owners},
        {decision.subject.uid for decision in locks},
    )
    locked, placed = locks_by_proxy(locks), admitted_by_gateway(admissions)
    settled = [
        CompiledGateway(
            site,
            _settle(
                site,
                placed.get(site.identity, ()),
                governance,
                context,
                existing,
                cache=memory,
                budget=budget,
                locks=locked,
            ),
            _block_list(site),
        )
        for site in places
        if site.settings is not None
    ]
    memory.turn()
    problems = (*problems, *unresolved, *undelivered, *_blocks_of_nothing(settled))
    return Compiled(_configs(settled), _statuses(admissions, decisions, locks, governance, settled), problems)


def _reference_context(
    resources: Resources, sites: Sequence[Site], previous: Mapping[str, GatewayConfig]
) -> ReferenceContext:
    kinds = {kind.identity: kind for kind in resources.server_kinds}
    return ReferenceContext(kinds, resources.servers, resources.reference_grants, sites, previous)


def _namespaces(resources: Resources, proxies: Iterable[ParsedProxy]) -> frozenset[str]:
    """Return the namespaces that are known to exist, even where the operator may not list them."""
    occupied = {proxy.key.namespace for proxy in proxies} | {gateway.namespace for gateway in resources.gateways}
    return frozenset(resources.namespaces) | occupied | {resources.operator_namespace}


def _settle(
    site: Site,
    admissions: Sequence[Admission],
    governance: Mapping[ObjectKey, Governance],
    context: AdmissionContext,
    existing: ExistingResources,
    *,
    cache: Cache,
    budget: int,
    locks: Mapping[ObjectKey, tuple[LockInForce, ...]],
) -> BudgetedConfig:
    entries = entries_of(site, admissions, governance, context.known.services, cache, locks)
    return apply_budget(site, entries, governance, context=context, existing=existing, budget=budget, cache=cache)


def _blocks_of_nothing(settled: Iterable[CompiledGateway]) -> Iterator[GatewayProblem]:
    for it in settled:
        if it.site.document is not None and it.site.document.blocked is not None:
            known = {f"{key.namespace}/{key.name}" for key in it.config.entries}
            yield from blocks.unknown_proxies(it.site.identity, it.site.document.blocked, known)


def _block_list(site: Site) -> BlockList | None:
    blocked = site.document.blocked if site.document is not None else None
    return BlockList(blocked) if blocked is not None else None


def _configs(settled: Iterable[CompiledGateway]) -> Mapping[str, GatewayConfig]:
    return {it.site.identity: _config(it.site, it.config) for it in settled}


def _config(site: Site, settled: BudgetedConfig) -> GatewayConfig:
    if site.document is None:
        raise AssertionError("a gateway with settings has their document")
    return GatewayConfig(
        gateway=GatewayIdentity(namespace=site.gateway.namespace, name=site.gateway.name),
        settings=site.document,
        entries={encoded.document.identity: encoded.document for _, encoded in sorted(settled.entries.items())},
        policies=dict(sorted(settled.policies.items())),
        written=settled.written,
    )


def _statuses(
    admissions: Sequence[Admission],
    decisions: Iterable[PolicyDecision],
    locks: Iterable[LockDecision],
    governance: Mapping[ObjectKey, Governance],
    settled: Sequence[CompiledGateway],
) -> Mapping[ObjectKey, ResourceStatus]:
    ungoverned = Governance()
    index = GatewayIndex(settled)
    found = [
        proxy_status(it, governance.get(it.subject.key, ungoverned), index.of([it.subject.key])) for it in admissions
    ]
    names: dict[str, list[str]] = {}
    for it in admissions:
        names.setdefault(it.subject.key.namespace, []).append(it.subject.key.name)
    found += [policy_status(it, index.of(it.governs), names.get(it.subject.key.namespace, ())) for it in decisions]
    found += [lock_status(decision, settled) for decision in locks]
    return {status.key: status for status in sorted(found, key=lambda status: status.key)}
