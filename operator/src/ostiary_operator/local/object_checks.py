"""Validates one object by its model: problems become findings with a position in the file."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from ostiary_operator.api import labels
from ostiary_operator.api.load import parse_policy, parse_proxy, parse_settings
from ostiary_operator.api.problems import InvalidDocument, Problem
from ostiary_operator.api.resources import LOCK_KIND, POLICY_KIND, PROXY_KIND
from ostiary_operator.api.yaml_reader import YamlError, read_documents
from ostiary_operator.compile import gateways
from ostiary_operator.compile.lock_content import read_lock
from ostiary_operator.compile.model import ResourceStatus
from ostiary_operator.local import yaml_faults
from ostiary_operator.local.findings import Finding, Severity
from ostiary_operator.local.manifests import ObjectManifest
from ostiary_operator.local.yaml_positions import Places, Position, read_places

_PARSERS: Final[Mapping[str, Callable[[Mapping[str, Any]], object]]] = {
    PROXY_KIND: parse_proxy,
    POLICY_KIND: parse_policy,
    LOCK_KIND: read_lock,
}


def validate_object(manifest: ObjectManifest) -> list[Finding]:
    """Return the findings for one object, without regard to others."""
    if manifest.ours:
        return _judged(manifest, lambda: _PARSERS[manifest.key.kind](manifest.value))
    if is_settings(manifest):
        return list(_settings(manifest))
    return []


def is_settings(manifest: ObjectManifest) -> bool:
    """Return whether an object is a ConfigMap with a gateway's settings."""
    return manifest.companion and manifest.key.kind == "ConfigMap" and gateways.is_settings(manifest.value)


def _judged(manifest: ObjectManifest, parse: Callable[[], object]) -> list[Finding]:
    try:
        parse()
    except InvalidDocument as error:
        return [_finding(manifest, problem) for problem in error.problems]
    return []


def _finding(manifest: ObjectManifest, problem: Problem) -> Finding:
    otherwise = yaml_faults.read_otherwise(manifest.spelled(problem.field))
    return manifest.finding(problem.field, problem.message, otherwise or problem.remedy)


def _settings(manifest: ObjectManifest) -> Iterator[Finding]:
    if not labels.of(manifest.value).get(labels.GATEWAY):
        remedy = f"add the label {labels.GATEWAY} with the name of the gateway"
        yield manifest.finding("metadata.labels", "does not name the gateway of these settings", remedy)
    text = gateways.settings_text(manifest.value)
    if text is None:
        yield manifest.finding("data", f"has no key {labels.SETTINGS_KEY}", "add it, with the settings as its text")
        return
    places: list[Places] = []
    try:
        places += _places_within(text)
        parse_settings(text)
    except YamlError as error:
        fault = yaml_faults.explain(error, text)
        problem = Problem("", fault.message, fault.remedy)
        yield _within(manifest, problem, Position(fault.line, fault.column))
    except InvalidDocument as error:
        for problem in error.problems:
            yield _within(manifest, problem, places[0].of(problem.field) if len(places) == 1 else None)


def _places_within(text: str) -> Iterator[Places]:
    list(read_documents(text))  # the strict reader first: read_places has no limits for hostile text
    yield from read_places(text)


def _within(manifest: ObjectManifest, problem: Problem, place: Position | None) -> Finding:
    """Return a finding positioned inside the settings, a YAML text within a YAML text."""
    key = f"data.{labels.SETTINGS_KEY}"
    field = f"{labels.SETTINGS_KEY}: {problem.field}" if problem.field else labels.SETTINGS_KEY
    finding = replace(manifest.finding(key, problem.message, problem.remedy), field=field)
    block = manifest.places.blocks.get(manifest.prefix + key)
    if block is None or place is None:
        return finding
    return replace(finding, line=block.line + place.line - 1, column=block.indent + place.column)


def without_effect(manifest: ObjectManifest, status: ResourceStatus) -> Iterator[Finding]:
    """Yield a warning for each part of a valid object that gateways cannot use.

    These are operations that no tool can express, and Services whose Pods cannot be observed although it asks for it.
    """
    elsewhere = "name a Service and port with endpoints, or set routingType: Service"
    found = [(each.field, f"left out: {each.words}", "change the document, or do without") for each in status.omissions]
    found += [(each.field, each.words, elsewhere) for each in status.unobserved]
    for field, message, remedy in found:
        yield manifest.finding(field, message, remedy, severity=Severity.WARNING)
