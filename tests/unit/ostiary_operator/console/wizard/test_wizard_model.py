from typing import Any

import pytest

from ostiary_operator.console.wizard.steps import WizardStep
from ostiary_operator.console.wizard.wizard_model import MOST_JUDGED, WizardRequest, file_name, wizard_model
from ostiary_operator.local.proxy_drafts.draft_text import LineChange
from ostiary_operator.local.proxy_drafts.draft_verdict import Surroundings
from ostiary_operator.local.proxy_drafts.proxy_form import AccessChoice, ProxyForm, form_of

AROUND = Surroundings("ostiary-system", gateways=("ostiary-system/default",))
FORM = ProxyForm(name="tickets", namespace="sales", service_name="tickets-mcp", service_port="8080")
EXISTING: dict[str, Any] = {
    "apiVersion": "ostiary.dev/v1alpha1",
    "kind": "MCPProxy",
    "metadata": {"name": "tickets", "namespace": "sales", "uid": "1"},
    "spec": {"servers": [{"name": "main", "url": "http://a.example/mcp"}]},
    "status": {},
}


def test_nothing_is_shown_before_a_name_is_typed() -> None:
    model = wizard_model(WizardRequest(ProxyForm()), AROUND, None)
    assert (model.text, model.path, model.findings, model.is_valid) == ("", "", (), False)


def test_a_step_that_was_just_reached_has_no_findings_yet() -> None:
    form = ProxyForm(name="tickets")
    model = wizard_model(WizardRequest(form, WizardStep.NAME, goes_on=True), AROUND, None)
    assert (model.step, model.findings) == (WizardStep.SERVER, ())
    model = wizard_model(WizardRequest(form, WizardStep.SERVER, goes_on=True), AROUND, None)
    assert model.step is WizardStep.SERVER
    assert [(each.field, each.line) for each in model.findings] == [("spec.servers", 6)]


def test_a_line_with_a_finding_is_marked_and_the_field_of_the_form_says_what_is_wrong() -> None:
    form = ProxyForm(name="tickets", service_name="tickets-mcp", service_port="http")
    model = wizard_model(WizardRequest(form, WizardStep.SERVER), AROUND, None)
    assert [line.text.strip() for line in model.lines if line.mark == "error"] == ["port: http"]
    assert set(model.problems) == {"servicePort"}


def test_the_last_step_has_commands_to_copy_and_the_earlier_ones_have_none() -> None:
    model = wizard_model(WizardRequest(FORM, WizardStep.ACCESS, goes_on=True), AROUND, None)
    assert (model.step, model.file_name, model.is_valid) == (WizardStep.COMMIT, "tickets.yaml", True)
    lines = [each.line for each in model.commands]
    assert "kubectl apply --server-side -f tickets.yaml" in lines
    assert "kubectl wait --for=condition=Programmed mcpproxy/tickets -n sales --timeout=60s" in lines
    assert wizard_model(WizardRequest(FORM, WizardStep.ACCESS), AROUND, None).commands == ()


@pytest.mark.parametrize("name", ["", "a;rm -rf ~", "$(id)", "../../etc/passwd", "a\nb", "A", "a" * 500])
def test_a_name_that_is_none_stands_in_no_command_and_in_no_file_name(name: str) -> None:
    form = ProxyForm(name=name, namespace="sales")
    assert file_name(form) == "mcpproxy.yaml"
    model = wizard_model(WizardRequest(form, WizardStep.COMMIT), AROUND, None)
    assert model.commands == ()


def test_an_edit_shows_the_difference_from_what_is() -> None:
    form = form_of({**EXISTING, "spec": {**EXISTING["spec"], "path": "/crm"}}, operator_namespace="ostiary-system")
    model = wizard_model(WizardRequest(form, edited=EXISTING), AROUND, None)
    assert model.editing == "sales/tickets"
    assert all(each.change is not LineChange.REMOVED for each in model.changes)
    assert [each.text for each in model.changes if each.change is LineChange.ADDED] == ["  path: /crm"]


def test_an_edit_without_a_change_has_no_difference() -> None:
    form = form_of(EXISTING, operator_namespace="ostiary-system")
    assert wizard_model(WizardRequest(form, edited=EXISTING), AROUND, None).changes == ()


def test_text_of_the_viewer_is_judged_as_it_is() -> None:
    own = "apiVersion: ostiary.dev/v1alpha1\nkind: MCPProxi\nmetadata: {name: a}\n"
    model = wizard_model(WizardRequest(FORM, WizardStep.COMMIT, own_text=own), AROUND, None)
    assert (model.text, model.is_own_text, model.is_valid) == (own, True, False)
    assert [(each.line, each.field) for each in model.findings] == [(2, "kind")]


def test_text_that_is_too_long_is_not_judged_and_not_called_valid() -> None:
    model = wizard_model(WizardRequest(FORM, own_text="#" * (MOST_JUDGED + 1)), AROUND, None)
    assert (model.is_judged, model.is_valid, model.findings) == (False, False, ())


def test_of_many_findings_the_first_are_shown_and_the_others_counted() -> None:
    own = "a: b\n---\n" * 500
    model = wizard_model(WizardRequest(FORM, own_text=own), AROUND, None)
    assert (len(model.findings), model.more_findings > 300) == (100, True)


def test_use_that_may_not_be_seen_leaves_access_closed() -> None:
    form = ProxyForm(name="tickets", url="http://a.example/mcp", access=AccessChoice.USED, used_by="other/secret")
    model = wizard_model(WizardRequest(form), AROUND, None)
    assert model.text.endswith("  access:\n    rules: []\n")
