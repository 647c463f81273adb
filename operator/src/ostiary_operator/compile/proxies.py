"""Decides which version of each proxy is served at which gateway.

Proxies are evaluated in order of age, so the older one keeps a path. The newest version is accepted at all its gateways
or at none. Where it is not accepted, or a reference is unusable, the last accepted version stays in force at its
gateways, as long as today's rules permit it. A version that is kept keeps its path, too.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ostiary_core.contract.bundle import GatewayConfig
from ostiary_core.contract.documents import EntryDocument
from ostiary_operator.api.proxy import ProxySpec
from ostiary_operator.api.reasons import AcceptedReason
from ostiary_operator.compile.authentication_methods import ReferencedObjects
from ostiary_operator.compile.cache import Cache
from ostiary_operator.compile.credentials import object_to_kept
from ostiary_operator.compile.foreign_servers import FoundGrants
from ostiary_operator.compile.gateway_settings import Site
from ostiary_operator.compile.grants import ClusterFacts, permitted
from ostiary_operator.compile.model import ObjectKey, ResourceRejection
from ostiary_operator.compile.placement import SiteIndex, place
from ostiary_operator.compile.references import Resolution, resolve
from ostiary_operator.compile.resource_parser import ParsedProxy
from ostiary_operator.compile.routes import (
    Claim,
    GrantedRoutes,
    claim_of_entry,
    claim_of_spec,
    is_parseable,
    path_is_free,
)
from ostiary_operator.compile.server_references import NO_SERVERS, ReferencedServers, object_to_kept_servers


@dataclass(frozen=True, slots=True)
class Admission:
    """The result for one proxy.

    ``sites`` are where the newest version is served, with the CA bundles in ``resolution``; ``kept`` are the last
    accepted entries that are served instead, by gateway. ``rejection`` says why the newest version is not accepted, and
    ``objection`` why the last accepted one is no longer served at some gateway.
    """

    subject: ParsedProxy
    rejection: ResourceRejection | None
    resolution: Resolution | None
    sites: tuple[Site, ...] = ()
    kept: Mapping[str, EntryDocument] = field(default_factory=dict)
    objection: ResourceRejection | None = None

    @property
    def serves_last_accepted(self) -> bool:
        """Whether the last accepted version is served instead of the newest."""
        return bool(self.kept)


@dataclass(frozen=True, slots=True)
class AdmissionContext:
    """The input that is common to the admission of all proxies."""

    sites: Sequence[Site]
    operator_namespace: str
    known: ClusterFacts
    objects: ReferencedObjects
    previous: Mapping[str, GatewayConfig]
    grants: FoundGrants = field(default_factory=dict)
    servers: Mapping[ObjectKey, ReferencedServers] = field(default_factory=dict)
    ledger: GrantedRoutes = field(default_factory=GrantedRoutes)


def admit(proxies: Iterable[ParsedProxy], context: AdmissionContext, cache: Cache) -> tuple[Admission, ...]:
    """Decide for every proxy; they must be in order of age."""
    index = SiteIndex(context.sites)
    return tuple(_admit(proxy, context, index, cache) for proxy in proxies)


def admitted_by_gateway(admissions: Iterable[Admission]) -> dict[str, list[Admission]]:
    """Return for each gateway the admissions with an entry there, in their order."""
    found: dict[str, list[Admission]] = {}
    for admission in admissions:
        for identity in dict.fromkeys([*admission.kept, *(site.identity for site in admission.sites)]):
            found.setdefault(identity, []).append(admission)
    return found


def object_to(
    claim: Claim, site: Site, context: AdmissionContext, *, ignoring_namespace: str | None = None
) -> ResourceRejection | None:
    """Return why an accepted claim may not be kept at a gateway: a grant rule or another proxy.

    With ``ignoring_namespace``, the claims of that namespace do not count.
    """
    rejection = permitted(claim, site, context.known)
    if rejection is None:
        rejection = path_is_free(claim, site, context.ledger, ignoring_namespace=ignoring_namespace)
    return rejection


def last_entry(subject: ParsedProxy, site: Site, previous: Mapping[str, GatewayConfig]) -> EntryDocument | None:
    """Return a gateway's last entry of this proxy, by uid: not of an earlier one with its name."""
    config = previous.get(site.identity)
    entry = config.entries.get(subject.identity) if config is not None else None
    is_its_own = entry is not None and entry.uid == subject.uid
    return entry if entry is not None and is_its_own and is_parseable(entry) else None


def _admit(subject: ParsedProxy, context: AdmissionContext, index: SiteIndex, cache: Cache) -> Admission:
    if subject.spec is None:
        return _keep(Admission(subject, ResourceRejection(AcceptedReason.INVALID, subject.problem), None), context)
    servers = context.servers.get(subject.key, NO_SERVERS)
    resolution = resolve(subject, subject.spec, context.objects, context.known.services, cache, servers)
    sites = _accepted_at(subject, subject.spec, context, index)
    if isinstance(sites, ResourceRejection):
        return _keep(Admission(subject, sites, resolution), context)
    # The version is accepted, so it takes the path even while a reference is missing.
    context.ledger.grant(claim_of_spec(subject.key, subject.spec), sites)
    if resolution.rejection is not None:
        return _keep(Admission(subject, None, resolution), context)
    return Admission(subject, None, resolution, sites)


def _accepted_at(
    subject: ParsedProxy, spec: ProxySpec, context: AdmissionContext, index: SiteIndex
) -> tuple[Site, ...] | ResourceRejection:
    """Return the gateways of a version, if it is permitted at all of them."""
    sites = place(subject, spec.gateways, index, operator_namespace=context.operator_namespace)
    if isinstance(sites, ResourceRejection):
        return sites
    claim = claim_of_spec(subject.key, spec)
    for site in sites:
        rejection = object_to(claim, site, context)
        if rejection is not None:
            return rejection
    return sites


def _keep(admission: Admission, context: AdmissionContext) -> Admission:
    """Keep the last accepted version at every gateway where it is still permitted."""
    kept, objections = {}, []
    unresolved = admission.resolution.rejection if admission.resolution is not None else None
    for site, entry in _last_entries(admission.subject, context):
        claim = claim_of_entry(admission.subject.key, entry)
        title = admission.subject.title
        objection = (
            object_to(claim, site, context)
            or object_to_kept_servers(title, entry, context.grants)
            or object_to_kept(title, entry, context.objects.credentials, unresolved)
        )
        if objection is not None:
            objections.append(objection)
            continue
        context.ledger.grant(claim, [site])
        kept[site.identity] = entry
    return replace(admission, kept=kept, objection=objections[0] if objections else None)


def _last_entries(subject: ParsedProxy, context: AdmissionContext) -> Iterator[tuple[Site, EntryDocument]]:
    for site in context.sites:
        entry = last_entry(subject, site, context.previous)
        if entry is not None and site.settings is not None and site.serves(subject.key.namespace):
            yield site, entry
