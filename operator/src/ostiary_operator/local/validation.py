"""Validates all objects of the files by compiling them, with an implied gateway.

A cluster has gateways; a folder of proxies and policies usually has none. Unless the files declare a shared gateway,
one named ``default`` is implied in the operator's namespace, ``ostiary-system``. Policies of that namespace are
platform policies, all others are owner policies.
"""

import difflib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import yaml

from ostiary_core.contract.bundle import GatewayConfig
from ostiary_core.secret_bytes import SecretBytes
from ostiary_operator.api import labels
from ostiary_operator.api.effective_reasons import EffectiveReason
from ostiary_operator.api.reasons import AcceptedReason, GovernedReason, ProgrammedReason, ResolvedRefsReason
from ostiary_operator.api.resources import POLICY_KIND, PROXY_KIND
from ostiary_operator.api.yaml_reader import YamlError, read_documents
from ostiary_operator.compile import gateways
from ostiary_operator.compile.cache import Cache
from ostiary_operator.compile.compiler import compile_resources
from ostiary_operator.compile.gateways import Discovery, discover
from ostiary_operator.compile.inputs import credential_values, resources_from_objects
from ostiary_operator.compile.model import (
    Compiled,
    ConditionDraft,
    DiscoveredGateway,
    ObjectKey,
    Resources,
    ResourceStatus,
)
from ostiary_operator.compile.policy_test_runner import PolicyTestResult
from ostiary_operator.local import object_checks
from ostiary_operator.local.findings import Finding, Severity, in_order
from ostiary_operator.local.manifests import ManifestKey, ObjectManifest, Read, key_of

GATEWAY: Final = "default"

#: Reasons that are warnings: what the files lack may exist in the cluster.
_MAYBE_ELSEWHERE: Final = frozenset(
    {
        AcceptedReason.NO_GATEWAY.value,
        AcceptedReason.TARGET_NOT_FOUND.value,
        ResolvedRefsReason.REF_NOT_FOUND.value,
        ResolvedRefsReason.INVALID_KIND.value,
        ResolvedRefsReason.REF_NOT_PERMITTED.value,
    }
)
#: Reasons that are no findings: failing tests have their own, and no file says whether a server is ready.
_ELSEWHERE: Final = frozenset({AcceptedReason.TESTS_FAILED.value, ResolvedRefsReason.BACKEND_NOT_READY.value})
_REFERENCE: Final = re.compile(r"spec\.targetRefs\[(\d+)\]")
_FIELD: Final = re.compile(r"(?:spec|metadata)(?:[.\[][\w.\[\]-]*)?")


@dataclass(frozen=True, slots=True)
class ValidationContext:
    """The implied gateway.

    ``defaults`` are its settings, which a ConfigMap in the files may override.
    """

    operator_namespace: str = labels.OPERATOR_NAMESPACE
    gateway: str = GATEWAY
    defaults: Mapping[str, Any] = field(default_factory=dict)

    @property
    def identity(self) -> str:
        """``namespace/name`` of the implied gateway."""
        return f"{self.operator_namespace}/{self.gateway}"


