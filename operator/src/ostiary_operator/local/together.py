"""All objects of the files, judged together: what the compiler says of them, with the gateway that is implied.

A cluster has gateways; a folder of proxies and policies mostly has none. Unless the files declare a shared gateway, one
called ``default`` is implied, in the operator's namespace, ``ostiary-system``. Policies of that namespace are the
platform's, all others are their owners'.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import yaml

from ostiary_core.contract.bundle import GatewayConfig
from ostiary_operator.api import labels
from ostiary_operator.api.documents import YamlError, read_documents
from ostiary_operator.api.resources import POLICY_KIND, PROXY_KIND
from ostiary_operator.api.status import AcceptedReason, GovernedReason, ProgrammedReason, ResolvedRefsReason
from ostiary_operator.compile import gateways
from ostiary_operator.compile.cache import Cache
from ostiary_operator.compile.compiler import compile_resources
from ostiary_operator.compile.gateways import Discovery, discover
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

    operator_namespace: str = labels.OPERATOR_NAMESPACE
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
    found = _discovered(distinct.values(), surroundings)
    findings += _without_effect(found, distinct, faulty)
    compiled = compile_resources(_resources(distinct.values(), found, surroundings), previous or {}, cache=cache)
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


def _resources(manifests: Iterable[Manifest], found: Discovery, surroundings: Surroundings) -> Resources:
    resources = resources_from_objects((each.value for each in manifests), surroundings.operator_namespace)
    return replace(resources, gateways=[_with_defaults(each, surroundings) for each in found.gateways])


def _discovered(manifests: Iterable[Manifest], surroundings: Surroundings) -> Discovery:
    """Discover gateways as the operator does, as if those that the files only imply had a Service, too."""
    values: dict[str, list[Mapping[str, Any]]] = {"Service": [], "ConfigMap": []}
    for manifest in manifests:
        values.setdefault(manifest.key.kind, []).append(manifest.value)
    services, config_maps = values["Service"], values["ConfigMap"]
    declared = set(map(gateways.gateway_of, filter(gateways.names_gateway, services)))
    settled = set(map(gateways.gateway_of, filter(gateways.names_gateway, filter(gateways.is_settings, config_maps))))
    implied = settled - declared
    platform = surroundings.operator_namespace
    if surroundings.defaults or all(namespace != platform for namespace, _ in declared | settled):
        implied |= {(platform, surroundings.gateway)} - declared
    return discover([*services, *(_service(*each) for each in sorted(implied))], config_maps)


def _service(namespace: str, gateway: str) -> dict[str, Any]:
    """Return the Service of a gateway that is implied."""
    metadata = {"namespace": namespace, "name": f"ostiary-{gateway}", "labels": {labels.GATEWAY: gateway}}
    return {"metadata": metadata}


def _with_defaults(gateway: DiscoveredGateway, surroundings: Surroundings) -> DiscoveredGateway:
    if gateway.identity != surroundings.identity or gateway.settings_problem:
        return gateway
    return replace(gateway, settings=_completed(gateway.settings, surroundings.defaults))


def _without_effect(found: Discovery, known: Mapping[Key, Manifest], faulty: Collection[Key]) -> Iterator[Finding]:
    """Warn of Services and ConfigMaps that the operator would ignore, unless they are known to be wrong."""
    for each in found.ignored:
        manifest = known.get(Key(each.kind, each.namespace, each.name))
        if manifest is not None and manifest.key not in faulty:
            yield manifest.finding("metadata.labels", each.problem, each.remedy, severity=Severity.WARNING)


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
