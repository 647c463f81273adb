"""Decides which version of each policy is in force, and which proxies it governs.

An unusable policy never opens a proxy. A version that is not accepted changes nothing: the last accepted one stays in
force with its rules and targets, as the previous configs contain it. Proxies that only the unusable version targets
refuse every call; so do all its targets where no version was ever accepted. A deleted policy is no longer in force.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from ostiary_core.contract.bundle import GatewayConfig
from ostiary_core.contract.documents import Tier
from ostiary_operator.api.reasons import AcceptedReason
from ostiary_operator.compile.authentication_methods import ReferencedObjects, select_keys
from ostiary_operator.compile.cache import Cache
from ostiary_operator.compile.encoded_document import EncodedPolicy
from ostiary_operator.compile.last_accepted_policies import LastAcceptedPolicies
from ostiary_operator.compile.model import ObjectKey, ResourceRejection, first_rejection
from ostiary_operator.compile.policy_checks import CHECKS
from ostiary_operator.compile.policy_references import ResolvedReferences, resolve_policy
from ostiary_operator.compile.policy_test_runner import PolicyTestResult
from ostiary_operator.compile.policy_versions import PolicyVersion, VersionInputs, compile_version, defect_of
from ostiary_operator.compile.resource_parser import ParsedPolicy, PolicyContent
from ostiary_operator.compile.scorers import ScorerGrants
from ostiary_operator.compile.targets import TargetIndex, Targeting, tier_of
from ostiary_operator.compile.transform_conflicts import conflicts_at


@dataclass(frozen=True, slots=True)
class PolicyDecision:
    """The result for one policy: which version is in force, and at which proxies.

    ``tests`` are the results of the newest version's tests, where they could be run.

    ``encoded`` is in force at ``governs``; the proxies in ``closes`` refuse every call. ``rejection`` says why the
    newest version is not accepted; ``missing`` names targets that do not exist. ``evadable`` is set where the owner of
    a proxy can evade the platform's policy with the proxy's labels. ``unresolved`` says what it refers to and cannot be
    used. ``is_newest`` is set where the newest version is in force.
    """

    subject: ParsedPolicy
    tier: Tier
    rejection: ResourceRejection | None
    encoded: EncodedPolicy | None
    governs: tuple[ObjectKey, ...] = ()
    closes: tuple[ObjectKey, ...] = ()
    missing: tuple[str, ...] = ()
    evadable: bool = False
    tests: tuple[PolicyTestResult, ...] = ()
    unresolved: ResourceRejection | None = None
    is_newest: bool = False

    @property
    def serves_last_accepted(self) -> bool:
        """Whether the last accepted version is in force instead of the newest."""
        return not self.is_newest and self.encoded is not None


@dataclass(slots=True)
class Governance:
    """The policies of one proxy: those in force, and those that close it until they are fixed."""

    decisions: list[PolicyDecision] = field(default_factory=list)
    closed_by: list[PolicyDecision] = field(default_factory=list)

    @property
    def encoded(self) -> tuple[EncodedPolicy, ...]:
        """The documents in force, in the order of their digests."""
        found = {
            decision.encoded.digest: decision.encoded for decision in self.decisions if decision.encoded is not None
        }
        return tuple(found[key] for key in sorted(found))


def decide(
    policies: Iterable[ParsedPolicy],
    proxies: TargetIndex,
    *,
    operator_namespace: str,
    previous: Mapping[str, GatewayConfig],
    objects: ReferencedObjects,
    scorers: ScorerGrants,
    cache: Cache,
) -> tuple[PolicyDecision, ...]:
    """Decide for every policy."""
    last = LastAcceptedPolicies(previous, objects, cache, operator_namespace=operator_namespace, scorers=scorers)
    decisions = tuple(
        _rule(policy, proxies, tier_of(policy.key.namespace, operator_namespace), last, cache) for policy in policies
    )
    conflicts = _conflicts(decisions, proxies, cache)
    return tuple(_without_conflict(each, conflicts, proxies, last) for each in decisions) if conflicts else decisions


def _conflicts(
    decisions: Iterable[PolicyDecision], proxies: TargetIndex, cache: Cache
) -> Mapping[ObjectKey, ResourceRejection]:
    """Return why new versions conflict with others, by policy.

    The reason is that at the first proxy of each.
    """
    changing = [each for each in decisions if each.encoded is not None and each.encoded.document.transforms]
    found: dict[ObjectKey, ResourceRejection] = {}
    for proxy, governed in sorted(govern(changing).items()):
        title = f"{proxy.kind} {proxy.namespace}/{proxy.name}"
        found = {**conflicts_at(title, governed.encoded, proxies.servers(proxy), cache), **found}
    return found


def _without_conflict(
    decision: PolicyDecision,
    conflicts: Mapping[ObjectKey, ResourceRejection],
    proxies: TargetIndex,
    last: LastAcceptedPolicies,
) -> PolicyDecision:
    """Return the decision with the last accepted version where the new one conflicts."""
    subject, rejection = decision.subject, conflicts.get(decision.subject.key)
    if rejection is None or not decision.is_newest or subject.spec is None:
        return decision
    targeting = Targeting.of_content(subject.spec)
    held = _hold(subject, proxies, decision.tier, last, rejection=rejection, targeting=targeting)
    return replace(held, tests=decision.tests, unresolved=decision.unresolved)


def govern(decisions: Iterable[PolicyDecision]) -> Mapping[ObjectKey, Governance]:
    """Group decisions on policies by the proxies that they concern."""
    found: dict[ObjectKey, Governance] = defaultdict(Governance)
    for decision in decisions:
        for key in decision.governs:
            found[key].decisions.append(decision)
        for key in decision.closes:
            found[key].closed_by.append(decision)
    return found


def _rule(
    subject: ParsedPolicy, proxies: TargetIndex, tier: Tier, last: LastAcceptedPolicies, cache: Cache
) -> PolicyDecision:
    if subject.spec is None:
        rejection: ResourceRejection | None = ResourceRejection(AcceptedReason.INVALID, subject.problem)
        return _hold(subject, proxies, tier, last, rejection=rejection, targeting=Targeting.of_raw(subject.raw))
    targeting = Targeting.of_content(subject.spec)
    targets = proxies.find(targeting, subject.key.namespace, tier)
    rejection = first_rejection(CHECKS, subject, subject.spec, tier, targets)
    keys = select_keys(subject.key, subject.spec.authentication, last.objects.api_keys)
    references = _resolved(subject, subject.spec, last.objects, cache)
    unresolved = references.rejection or keys.defect
    catalogues = proxies.catalogues(targets, subject.key.namespace) if subject.spec.tests else (None,)
    inputs = VersionInputs(tier, keys.secrets or (), references, catalogues)
    version = compile_version(subject, subject.spec, inputs, cache)
    rejection = rejection or defect_of(subject, version)
    if rejection is None and isinstance(version, PolicyVersion):
        rejection = last.scorers.object_to(version.encoded.document)
    tests = version.tests if isinstance(version, PolicyVersion) else ()
    is_complete = keys.secrets is not None and references.rejection is None
    if rejection is None and is_complete and isinstance(version, PolicyVersion):
        evadable = tier == "platform" and targeting.is_by_labels_of_proxies
        encoded = version.encoded
        decided = PolicyDecision(subject, tier, None, encoded, targets.found, (), targets.missing, evadable, tests)
        return replace(decided, unresolved=unresolved, is_newest=True)
    held = _hold(subject, proxies, tier, last, rejection=rejection, targeting=targeting)
    return replace(held, tests=tests, unresolved=unresolved)


def _resolved(
    subject: ParsedPolicy, content: PolicyContent, objects: ReferencedObjects, cache: Cache
) -> ResolvedReferences:
    namespace, given = subject.key.namespace, content.authentication
    return resolve_policy(subject.title, namespace, given, objects.references, objects.credentials, cache)


def _hold(
    subject: ParsedPolicy,
    proxies: TargetIndex,
    tier: Tier,
    last: LastAcceptedPolicies,
    *,
    rejection: ResourceRejection | None,
    targeting: Targeting,
) -> PolicyDecision:
    """Keep the last accepted version in force, and close what only the unusable one targets."""
    encoded = last.find(subject, tier)
    governs: tuple[ObjectKey, ...] = ()
    if encoded is not None:
        kept = Targeting.of_source(encoded.document.source)
        governs = proxies.find(kept, subject.key.namespace, tier).found
    meant = proxies.find(targeting, subject.key.namespace, tier)
    closes = tuple(sorted(set(meant.found).difference(governs)))
    return PolicyDecision(subject, tier, rejection, encoded, governs, closes, meant.missing)
