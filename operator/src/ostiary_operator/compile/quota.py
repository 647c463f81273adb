"""Limits what one namespace adds to a gateway's config, so that it cannot crowd out others.

A namespace that exceeds its budget keeps its previous entries and owner policies, except deleted ones, under today's
platform policies. Its changes are not applied; other namespaces are not affected. The budget limits bytes, and the
weight of patterns: the cost of keeping and matching them (:mod:`ostiary_core.policy.cost_limits`). Patterns have a
limit for each proxy as well; a proxy beyond that keeps its previous entry.
"""

from collections import defaultdict
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final

from ostiary_core.contract.documents import CatalogueConfig, EntryDocument, PolicyDocument
from ostiary_core.errors import PatternError
from ostiary_core.policy.catalogue import compile_catalogue
from ostiary_core.policy.compiled_policy import CompiledPolicy
from ostiary_core.policy.cost_limits import NAMESPACE_WEIGHT, PROXY_WEIGHT
from ostiary_operator.compile.authentication_methods import with_live_keys
from ostiary_operator.compile.cache import Cache
from ostiary_operator.compile.encoded_document import EncodedDocument, EncodedPolicy, encode_document
from ostiary_operator.compile.entries import EncodedEntry, refreshed
from ostiary_operator.compile.gateway_settings import Site
from ostiary_operator.compile.model import ObjectKey
from ostiary_operator.compile.policies import Governance
from ostiary_operator.compile.proxies import AdmissionContext, last_entry, object_to
from ostiary_operator.compile.resource_parser import ParsedProxy
from ostiary_operator.compile.routes import claim_of_entry

#: Bytes of canonical JSON that the entries and owner policies of one namespace may take in one gateway's config.
DEFAULT_BUDGET: Final = 4 * 1024 * 1024
_UNGOVERNED: Final = Governance()


@dataclass(frozen=True, slots=True)
class BudgetedConfig:
    """One gateway's config within the budgets: entries by proxy, and their policies by digest.

    ``written`` has the JSON text of the documents compiled in this pass: entries by ``namespace/name``, policies by
    digest. ``over_budget`` has the desired entries that exceed a budget; ``excesses`` has a message for each with the
    budget and the remedy.
    """

    entries: Mapping[ObjectKey, EncodedEntry]
    policies: Mapping[str, PolicyDocument]
    over_budget: Mapping[ObjectKey, EncodedEntry] = field(default_factory=dict)
    excesses: Mapping[ObjectKey, str] = field(default_factory=dict)
    written: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ExistingResources:
    """The resources that exist: proxies by key, policies and locks by uid.

    Deleted ones are not kept.
    """

    proxies: Mapping[ObjectKey, ParsedProxy]
    policy_uids: AbstractSet[str]
    lock_uids: AbstractSet[str] = frozenset()


def apply_budget(
    site: Site,
    entries: Mapping[ObjectKey, EncodedEntry],
    governance: Mapping[ObjectKey, Governance],
    *,
    context: AdmissionContext,
    existing: ExistingResources,
    budget: int,
    cache: Cache,
) -> BudgetedConfig:
    """Return the config of one gateway from its desired entries, within the budgets."""
    excesses = _excesses(_costs(entries, governance, cache), budget)
    settled, policies, over_budget = {}, {}, {}
    written: dict[str, bytes] = {}
    for key, entry in entries.items():
        governed = governance.get(key, _UNGOVERNED)
        if key not in excesses:
            settled[key] = entry
            policies.update({encoded.digest: encoded.document for encoded in governed.encoded})
            written.update({encoded.digest: encoded.text for encoded in governed.encoded})
            continue
        over_budget[key] = entry
        before = _before(site, existing.proxies[key], governed, context, existing=existing, cache=cache)
        if before is not None:
            settled[key], documents = before
            policies.update(documents)
    written |= {entry.document.identity: entry.text for entry in settled.values()}
    return BudgetedConfig(settled, policies, over_budget, excesses, written)


@dataclass(frozen=True, slots=True)
class _Cost:
    """The cost of a document: bytes of canonical JSON, and the weight of its patterns."""

    title: str
    size: int
    weight: int


def _costs(
    entries: Mapping[ObjectKey, EncodedEntry], governance: Mapping[ObjectKey, Governance], cache: Cache
) -> Mapping[ObjectKey, Mapping[str, _Cost]]:
    """Return for each proxy the costs of its entry and its owner policies, by digest."""
    found: dict[ObjectKey, dict[str, _Cost]] = {}
    for key, entry in entries.items():
        title = f"spec.catalogue of MCPProxy {entry.document.identity}"
        found[key] = {entry.digest: _Cost(title, entry.size, catalogue_weight(entry, cache))}
        for encoded in governance.get(key, _UNGOVERNED).encoded:
            if encoded.document.tier == "owner":
                title = f"spec.access.rules of MCPPolicy {encoded.document.identity}"
                found[key][encoded.digest] = _Cost(title, encoded.size, policy_weight(encoded, cache))
    return found


