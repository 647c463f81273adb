"""Decides which version of each policy is in force, and which proxies it governs.

An unusable policy never opens a proxy. A version that is not accepted changes nothing: the last accepted one stays in
force with its rules and targets, as the previous configs contain it. Proxies that only the unusable version targets
refuse every call; so do all its targets where no version was ever accepted. A deleted policy is no longer in force.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from ostiary_core.contract.bundle import GatewayConfig
from ostiary_core.contract.documents import PolicyDocument, SubjectConfig, Tier
from ostiary_core.errors import ExpressionError, PatternError
from ostiary_operator.api.reasons import AcceptedReason
from ostiary_operator.compile.authentication import (
    ApiKeySecrets,
    compile_authentication,
    select_keys,
)
from ostiary_operator.compile.cache import Cache
from ostiary_operator.compile.encoded_document import EncodedPolicy, encode_document
from ostiary_operator.compile.last_accepted_policies import LastAcceptedPolicies
from ostiary_operator.compile.model import ApiKeySecret, ObjectKey, ResourceRejection, first_rejection
from ostiary_operator.compile.policy_checks import CHECKS
from ostiary_operator.compile.policy_test_runner import PolicyTestResult, failures, run_tests
from ostiary_operator.compile.resource_parser import ParsedPolicy, PolicyContent
from ostiary_operator.compile.targets import TargetIndex, Targeting, source_of, tier_of


class PolicyVersion(NamedTuple):
    """A version of a policy that gateways can compile, and the results of its tests."""

    encoded: EncodedPolicy
    tests: tuple[PolicyTestResult, ...]


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
    api_keys: ApiKeySecrets,
    cache: Cache,
) -> tuple[PolicyDecision, ...]:
    """Decide for every policy."""
    last = LastAcceptedPolicies(previous, api_keys, cache, operator_namespace=operator_namespace)
    return tuple(
        _rule(policy, proxies, tier_of(policy.key.namespace, operator_namespace), last, cache) for policy in policies
    )


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
    keys = select_keys(subject.key, subject.spec.authentication, last.api_keys)
    version = _compiled(subject, subject.spec, tier, keys.secrets or (), cache)
    rejection = rejection or _objection(subject, version)
    tests = version.tests if isinstance(version, PolicyVersion) else ()
    if rejection is None and keys.secrets is not None and isinstance(version, PolicyVersion):
        evadable = tier == "platform" and targeting.is_by_labels_of_proxies
        encoded = version.encoded
        decided = PolicyDecision(subject, tier, None, encoded, targets.found, (), targets.missing, evadable, tests)
        return replace(decided, unresolved=keys.defect, is_newest=True)
    held = _hold(subject, proxies, tier, last, rejection=rejection, targeting=targeting)
    return replace(held, tests=tests, unresolved=keys.defect)


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


def _objection(subject: ParsedPolicy, version: PolicyVersion | ResourceRejection) -> ResourceRejection | None:
    """Return why a version is not accepted, whatever it targets."""
    if isinstance(version, ResourceRejection):
        return version
    failed = failures(version.tests)
    if not failed:
        return None
    return ResourceRejection(AcceptedReason.TESTS_FAILED, f"{subject.title}: {failed}")


def _compiled(
    subject: ParsedPolicy, content: PolicyContent, tier: Tier, keys: tuple[ApiKeySecret, ...], cache: Cache
) -> PolicyVersion | ResourceRejection:
    if subject.fingerprint is None:
        return _compile(subject, content, tier, keys)
    return cache.get(("policy", tier, subject.fingerprint, keys), lambda: _compile(subject, content, tier, keys))


def _subjects(content: PolicyContent, namespace: str) -> list[SubjectConfig] | None:
    """Return the subjects with whole names of consumers.

    A policy names consumers of its own namespace only.
    """
    if content.subjects is None:
        return None
    names = [[f"{namespace}/{name}" for name in each.consumers or ()] or None for each in content.subjects]
    found = zip(content.subjects, names, strict=True)
    return [each.model_copy(update={"consumers": consumers}) for each, consumers in found]


def _compile(
    subject: ParsedPolicy, content: PolicyContent, tier: Tier, keys: tuple[ApiKeySecret, ...]
) -> PolicyVersion | ResourceRejection:
    """Encode the document of a policy, verify that a gateway can compile it, and run its tests."""
    document = PolicyDocument(
        namespace=subject.key.namespace,
        name=subject.key.name,
        uid=subject.uid,
        generation=subject.generation,
        tier=tier,
        access=content.access,
        mode=content.mode,
        authentication=compile_authentication(subject.key.namespace, content.authentication, keys),
        subjects=_subjects(content, subject.key.namespace),
        source=source_of(content),
    )
    try:
        tests = run_tests(document, content.tests)
    except ExpressionError as error:
        return ResourceRejection(AcceptedReason.INVALID, f"{subject.title}: {error}")
    except PatternError as error:
        message = f"{subject.title}: spec.access.rules: {error}"
        return ResourceRejection(AcceptedReason.INVALID, message)
    return PolicyVersion(encode_document(document), tests)
