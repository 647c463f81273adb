"""Decides which version of each policy is in force, and which proxies it governs.

An unusable policy never opens a proxy. A version that is not accepted changes nothing: the last accepted one stays in
force with its rules and targets, as the previous configs contain it. Proxies that only the unusable version targets
refuse every call; so do all its targets where no version was ever accepted. A deleted policy is no longer in force.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeAlias

from ostiary_core.contract.bundle import GatewayConfig
from ostiary_core.contract.documents import PolicyDocument, SubjectConfig, Tier
from ostiary_core.errors import ExpressionError, PatternError
from ostiary_core.policy.compiled_policy import CompiledPolicy
from ostiary_operator.api.reasons import AcceptedReason
from ostiary_operator.compile.authentication import (
    ApiKeySecrets,
    compile_authentication,
    select_keys,
    with_current_keys,
)
from ostiary_operator.compile.cache import Cache
from ostiary_operator.compile.encoded_document import EncodedDocument, encode_document
from ostiary_operator.compile.model import ApiKeySecret, ObjectKey, ResourceRejection, first_rejection
from ostiary_operator.compile.policy_test_runner import PolicyTestResult, failures, run_tests
from ostiary_operator.compile.resource_parser import ParsedPolicy, PolicyContent
from ostiary_operator.compile.targets import TargetIndex, Targeting, Targets, source_of, tier_of
from ostiary_operator.compile.token_issuers import authentication_is_usable

EncodedPolicy: TypeAlias = EncodedDocument[PolicyDocument]


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
    last = _LastAccepted(previous, api_keys, cache, operator_namespace=operator_namespace)
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


class _LastAccepted:
    """The last accepted version of each policy, by uid; read only when one is needed.

    Only the configs of shared gateways, and of gateways in the policy's own namespace, are trusted. The key of any
    other gateway belongs to another tenant, who could forge everyone's policies with it.
    """

    def __init__(
        self, previous: Mapping[str, GatewayConfig], api_keys: ApiKeySecrets, cache: Cache, *, operator_namespace: str
    ) -> None:
        self.api_keys = api_keys
        self._previous = previous
        self._cache = cache
        self._operator_namespace = operator_namespace
        self._by_origin: dict[tuple[str, str], PolicyDocument] | None = None

    def _known(self) -> Mapping[tuple[str, str], PolicyDocument]:
        """Return the newest version of each policy at a namespace's gateways, by namespace and uid."""
        if self._by_origin is None:
            found = [
                (identity.partition("/")[0], *item)
                for identity, config in self._previous.items()
                for item in config.policies.items()
            ]
            found.sort(key=lambda item: (item[2].generation, item[1]))
            self._by_origin = {(namespace, document.uid): document for namespace, _, document in found}
        return self._by_origin

    def find(self, subject: ParsedPolicy, tier: Tier) -> EncodedPolicy | None:
        origins = {self._operator_namespace, subject.key.namespace}
        versions = [self._known().get((namespace, subject.uid)) for namespace in sorted(origins)]
        document = max(filter(None, versions), key=lambda each: each.generation, default=None)
        if document is None:
            return None
        # The tier is computed again, since the operator may have another namespace now.
        encoded = encode_document(with_current_keys(document, self.api_keys).model_copy(update={"tier": tier}))
        # A version from before the current limits may cost more than any gateway accepts.
        runs = self._cache.get(("runs", encoded.digest), lambda: _runs(encoded.document))
        return encoded if runs else None


def _runs(document: PolicyDocument) -> bool:
    try:
        CompiledPolicy.build(document)
    except (PatternError, ExpressionError):
        return False
    return True


def _rule(subject: ParsedPolicy, proxies: TargetIndex, tier: Tier, last: _LastAccepted, cache: Cache) -> PolicyDecision:
    if subject.spec is None:
        rejection: ResourceRejection | None = ResourceRejection(AcceptedReason.INVALID, subject.problem)
        return _hold(subject, proxies, tier, last, rejection=rejection, targeting=Targeting.of_raw(subject.raw))
    targeting = Targeting.of_content(subject.spec)
    targets = proxies.find(targeting, subject.key.namespace, tier)
    rejection = first_rejection(_CHAIN, subject, subject.spec, tier, targets)
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
    last: _LastAccepted,
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


def names_a_target(
    subject: ParsedPolicy, content: PolicyContent, _tier: Tier, _targets: Targets
) -> ResourceRejection | None:
    """A policy without any target is a mistake."""
    if not Targeting.of_content(content).is_empty:
        return None
    remedy = "set one of them; targetSelector: {} selects every MCPProxy that the policy reaches"
    message = f"{subject.title}: spec: has neither targetRefs nor targetSelector, so it governs nothing; {remedy}"
    return ResourceRejection(AcceptedReason.NO_TARGET, message)


def selects_only_where_it_may(
    subject: ParsedPolicy, content: PolicyContent, tier: Tier, _targets: Targets
) -> ResourceRejection | None:
    """Only the platform tier reaches other namespaces."""
    if tier == "platform" or content.target_selector is None or content.target_selector.namespace_selector is None:
        return None
    message = (
        f"{subject.title}: spec.targetSelector.namespaceSelector: only policies in the operator's namespace may select "
        "namespaces; remove it, or ask the platform team to place the policy"
    )
    return ResourceRejection(AcceptedReason.SELECTOR_NOT_PERMITTED, message)


def finds_a_target(
    subject: ParsedPolicy, content: PolicyContent, _tier: Tier, targets: Targets
) -> ResourceRejection | None:
    """At least one named target must exist; a selector may match proxies created later."""
    if targets.found or not targets.missing:
        return None
    index = next(i for i, name in enumerate(content.target_names) if name in targets.missing)
    names = ", ".join(f"{subject.key.namespace}/{name}" for name in targets.missing)
    correct = f"did you mean {targets.nearest}? Correct" if targets.nearest else "correct"
    message = (
        f"{subject.title}: spec.targetRefs[{index}]: there is no MCPProxy {names}; "
        f"{correct} the name, or create the MCPProxy in the policy's namespace"
    )
    return ResourceRejection(AcceptedReason.TARGET_NOT_FOUND, message)


_CHAIN = (names_a_target, selects_only_where_it_may, finds_a_target, authentication_is_usable)


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
