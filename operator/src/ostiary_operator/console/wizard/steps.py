"""The steps of the wizard, and to which step and field of the form a finding belongs."""

import enum
import re
from collections.abc import Iterable
from typing import Final

from ostiary_operator.api.resources import PROXY_KIND
from ostiary_operator.local.findings import Finding, Severity


class WizardStep(enum.IntEnum):
    """The steps, in their order."""

    NAME = 1
    SERVER = 2
    ACCESS = 3
    COMMIT = 4

    @property
    def title(self) -> str:
        """The heading of the step."""
        return _TITLES[self]


_TITLES: Final = {
    WizardStep.NAME: "Name",
    WizardStep.SERVER: "MCP server",
    WizardStep.ACCESS: "Gateways and access",
    WizardStep.COMMIT: "Commit",
}
_SERVER_FIELDS: Final = "spec.servers"
#: Fields of an MCPProxy that the third step sets.
_ACCESS_FIELDS: Final = "spec.gateways"

#: Which field of the form sets a field of the MCPProxy, by its path; the first that matches.
_FORM_FIELDS: Final = tuple(
    (re.compile(pattern), name)
    for pattern, name in (
        (r"metadata\.namespace", "namespace"),
        (r"metadata\.name", "name"),
        (r"spec\.description", "description"),
        (r"spec\.path", "path"),
        (r"spec\.servers\[0\]\.url", "url"),
        (r"spec\.servers\[0\]\.service\.name", "serviceName"),
        (r"spec\.servers\[0\]\.service\.port", "servicePort"),
        (r"spec\.servers\[0\]\.service\.path", "servicePath"),
        (r"spec\.servers\[0\]\.serverRef\.(kind|group)", "reference"),
        (r"spec\.servers\[0\]\.serverRef\.namespace", "referenceNamespace"),
        (r"spec\.servers\[0\]\.serverRef", "referenceName"),
        (r"spec\.servers\[0\]\.credential\.\w+\.secretRef\.key", "secretKey"),
        (r"spec\.servers\[0\]\.credential\.header\.name", "headerName"),
        (r"spec\.servers\[0\]\.credential\.header\.scheme", "headerScheme"),
        (r"spec\.servers\[0\]\.credential", "secretName"),
    )
)


def form_field(finding: Finding) -> str:
    """Return the field of the form that a finding is about; empty where it is about none."""
    if finding.kind != PROXY_KIND:
        return ""
    return next((name for pattern, name in _FORM_FIELDS if pattern.match(finding.field)), "")


def step_of(finding: Finding) -> WizardStep:
    """Return the step in which a finding can be corrected."""
    if finding.kind != PROXY_KIND or finding.field.startswith(_ACCESS_FIELDS):
        return WizardStep.ACCESS
    return WizardStep.SERVER if finding.field.startswith(_SERVER_FIELDS) else WizardStep.NAME


def shown_findings(findings: Iterable[Finding], step: WizardStep) -> tuple[Finding, ...]:
    """Return the findings of a step and of those before it: the others are not filled in yet."""
    return tuple(each for each in findings if step_of(each) <= step)


def next_step(findings: Iterable[Finding], step: WizardStep) -> WizardStep:
    """Return the step after this one, or the first one that has an error to correct."""
    wrong = [step_of(each) for each in shown_findings(findings, step) if each.severity is Severity.ERROR]
    return min(wrong) if wrong else WizardStep(min(step + 1, WizardStep.COMMIT))
