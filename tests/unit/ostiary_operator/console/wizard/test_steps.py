import pytest

from ostiary_operator.console.wizard.steps import WizardStep, form_field, next_step, shown_findings, step_of
from ostiary_operator.local.findings import Finding, Severity


def finding(field: str, *, kind: str = "MCPProxy", severity: Severity = Severity.ERROR) -> Finding:
    return Finding(severity, "a.yaml", 1, 1, kind, "default", "a", field, "is wrong", "correct it")


@pytest.mark.parametrize(
    ("field", "name", "step"),
    [
        ("metadata.name", "name", WizardStep.NAME),
        ("metadata.namespace", "namespace", WizardStep.NAME),
        ("spec.path", "path", WizardStep.NAME),
        ("spec.servers[0].url", "url", WizardStep.SERVER),
        ("spec.servers[0].service.port", "servicePort", WizardStep.SERVER),
        ("spec.servers[0].serverRef.group", "reference", WizardStep.SERVER),
        ("spec.servers[0].serverRef.name", "referenceName", WizardStep.SERVER),
        ("spec.servers[0].credential.header.secretRef.key", "secretKey", WizardStep.SERVER),
        ("spec.servers[0].credential.bearer.secretRef", "secretName", WizardStep.SERVER),
        ("spec.servers", "", WizardStep.SERVER),
        ("spec.gateways[0].name", "", WizardStep.ACCESS),
        ("spec.catalogue", "", WizardStep.NAME),
    ],
)
def test_a_finding_belongs_to_a_field_of_the_form_and_to_a_step(field: str, name: str, step: WizardStep) -> None:
    assert form_field(finding(field)) == name
    assert step_of(finding(field)) is step


def test_a_finding_of_a_policy_belongs_to_access_and_to_no_field() -> None:
    assert form_field(finding("metadata.name", kind="MCPPolicy")) == ""
    assert step_of(finding("metadata.name", kind="MCPPolicy")) is WizardStep.ACCESS


def test_only_what_was_filled_in_so_far_is_judged() -> None:
    found = [finding("metadata.name"), finding("spec.servers"), finding("spec", kind="MCPPolicy")]
    assert shown_findings(found, WizardStep.NAME) == (found[0],)
    assert shown_findings(found, WizardStep.SERVER) == (found[0], found[1])


def test_a_step_is_left_when_nothing_of_it_is_wrong() -> None:
    assert next_step([finding("spec.servers")], WizardStep.NAME) is WizardStep.SERVER
    assert next_step([finding("spec.servers")], WizardStep.SERVER) is WizardStep.SERVER
    assert next_step([finding("metadata.name")], WizardStep.ACCESS) is WizardStep.NAME
    assert next_step([finding("spec.servers", severity=Severity.WARNING)], WizardStep.ACCESS) is WizardStep.COMMIT
    assert next_step([], WizardStep.COMMIT) is WizardStep.COMMIT
