"""All objects of the files, judged together: what the compiler says of them, with the gateway that is implied.

A cluster has gateways; a folder of proxies and policies mostly has none. Unless the files declare a shared gateway, one
called ``default`` is implied, in the operator's namespace, ``ostiary-system``. Policies of that namespace are the
platform's, all others are their owners'.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import yaml

from ostiary_core.contract.bundle import GatewayConfig
from ostiary_operator.api.documents import YamlError, read_documents
from ostiary_operator.api.resources import POLICY_KIND, PROXY_KIND
from ostiary_operator.api.status import AcceptedReason, GovernedReason, ProgrammedReason, ResolvedRefsReason
from ostiary_operator.compile.cache import Cache
from ostiary_operator.compile.compiler import compile_resources
from ostiary_operator.compile.model import (
    Compiled,
    ConditionDraft,
    DiscoveredGateway,
    ObjectKey,
    Resources,
    ResourceStatus,
)
from ostiary_operator.compile.objects import resources_from_objects
from ostiary_operator.local import judging, meant
from ostiary_operator.local.findings import Finding, Severity
from ostiary_operator.local.manifests import Key, Manifest, key_of

OPERATOR_NAMESPACE: Final = "ostiary-system"
GATEWAY: Final = "default"

#: What may be missing from the files and yet be in the cluster: nobody need be wrong.
_MAYBE_ELSEWHERE: Final = frozenset(
    {
        AcceptedReason.NO_GATEWAY.value,
        AcceptedReason.TARGET_NOT_FOUND.value,
        ResolvedRefsReason.REF_NOT_FOUND.value,
    }
)
_FIELD: Final = re.compile(r"(?:spec|metadata)(?:[.\[][\w.\[\]-]*)?")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the files stand in. ``defaults`` are settings of the implied gateway that its own ConfigMap may replace."""

    operator_namespace: str = OPERATOR_NAMESPACE
    gateway: str = GATEWAY
    defaults: Mapping[str, Any] = field(default_factory=dict)

    @property
    def identity(self) -> str:
        """``namespace/name`` of the implied gateway."""
        return f"{self.operator_namespace}/{self.gateway}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of all objects together. ``manifests`` are those that count: of two alike, the first."""

    manifests: tuple[Manifest, ...]
    findings: tuple[Finding, ...]
    compiled: Compiled

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that are errors."""
        return tuple(finding for finding in self.findings if finding.severity is Severity.ERROR)


def judge_all(
    manifests: Iterable[Manifest],
    surroundings: Surroundings,
    *,
    previous: Mapping[str, GatewayConfig] | None = None,
    cache: Cache | None = None,
) -> Verdict:
    """Judge each object, compile all, and say what is wrong with any of them.

    ``previous`` are the configs of the last compilation: versions accepted then stay where new ones cannot be used.
    """
    distinct, findings = _distinct(manifests)
    for manifest in distinct.values():
        findings += judging.judge(manifest)
    faulty = {key_of(finding) for finding in findings}
    compiled = compile_resources(_resources(distinct.values(), surroundings), previous or {}, cache=cache)
    for manifest in distinct.values():
        if manifest.ours and manifest.key not in faulty:
            told = _conditions(manifest, compiled.statuses[ObjectKey(*manifest.key)], distinct)
            findings += [meant.hinted(finding, manifest, distinct) for finding in told]
    return Verdict(tuple(distinct.values()), tuple(findings), compiled)


def _distinct(manifests: Iterable[Manifest]) -> tuple[dict[Key, Manifest], list[Finding]]:
    distinct: dict[Key, Manifest] = {}
    findings = []
    for manifest in manifests:
        first = distinct.setdefault(manifest.key, manifest)
        if first is not manifest:
            place = first.finding("", "", "").place
            findings.append(manifest.finding("", f"is defined twice, first at {place}", "remove or rename one"))
    return distinct, findings


def _resources(manifests: Iterable[Manifest], surroundings: Surroundings) -> Resources:
    everything = list(manifests)
    resources = resources_from_objects((each.value for each in everything), surroundings.operator_namespace)
    return replace(resources, gateways=_gateways(everything, surroundings))


def _gateways(manifests: Sequence[Manifest], surroundings: Surroundings) -> list[DiscoveredGateway]:
    """The gateways that the files declare or hold settings of, and the one that is implied."""
    settings = {
        judging.gateway_of(each): judging.settings_text(each) for each in manifests if judging.is_settings(each)
    }
    known = {judging.gateway_of(each) for each in manifests if judging.is_gateway(each)} | settings.keys()
    implied = surroundings.operator_namespace, surroundings.gateway
    if surroundings.defaults or all(namespace != surroundings.operator_namespace for namespace, _ in known):
        known.add(implied)
        settings[implied] = _completed(settings.get(implied), surroundings.defaults)
    return [
        DiscoveredGateway(
            namespace, name, service=f"ostiary-{name}", uid="", created="", settings=settings.get((namespace, name))
        )
        for namespace, name in sorted(known)
        if name
    ]


def _completed(text: str | None, defaults: Mapping[str, Any]) -> str | None:
    """Return settings with the defaults for what they do not say; unusable ones as they are, for the compiler."""
    if not defaults:
        return text
    try:
        documents = list(read_documents(text or "{}"))
    except YamlError:
        return text
    value = documents[0].value if len(documents) == 1 else None
    return yaml.safe_dump({**defaults, **value}) if isinstance(value, Mapping) else text


def _conditions(manifest: Manifest, status: ResourceStatus, known: Mapping[Key, Manifest]) -> list[Finding]:
    """What a valid object is told all the same."""
    findings = [_finding(manifest, condition) for condition in status.conditions if condition.status == "False"]
    if status.too_large:
        reason = ProgrammedReason.CONFIG_TOO_LARGE
        findings.append(manifest.finding("", _clause(reason.meaning), _clause(reason.remedy)))
    findings = findings or list(_lost_targets(manifest, known))
    if findings or manifest.key.kind != POLICY_KIND:
        return findings
    return [_finding(manifest, each, severity=Severity.WARNING) for each in status.aside if each.status == "False"]


def ungoverned(verdict: Verdict) -> list[Finding]:
    """Return a warning for each proxy that no policy of the files governs, and that nothing else is wrong with."""
    statuses = verdict.compiled.statuses
    faulty = {key_of(finding) for finding in verdict.findings}
    return [
        _finding(manifest, each, severity=Severity.WARNING)
        for manifest in verdict.manifests
        if manifest.key.kind == PROXY_KIND and manifest.key not in faulty
        for each in statuses[ObjectKey(*manifest.key)].aside
        if each.reason == GovernedReason.NO_POLICY
    ]


def _finding(manifest: Manifest, condition: ConditionDraft, *, severity: Severity | None = None) -> Finding:
    """Take a condition apart: its message is `object: field: what is wrong; what to do. What holds meanwhile`."""
    text = condition.message.removeprefix(f"{manifest.key.kind} {manifest.key.namespace}/{manifest.key.name}: ")
    head, separator, tail = text.partition(": ")
    path, text = (head, tail) if separator and _FIELD.fullmatch(head) else ("", text)
    what, _, remedy = text.partition("; ")
    severity = severity or (Severity.WARNING if condition.reason in _MAYBE_ELSEWHERE else Severity.ERROR)
    return manifest.finding(path, what, _clause(remedy), severity=severity)


def _lost_targets(manifest: Manifest, known: Mapping[Key, Manifest]) -> Iterator[Finding]:
    """A policy that governs something may still name something that is not there."""
    if manifest.key.kind != POLICY_KIND:
        return
    for index, reference in enumerate(manifest.value["spec"].get("targetRefs", ())):
        target = Key(PROXY_KIND, manifest.key.namespace, reference["name"])
        if target not in known:
            words = f"there is no MCPProxy {target.namespace}/{target.name}"
            remedy = "correct the name, or create the MCPProxy in the policy's namespace"
            yield manifest.finding(f"spec.targetRefs[{index}]", words, remedy, severity=Severity.WARNING)


def _clause(text: str) -> str:
    return text.partition(". ")[0].removesuffix(".")