def _excesses(costs: Mapping[ObjectKey, Mapping[str, _Cost]], budget: int) -> Mapping[ObjectKey, str]:
    """Return for each proxy which budget it or its namespace exceeds."""
    parts: dict[str, dict[str, _Cost]] = defaultdict(dict)
    for key, documents in costs.items():
        parts[key.namespace] |= documents
    namespaces = {name: _excess_of_namespace(name, documents, budget) for name, documents in parts.items()}
    found = {key: namespaces[key.namespace] or _excess_of_proxy(documents) for key, documents in costs.items()}
    return {key: excess for key, excess in found.items() if excess}


def _excess_of_namespace(namespace: str, documents: Mapping[str, _Cost], budget: int) -> str:
    size = sum(cost.size for cost in documents.values())
    if size > budget:
        return (
            f"the namespace {namespace} would take {size} bytes of its config, and has a budget of {budget}; "
            "remove or shorten resources of the namespace"
        )
    weight = sum(cost.weight for cost in documents.values())
    if weight <= NAMESPACE_WEIGHT:
        return ""
    return (
        f"the patterns and names with an inner * of the namespace {namespace} compile to {weight} instructions, and "
        f"have a budget of {NAMESPACE_WEIGHT}; {_remedy(documents)}"
    )


def _excess_of_proxy(documents: Mapping[str, _Cost]) -> str:
    weight = sum(cost.weight for cost in documents.values())
    if weight <= PROXY_WEIGHT:
        return ""
    return (
        f"the patterns and names with an inner * of its policies and its catalogue compile to {weight} instructions, "
        f"and have a budget of {PROXY_WEIGHT}; {_remedy(documents)}"
    )


def _remedy(documents: Mapping[str, _Cost]) -> str:
    """Name the heaviest document to shorten; among equals the first by name."""
    heaviest = min(documents.values(), key=lambda cost: (-cost.weight, cost.title))
    return f"write fewer or shorter ones, first in {heaviest.title}, which has {heaviest.weight}"


def _before(
    site: Site,
    subject: ParsedProxy,
    governance: Governance,
    context: AdmissionContext,
    *,
    existing: ExistingResources,
    cache: Cache,
) -> tuple[EncodedEntry, Mapping[str, PolicyDocument]] | None:
    """Return a proxy's previous entry, if it is still permitted, with its policies of today."""
    entry = last_entry(subject, site, context.previous)
    # The namespace's own newer claims are not in force here, so they do not displace its older ones.
    if entry is None or object_to(
        claim_of_entry(subject.key, entry), site, context, ignoring_namespace=subject.key.namespace
    ):
        return None
    known = context.previous[site.identity].policies
    lost = any(digest not in known for digest in entry.policies)
    documents = {digest: known[digest] for digest in entry.policies if digest in known}
    documents = {key: it for key, it in documents.items() if it.tier == "owner" and it.uid in existing.policy_uids}
    kept = (with_live_keys(it, context.objects, cache) for it in documents.values())
    documents = {encoded.digest: encoded.document for encoded in map(encode_document, kept)}
    documents |= {it.digest: it.document for it in governance.encoded if it.document.tier == "platform"}
    # A policy that closed the proxy may be fixed by now, but its rules are not in force here: it stays closed.
    invalid = entry.invalid or lost or bool(governance.closed_by)
    held = (entry.definitions.locks if entry.definitions is not None else None) or ()
    locks = [lock for lock in held if lock.uid in existing.lock_uids]
    kept_entry = refreshed(entry, site, context.known.services, policies=documents, invalid=invalid, locks=locks)
    return kept_entry, documents


def policy_weight(encoded: EncodedPolicy, cache: Cache) -> int:
    """Return the weight of a policy's rules, in instructions."""
    return cache.get(("policy weight", encoded.digest), lambda: CompiledPolicy.build(encoded.document).weight)


def catalogue_weight(entry: EncodedDocument[EntryDocument], cache: Cache) -> int:
    """Return the weight of a proxy's catalogue, in instructions."""
    catalogue = entry.document.catalogue
    if catalogue is None:
        return 0
    return cache.get(("catalogue weight", catalogue.model_dump_json()), lambda: _weigh(catalogue))


def _weigh(catalogue: CatalogueConfig) -> int:
    try:
        return sum(matcher.weight for matcher in compile_catalogue(catalogue).values())
    except PatternError:
        return PROXY_WEIGHT + 1  # a version from before the current limits