@dataclass(frozen=True, slots=True)
class ValidationResult:
    """The result of validation. ``manifests`` are without duplicates.

    Of two with one key, the first is kept. ``credentials`` are the values of Secrets that proxies refer to.
    """

    manifests: tuple[ObjectManifest, ...]
    findings: tuple[Finding, ...]
    compiled: Compiled
    credentials: Mapping[str, SecretBytes] = field(default_factory=dict, repr=False)

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that are errors."""
        return tuple(finding for finding in self.findings if finding.severity is Severity.ERROR)


def validate(read: Read, context: ValidationContext) -> list[Finding]:
    """Return all that is wrong with what was read, in the order of the files."""
    result = validate_objects(read.manifests, context)
    return in_order([*read.findings, *result.findings, *ungoverned(result)])


def validate_objects(
    manifests: Iterable[ObjectManifest],
    context: ValidationContext,
    *,
    previous: Mapping[str, GatewayConfig] | None = None,
    cache: Cache | None = None,
) -> ValidationResult:
    """Validate each object, compile all, and return all findings.

    ``previous`` are the configs of the last compilation: their versions are kept where new ones are invalid.
    """
    distinct, findings = _distinct(manifests)
    for manifest in distinct.values():
        findings += object_checks.validate_object(manifest)
    faulty = {key_of(finding) for finding in findings}
    found = _discovered(distinct.values(), context)
    findings += _without_effect(found, distinct, faulty)
    resources = _resources(distinct.values(), found, context)
    compiled = compile_resources(resources, previous or {}, cache=cache)
    for manifest in distinct.values():
        if manifest.ours and manifest.key not in faulty:
            found_by_compiler = _conditions(manifest, compiled.statuses[ObjectKey(*manifest.key)], distinct)
            findings += [_with_suggestion(finding, manifest, distinct) for finding in found_by_compiler]
    values = credential_values((each.value for each in distinct.values()), resources.credentials)
    return ValidationResult(tuple(distinct.values()), tuple(findings), compiled, values)


def _distinct(manifests: Iterable[ObjectManifest]) -> tuple[dict[ManifestKey, ObjectManifest], list[Finding]]:
    distinct: dict[ManifestKey, ObjectManifest] = {}
    findings = []
    for manifest in manifests:
        first = distinct.setdefault(manifest.key, manifest)
        if first is not manifest:
            place = first.finding("", "", "").place
            findings.append(manifest.finding("", f"is defined twice, first at {place}", "remove or rename one"))
    return distinct, findings


def _resources(manifests: Iterable[ObjectManifest], found: Discovery, context: ValidationContext) -> Resources:
    resources = resources_from_objects((each.value for each in manifests), context.operator_namespace)
    return replace(resources, gateways=[_with_defaults(each, context) for each in found.gateways])


def _discovered(manifests: Iterable[ObjectManifest], context: ValidationContext) -> Discovery:
    """Discover gateways as the operator does; each implied gateway gets a Service."""
    values: dict[str, list[Mapping[str, Any]]] = {"Service": [], "ConfigMap": []}
    for manifest in manifests:
        values.setdefault(manifest.key.kind, []).append(manifest.value)
    services, config_maps = values["Service"], values["ConfigMap"]
    declared = set(map(gateways.gateway_of, filter(gateways.names_gateway, services)))
    settled = set(
        map(
            gateways.gateway_of,
            filter(gateways.names_gateway, filter(gateways.is_settings, config_maps)),
        )
    )
    implied = settled - declared
    platform = context.operator_namespace
    if context.defaults or all(namespace != platform for namespace, _ in declared | settled):
        implied |= {(platform, context.gateway)} - declared
    return discover([*services, *(_service(*each) for each in sorted(implied))], config_maps)


def _service(namespace: str, gateway: str) -> dict[str, Any]:
    """Return the Service of an implied gateway."""
    metadata = {"namespace": namespace, "name": f"ostiary-{gateway}", "labels": {labels.GATEWAY: gateway}}
    return {"metadata": metadata}


def _with_defaults(gateway: DiscoveredGateway, context: ValidationContext) -> DiscoveredGateway:
    if gateway.identity != context.identity or gateway.settings_problem:
        return gateway
    return replace(gateway, settings=_completed(gateway.settings, context.defaults))


def _without_effect(
    found: Discovery, known: Mapping[ManifestKey, ObjectManifest], faulty: Collection[ManifestKey]
) -> Iterator[Finding]:
    """Warn of Services and ConfigMaps that the operator would ignore, without other findings."""
    for each in found.ignored:
        manifest = known.get(ManifestKey(each.kind, each.namespace, each.name))
        if manifest is not None and manifest.key not in faulty:
            yield manifest.finding("metadata.labels", each.problem, each.remedy, severity=Severity.WARNING)


def _completed(text: str | None, defaults: Mapping[str, Any]) -> str | None:
    """Return settings completed with the defaults.

    Invalid settings are returned unchanged, since the compiler reports them.
    """
    if not defaults:
        return text
    try:
        documents = list(read_documents(text or "{}"))
    except YamlError:
        return text
    value = documents[0].value if len(documents) == 1 else None
    return yaml.safe_dump({**defaults, **value}) if isinstance(value, Mapping) else text


def _conditions(
    manifest: ObjectManifest, status: ResourceStatus, known: Mapping[ManifestKey, ObjectManifest]
) -> list[Finding]:
    """Return the findings of the compiler for a valid object."""
    findings = [
        _finding(manifest, condition)
        for condition in status.conditions
        if condition.status == "False" and condition.reason not in _ELSEWHERE
    ]
    findings += [_failed_test(manifest, result) for result in status.tests if not result.passed]
    findings += object_checks.without_effect(manifest, status)
    if status.too_large:
        reason = ProgrammedReason.CONFIG_TOO_LARGE
        findings.append(manifest.finding("", _clause(reason.meaning), _clause(reason.remedy)))
    findings = findings or list(_lost_targets(manifest, known))
    if findings or manifest.key.kind != POLICY_KIND:
        return findings
    slips = [each for each in status.aside if each.status == "False"]
    if not any(key.kind == "ConfigMap" and labels.GATEWAY in labels.of(it.value) for key, it in known.items()):
        # Without the gateway's settings nothing is known of its URL.
        slips = [each for each in slips if each.reason != EffectiveReason.NO_AUDIENCE]
    return [_finding(manifest, each, severity=Severity.WARNING) for each in slips]


def _failed_test(manifest: ObjectManifest, result: PolicyTestResult) -> Finding:
    name = f"{result.test.name}: " if result.test.name is not None else ""
    return manifest.finding(result.field, f"{name}{result.failure}", "correct the rules or the test")


def ungoverned(result: ValidationResult) -> list[Finding]:
    """Return a warning for each proxy without a policy and without other findings."""
    statuses = result.compiled.statuses
    faulty = {key_of(finding) for finding in result.findings}
    return [
        _finding(manifest, each, severity=Severity.WARNING)
        for manifest in result.manifests
        if manifest.key.kind == PROXY_KIND and manifest.key not in faulty
        for each in statuses[ObjectKey(*manifest.key)].aside
        if each.reason == GovernedReason.NO_POLICY
    ]


def _finding(manifest: ObjectManifest, condition: ConditionDraft, *, severity: Severity | None = None) -> Finding:
    """Return a condition as a finding.

    Its message is `object: field: problem; remedy. What stays in force`.
    """
    text = condition.message.removeprefix(f"{manifest.key.kind} {manifest.key.namespace}/{manifest.key.name}: ")
    head, separator, tail = text.partition(": ")
    path, text = (head, tail) if separator and _FIELD.fullmatch(head) else ("", text)
    what, _, remedy = text.partition("; ")
    is_foreign = condition.reason == ResolvedRefsReason.BACKEND_NOT_FOUND and path.endswith(".serverRef")
    is_elsewhere = condition.reason in _MAYBE_ELSEWHERE or is_foreign
    severity = severity or (Severity.WARNING if is_elsewhere else Severity.ERROR)
    return manifest.finding(path, what, _clause(remedy), severity=severity)


def _lost_targets(manifest: ObjectManifest, known: Mapping[ManifestKey, ObjectManifest]) -> Iterator[Finding]:
    """Yield a warning for each targetRef without an MCPProxy in a policy that governs others."""
    if manifest.key.kind != POLICY_KIND:
        return
    for index, reference in enumerate(manifest.value["spec"].get("targetRefs", ())):
        target = ManifestKey(PROXY_KIND, manifest.key.namespace, reference["name"])
        if target not in known:
            words = f"there is no MCPProxy {target.namespace}/{target.name}"
            remedy = "correct the name, or create the MCPProxy in the policy's namespace"
            yield manifest.finding(f"spec.targetRefs[{index}]", words, remedy, severity=Severity.WARNING)


def _clause(text: str) -> str:
    return text.partition(". ")[0].removesuffix(".")


def _with_suggestion(finding: Finding, manifest: ObjectManifest, known: Iterable[ManifestKey]) -> Finding:
    """Return a finding about a missing MCPProxy with a suggestion as its remedy.

    Any other finding is returned unchanged.

    The suggestion is a similar name in the same namespace, the same name in another namespace (which a policy cannot
    target), or the only MCPProxy of the namespace.
    """
    place = _REFERENCE.fullmatch(finding.field)
    if place is None or manifest.key.kind != POLICY_KIND or "there is no MCPProxy" not in finding.message:
        return finding
    name = str(manifest.value["spec"]["targetRefs"][int(place[1])]["name"])
    proxies = [key for key in known if key.kind == PROXY_KIND]
    hint = _hint(name, manifest.key.namespace, proxies)
    return replace(finding, remedy=hint) if hint else finding


def _hint(name: str, namespace: str, proxies: list[ManifestKey]) -> str:
    here = [key.name for key in proxies if key.namespace == namespace]
    close = difflib.get_close_matches(name, here, n=1)
    if close:
        return f"did you mean {close[0]}? Correct the name, or create the MCPProxy in the policy's namespace"
    elsewhere = next((key.namespace for key in proxies if key.name == name), "")
    if elsewhere:
        return f"there is one in namespace {elsewhere}, but a policy targets its own namespace: place it there"
    if len(here) == 1:
        return f"the only one here is {here[0]}: correct the name, or create the MCPProxy in the policy's namespace"
    return ""
