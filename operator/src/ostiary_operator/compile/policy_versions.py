"""Compiles versions of policies, and runs their tests."""

from typing import NamedTuple

from ostiary_core.catalogue_names import CatalogueNames
from ostiary_core.content.masks.mask_outputs import patterns_that_find_outputs
from ostiary_core.contract.access import SubjectConfig
from ostiary_core.contract.documents import PolicyDocument, Tier
from ostiary_core.errors import ContractError, ExpressionError, PatternError
from ostiary_operator.api.reasons import AcceptedReason
from ostiary_operator.compile.authentication_methods import compile_authentication
from ostiary_operator.compile.cache import Cache
from ostiary_operator.compile.encoded_document import EncodedPolicy, encode_document
from ostiary_operator.compile.model import ApiKeySecret, ResourceRejection
from ostiary_operator.compile.policy_references import ResolvedReferences
from ostiary_operator.compile.policy_test_runner import PolicyTestResult, failures, run_tests
from ostiary_operator.compile.resource_parser import ParsedPolicy, PolicyContent
from ostiary_operator.compile.targets import source_of
from ostiary_operator.compile.transform_conflicts import conflict_within


class PolicyVersion(NamedTuple):
    """A version of a policy that gateways can compile, and the results of its tests."""

    encoded: EncodedPolicy
    tests: tuple[PolicyTestResult, ...]


class VersionInputs(NamedTuple):
    """What a version is compiled from besides the policy itself.

    Where ``references`` has a rejection, the version must not come into force. ``catalogues`` are those of its targets
    that its tests are judged at (:meth:`TargetIndex.catalogues`).
    """

    tier: Tier
    keys: tuple[ApiKeySecret, ...]
    references: ResolvedReferences
    catalogues: tuple[CatalogueNames | None, ...] = (None,)


def defect_of(subject: ParsedPolicy, version: PolicyVersion | ResourceRejection) -> ResourceRejection | None:
    """Return why a version is not accepted, whatever it targets."""
    if isinstance(version, ResourceRejection):
        return version
    failed = failures(version.tests)
    if not failed:
        return None
    return ResourceRejection(AcceptedReason.TESTS_FAILED, f"{subject.title}: {failed}")


def compile_version(
    subject: ParsedPolicy, content: PolicyContent, inputs: VersionInputs, cache: Cache
) -> PolicyVersion | ResourceRejection:
    """Compile the version of a policy, or return why no gateway could."""
    if subject.fingerprint is None:
        return _compile(subject, content, inputs)
    return cache.get(("policy", subject.fingerprint, inputs), lambda: _compile(subject, content, inputs))


def _subjects(content: PolicyContent, namespace: str) -> list[SubjectConfig] | None:
    """Return the subjects with whole names of consumers.

    A policy names consumers of its own namespace only.
    """
    if content.subjects is None:
        return None
    names = [[f"{namespace}/{name}" for name in each.consumers or ()] or None for each in content.subjects]
    found = zip(content.subjects, names, strict=True)
    return [each.model_copy(update={"consumers": consumers}) for each, consumers in found]


def _compile(subject: ParsedPolicy, content: PolicyContent, inputs: VersionInputs) -> PolicyVersion | ResourceRejection:
    """Encode the document of a policy, verify that a gateway can compile it, and run its tests."""
    namespace = subject.key.namespace
    authentication = compile_authentication(namespace, content.authentication, inputs.keys, inputs.references)
    document = PolicyDocument(
        namespace=namespace,
        name=subject.key.name,
        uid=subject.uid,
        generation=subject.generation,
        tier=inputs.tier,
        access=content.access,
        mode=content.mode,
        authentication=authentication,
        subjects=_subjects(content, namespace),
        audit=content.audit,
        limits=list(content.limits) or None,
        loop_detection=content.loop_detection,
        **content.content.members,
        source=source_of(content),
    )
    try:
        tests = run_tests(document, content.tests, inputs.catalogues)
        rejection = _content_defect(subject.title, document)
    except ExpressionError as error:
        return ResourceRejection(AcceptedReason.INVALID, f"{subject.title}: {error}")
    except ContractError as error:
        return ResourceRejection(AcceptedReason.INVALID, f"{subject.title}: spec.limits: {error}")
    except PatternError as error:
        return ResourceRejection(AcceptedReason.INVALID, f"{subject.title}: {_with_field(content, str(error))}")
    if rejection is not None:
        return rejection
    return PolicyVersion(encode_document(document), tests)


def _with_field(content: PolicyContent, defect: str) -> str:
    """Return what is wrong with a pattern after its field, as far as that is known."""
    if defect.startswith("spec."):
        return defect
    field = "spec" if content.limits or content.loop_detection is not None else "spec.access.rules"
    return f"{field}: {defect}"


def _content_defect(title: str, document: PolicyDocument) -> ResourceRejection | None:
    """Return why the rules about contents of a policy cannot be used together.

    Raises:
        PatternError: a pattern is invalid.
    """
    conflict = conflict_within(document)
    if conflict:
        return ResourceRejection(AcceptedReason.TRANSFORM_CONFLICT, f"{title}: {conflict}")
    shown = next(patterns_that_find_outputs(document.masks or ()), None)
    if shown is None:
        return None
    field = f"spec.masks[{shown.mask}].detect[{shown.detector}].pattern"
    message = f"finds what masks show instead of values, such as {shown.output[:64]!r}; narrow it"
    return ResourceRejection(AcceptedReason.INVALID, f"{title}: {field}: {message}")
