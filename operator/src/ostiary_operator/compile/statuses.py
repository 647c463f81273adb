"""Builds the status of each MCPProxy: conditions, URLs, relations and expected entries.

The URLs of a proxy come from externalURL and hostnames only, never from a request.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from ostiary_core.contract.documents import EntryDocument, ServerConfig
from ostiary_core.policy.block_list import BlockList, places_of
from ostiary_operator.api.conditions import ConditionStatus, ConditionType
from ostiary_operator.api.reasons import AcceptedReason, ResolvedRefsReason
from ostiary_operator.compile import advisories
from ostiary_operator.compile.entries import EncodedEntry
from ostiary_operator.compile.gateway_settings import Site
from ostiary_operator.compile.messages import condition, identity, joined, listing
from ostiary_operator.compile.model import ConditionDraft, ObjectKey, ResourceStatus
from ostiary_operator.compile.policies import Governance
from ostiary_operator.compile.proxies import Admission
from ostiary_operator.compile.quota import BudgetedConfig
from ostiary_operator.compile.resource_parser import ParsedProxy
from ostiary_operator.compile.routes import DEFAULT_PORTS
from ostiary_operator.compile.token_audiences import first_refused

_WITHOUT_POLICY: Mapping[str, str] = {
    "Allow": "every caller may use everything",
    "Deny": "every call is refused",
}


@dataclass(frozen=True, slots=True)
class CompiledGateway:
    """One gateway with its compiled config, and what its settings block."""

    site: Site
    config: BudgetedConfig
    block_list: BlockList | None = None


class GatewayIndex:
    """The compiled gateways, in their order, by their proxies, also those beyond a budget.

    A status reads those of its own proxies only, so that an installation may have many gateways.
    """

    def __init__(self, settled: Sequence[CompiledGateway]) -> None:
        self._settled = settled
        self._numbers: dict[ObjectKey, list[int]] = {}
        for number, it in enumerate(settled):
            for key in {**it.config.entries, **it.config.over_budget}:
                self._numbers.setdefault(key, []).append(number)

    def of(self, proxies: Iterable[ObjectKey]) -> list[CompiledGateway]:
        """Return the gateways that any of these proxies concerns."""
        numbers = {number for key in proxies for number in self._numbers.get(key, ())}
        return [self._settled[number] for number in sorted(numbers)]


def proxy_status(admission: Admission, governance: Governance, settled: Sequence[CompiledGateway]) -> ResourceStatus:
    """Return the status of an MCPProxy; ``settled`` are the gateways that it concerns."""
    subject = admission.subject
    served = [(it.site, it.config.entries[subject.key]) for it in settled if subject.key in it.config.entries]
    over_budget = [it for it in settled if _is_over_budget(it.config, subject.key)]
    decisions = [*governance.decisions, *governance.closed_by]
    documents = [encoded.document for encoded in governance.encoded]
    unaddressed = first_refused(documents, [(site, entry.document) for site, entry in served])
    return ResourceStatus(
        key=subject.key,
        uid=subject.uid,
        generation=subject.generation,
        conditions=(_proxy_accepted(admission, governance, served, over_budget), _proxy_resolved(admission, served)),
        aside=(
            advisories.governed(subject, governance, _access(governance, served), unaddressed=unaddressed),
            *advisories.blocked(subject, dict(_blocked(subject, settled))),
        ),
        urls=_urls(served),
        related=sorted_names(decision.subject.key for decision in decisions),
        expected={site.identity: {subject.identity: entry.digest} for site, entry in served},
        servers=_servers(served),
        observed_servers=_observed_servers(served),
        serves_last_accepted=admission.serves_last_accepted,
        too_large=bool(over_budget),
        is_pinned=any(_is_pinned(entry) for _, entry in served),
        omissions=admission.resolution.translated.omissions if admission.resolution is not None else (),
        unobserved=admission.resolution.unobserved if admission.resolution is not None else (),
    )


def _is_pinned(entry: EncodedEntry) -> bool:
    definitions = entry.document.definitions
    return definitions is not None and definitions.pinning is not None


def _servers(served: Sequence[tuple[Site, EncodedEntry]]) -> tuple[tuple[str, str], ...]:
    """Return the servers as gateways have them: resolved, and the same at each of them."""
    return tuple((server.name, server.url) for server in served[0][1].document.servers) if served else ()


def _observed_servers(served: Sequence[tuple[Site, EncodedEntry]]) -> tuple[str, ...]:
    return tuple(server.name for server in served[0][1].document.servers if server.discovery) if served else ()


def _blocked(subject: ParsedProxy, settled: Sequence[CompiledGateway]) -> Iterator[tuple[str, advisories.Blocks]]:
    """Yield the gateways that block a proxy, each with what it blocks."""
    for it in settled:
        if it.block_list is None or subject.key not in it.config.entries:
            continue
        entry = it.config.entries[subject.key].document
        servers = [server for server in entry.servers if it.block_list.has_server(_places(server))]
        if it.block_list.has_proxy(subject.identity):
            yield it.site.identity, advisories.Blocks("it")
        elif servers:
            names = listing(str(urlsplit(server.url).hostname) for server in servers)
            yield (
                it.site.identity,
                advisories.Blocks(f"its server {names}", is_whole=len(servers) == len(entry.servers)),
            )


def _places(server: ServerConfig) -> tuple[tuple[str, int], ...]:
    url = urlsplit(server.url)
    return places_of(server, host=url.hostname or "", port=url.port or DEFAULT_PORTS[url.scheme])


def _urls(served: Sequence[tuple[Site, EncodedEntry]]) -> tuple[tuple[str, str, str], ...]:
    """Return all endpoints, first those with an externalURL, for `status.url`."""
    ordered = sorted(served, key=lambda it: it[0].settings is None or it[0].settings.external_url is None)
    return tuple(url for site, entry in ordered for url in endpoints(site, entry.document))


def endpoints(site: Site, entry: EntryDocument) -> list[tuple[str, str, str]]:
    """Return (gateway, hostname or empty, URL) for each URL at which a gateway serves an entry.

    With hostnames it is served at those only, with scheme and port of externalURL. Without externalURL the address is
    that of the gateway's Service.
    """
    base = _base(site)
    if not entry.hostnames:
        return [(site.identity, "", f"{base}{entry.endpoint}")]
    return [(site.identity, host, f"{_at(base, host)}{entry.endpoint}") for host in entry.hostnames]


def _base(site: Site) -> str:
    if site.settings is not None and site.settings.external_url is not None:
        return site.settings.external_url
    gateway = site.gateway
    port = "" if gateway.port == DEFAULT_PORTS["http"] else f":{gateway.port}"
    return f"http://{gateway.service}.{gateway.namespace}.svc{port}"


def _at(base: str, host: str) -> str:
    parts = urlsplit(base)
    port = "" if parts.port in (None, DEFAULT_PORTS[parts.scheme]) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


def _is_over_budget(config: BudgetedConfig, key: ObjectKey) -> bool:
    """Return whether a gateway has another entry of a proxy than the desired one."""
    if key not in config.over_budget:
        return False
    return key not in config.entries or config.entries[key].digest != config.over_budget[key].digest


def _proxy_accepted(
    admission: Admission,
    governance: Governance,
    served: Sequence[tuple[Site, EncodedEntry]],
    over_budget: Sequence[CompiledGateway],
) -> ConditionDraft:
    title, rejection = admission.subject.title, admission.rejection
    if rejection is not None:
        message = joined(rejection.message, _instead(admission, served))
        return condition(ConditionType.ACCEPTED, ConditionStatus.FALSE, rejection.reason, message)
    message = f"{title}: it is valid and permitted; {_access(governance, served)}"
    message = joined(message, beyond_budget([admission.subject.key], over_budget))
    return condition(ConditionType.ACCEPTED, ConditionStatus.TRUE, AcceptedReason.ACCEPTED, message)


def beyond_budget(proxies: Sequence[ObjectKey], over_budget: Sequence[CompiledGateway]) -> str:
    """Return why an accepted version is not in force, for the first of these proxies."""
    found = ((it, key) for it in over_budget for key in sorted(proxies) if key in it.config.excesses)
    first = next(found, None)
    if first is None:
        return ""
    gateway, excess = first[0].site.identity, first[0].config.excesses[first[1]]
    where = f" for {identity(first[1])}" if len(proxies) > 1 else ""
    return f"It is not in force at gateway {gateway}{where}: {excess}."


def _access(governance: Governance, served: Sequence[tuple[Site, EncodedEntry]]) -> str:
    """Return who may use what, as far as that depends on having policies."""
    if governance.closed_by:
        names = listing(identity(decision.subject.key) for decision in governance.closed_by)
        return f"every call is refused until {names} is fixed, which targets it and was never accepted for it"
    if any(entry.document.invalid for _, entry in served):
        return "every call is refused until what it needs is within its budget again"
    if governance.decisions:
        names = listing(identity(decision.subject.key) for decision in governance.decisions)
        return f"it is governed by {names}"
    return f"no policy: {_without_policy(served)}" if served else "no policy targets it"


def _without_policy(served: Sequence[tuple[Site, EncodedEntry]]) -> str:
    """Return what the gateways permit without any policy; by gateway, where they differ."""
    gateways: dict[str, list[str]] = {}
    for site, entry in served:
        gateways.setdefault(entry.document.without_policy, []).append(site.identity)
    texts = []
    for default, names in sorted(gateways.items()):
        where = f" at {', '.join(names)}" if len(gateways) > 1 else ""
        texts.append(f"{_WITHOUT_POLICY[default]}{where} (withoutPolicy: {default})")
    return " and ".join(texts)


def _proxy_resolved(admission: Admission, served: Sequence[tuple[Site, EncodedEntry]]) -> ConditionDraft:
    title, resolution = admission.subject.title, admission.resolution
    if resolution is None:
        message = f"{title}: its references are read once its spec is valid"
        return condition(ConditionType.RESOLVED_REFS, ConditionStatus.UNKNOWN, ResolvedRefsReason.PENDING, message)
    if resolution.rejection is not None:
        tail = _instead(admission, served) if admission.rejection is None else ""
        message = joined(resolution.rejection.message, tail)
        return condition(ConditionType.RESOLVED_REFS, ConditionStatus.FALSE, resolution.rejection.reason, message)
    what = (
        "everything that it refers to was found"
        if resolution.bundles
        or resolution.found_services
        or resolution.translated.servers
        or any(each.secrets for each in resolution.credentials.values())
        else "it refers to nothing"
    )
    unobserved = (f"{each.field}: {each.words}" for each in resolution.unobserved)
    return condition(
        ConditionType.RESOLVED_REFS,
        ConditionStatus.TRUE,
        ResolvedRefsReason.RESOLVED_REFS,
        f"{title}: {'; '.join((what, *resolution.notes, *unobserved))}",
    )


def _instead(admission: Admission, served: Sequence[tuple[Site, EncodedEntry]]) -> str:
    """Return what is served instead of a rejected version, or why nothing is."""
    sentences = ["Nothing is served until then."]
    if served:
        generations = sorted({entry.document.generation for _, entry in served})
        names = " and ".join(str(generation) for generation in generations)
        sentences = [f"The last accepted version (generation {names}) is served until then."]
    # Where the newest version fails for the same reason, that is not repeated.
    if admission.objection is not None and admission.objection != admission.rejection:
        sentences.append(f"The last accepted version is no longer permitted everywhere: {admission.objection.message}.")
    return " ".join(sentences)


def sorted_names(keys: Iterable[ObjectKey]) -> tuple[tuple[str, str], ...]:
    """Return namespaces and names of resources, each once."""
    return tuple(sorted({(key.namespace, key.name) for key in keys}))
