"""What one namespace may add to a gateway's config, so that it cannot crowd out the others.

A namespace that exceeds its budget keeps what it had there: the entries and owner policies of before, without those
that were deleted, under the platform policies of today. Nothing new of it gets in; other namespaces notice nothing.
"""

from collections import defaultdict
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final

from ostiary_core.contract.documents import PolicyDocument
from ostiary_operator.compile.admission import Ground, last_entry, object_to
from ostiary_operator.compile.claims import claim_of_entry
from ostiary_operator.compile.entries import FiledEntry, refreshed
from ostiary_operator.compile.model import ObjectKey
from ostiary_operator.compile.policies import Governance
from ostiary_operator.compile.sites import Site
from ostiary_operator.compile.subjects import ProxySubject

#: Bytes of canonical JSON that the entries and owner policies of one namespace may take in one gateway's config.
DEFAULT_BUDGET: Final = 4 * 1024 * 1024

_UNGOVERNED: Final = Governance()


@dataclass(frozen=True, slots=True)
class Share:
    """One gateway's config as it is settled: entries by proxy, and the policies that they name, by digest.

    ``written`` holds the texts of what was compiled today: of entries by ``namespace/name``, of policies by digest.
    ``unmet`` holds, for the proxies of namespaces beyond their budget, the entry that they should have had;
    ``exceeded`` what those namespaces would have taken, in bytes.
    """

    entries: Mapping[ObjectKey, FiledEntry]
    policies: Mapping[str, PolicyDocument]
    budget: int
    unmet: Mapping[ObjectKey, FiledEntry] = field(default_factory=dict)
    exceeded: Mapping[str, int] = field(default_factory=dict)
    written: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Living:
    """What exists today: proxies by key, policies by uid. What was deleted is not kept."""

    proxies: Mapping[ObjectKey, ProxySubject]
    policy_uids: AbstractSet[str]


def share(
    site: Site,
    entries: Mapping[ObjectKey, FiledEntry],
    governance: Mapping[ObjectKey, Governance],
    *,
    ground: Ground,
    living: Living,
    budget: int,
) -> Share:
    """Settle the config of one gateway, of the entries that it should have."""
    sizes = _sizes(entries, governance)
    exceeded = {namespace: size for namespace, size in sizes.items() if size > budget}
    settled, policies, unmet = {}, {}, {}
    written: dict[str, bytes] = {}
    for key, entry in entries.items():
        governed = governance.get(key, _UNGOVERNED)
        if key.namespace not in exceeded:
            settled[key] = entry
            policies.update({filed.digest: filed.document for filed in governed.filed})
            written.update({filed.digest: filed.text for filed in governed.filed})
            continue
        unmet[key] = entry
        before = _before(site, living.proxies[key], governed, ground, living.policy_uids)
        if before is not None:
            settled[key], documents = before
            policies.update(documents)
    written |= {entry.document.identity: entry.text for entry in settled.values()}
    return Share(settled, policies, budget, unmet, exceeded, written)


def _sizes(entries: Mapping[ObjectKey, FiledEntry], governance: Mapping[ObjectKey, Governance]) -> Mapping[str, int]:
    """Return what each namespace takes: its entries, and each of its owner policies once."""
    parts: dict[str, dict[str, int]] = defaultdict(dict)
    for key, entry in entries.items():
        parts[key.namespace][entry.digest] = entry.size
        for filed in governance.get(key, _UNGOVERNED).filed:
            if filed.document.tier == "owner":
                parts[key.namespace][filed.digest] = filed.size
    return {namespace: sum(sizes.values()) for namespace, sizes in parts.items()}


def _before(
    site: Site, subject: ProxySubject, governance: Governance, ground: Ground, policy_uids: AbstractSet[str]
) -> tuple[FiledEntry, Mapping[str, PolicyDocument]] | None:
    """Return what the gateway had of a proxy, as far as it may stay, with the policies that it names now."""
    entry = last_entry(subject, site, ground.previous)
    # The namespace's own newer claims are not in force here, so they take nothing from its older ones.
    if entry is None or object_to(
        claim_of_entry(subject.key, entry), site, ground, ignoring_namespace=subject.key.namespace
    ):
        return None
    known = ground.previous[site.identity].policies
    lost = any(digest not in known for digest in entry.policies)
    documents = {digest: known[digest] for digest in entry.policies if digest in known}
    documents = {key: it for key, it in documents.items() if it.tier == "owner" and it.uid in policy_uids}
    documents |= {it.digest: it.document for it in governance.filed if it.document.tier == "platform"}
    # A policy that closed the proxy may be mended by now, but its rules are not in force here: it stays closed.
    invalid = entry.invalid or lost or bool(governance.closed_by)
    return refreshed(entry, site, policies=sorted(documents), invalid=invalid), documents
