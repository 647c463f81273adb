from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostiary_operator.local.proxy_drafts.draft_objects import DraftContext, draft_objects
from ostiary_operator.local.proxy_drafts.draft_text import yaml_text
from ostiary_operator.local.proxy_drafts.draft_verdict import DraftVerdict, Surroundings, endpoint_urls, judge
from ostiary_operator.local.proxy_drafts.proxy_form import AccessChoice, CredentialChoice, ProxyForm, ServerPlace

SYSTEM = "ostiary-system"
AROUND = Surroundings(SYSTEM, gateways=("ostiary-system/default",))
FORM = ProxyForm(name="tickets", namespace="sales", service_name="tickets-mcp", service_port="8080")


def verdict(form: ProxyForm, around: Surroundings = AROUND) -> DraftVerdict:
    text = yaml_text(draft_objects(form, DraftContext(SYSTEM)))
    return judge(text, around, file="tickets.yaml", namespace=form.namespace)


def existing(name: str, path: str | None = None, **status: Any) -> dict[str, Any]:
    spec = {"servers": [{"name": "a", "url": "http://a.example/mcp"}]} | ({"path": path} if path else {})
    meta = {"name": name, "namespace": "sales", "creationTimestamp": "2026-11-30T00:00:00Z"}
    return {"apiVersion": "ostiary.dev/v1alpha1", "kind": "MCPProxy", "metadata": meta, "spec": spec, "status": status}


def test_a_form_with_all_that_is_needed_has_no_findings() -> None:
    for access in (AccessChoice.OPEN, AccessChoice.CLOSED):
        assert verdict(replace(FORM, access=access)).findings == ()


@pytest.mark.parametrize(
    ("fields", "field", "line"),
    [
        ({"service_port": "http"}, "spec.servers[0].service.port", 11),
        ({"place": ServerPlace.URL, "url": "http://me:hunter2@a/mcp"}, "spec.servers[0].url", 9),
        ({"path": "/crm/mcp"}, "spec.path", 7),
        ({"place": ServerPlace.REFERENCE, "reference": "MCPServer.mcp.x-k8s.io"}, "spec.servers[0].serverRef.name", 12),
        ({"credential": CredentialChoice.BEARER, "secret_name": "Not a name"}, "spec.servers[0].credential.bearer", 15),
    ],
)
def test_a_mistake_is_named_with_its_line_and_field(fields: dict[str, Any], field: str, line: int) -> None:
    found = verdict(replace(FORM, **fields))
    assert not found.is_valid
    assert next(each.line for each in found.findings if each.field.startswith(field)) == line


def test_a_secret_that_is_not_in_the_yaml_is_a_warning() -> None:
    bearer = replace(FORM, credential=CredentialChoice.BEARER, secret_name="tickets-token", secret_key="token")
    found = verdict(bearer)
    assert found.is_valid
    assert [each.field for each in found.findings] == ["spec.servers[0].credential.bearer.secretRef"]


def test_a_path_that_an_existing_proxy_has_is_taken() -> None:
    around = replace(AROUND, proxies=(existing("old", "/crm"), existing("other")))
    (finding,) = verdict(replace(FORM, path="/crm"), around).findings
    assert (finding.field, "sales/old" in finding.message) == ("spec.path", True)
    assert verdict(FORM, around).is_valid


def test_a_proxy_is_no_rival_of_its_own_edit() -> None:
    around = replace(AROUND, proxies=(existing("tickets"),))
    assert verdict(FORM, around).is_valid


def test_a_policy_that_exists_governs_a_draft_without_one() -> None:
    alone = replace(FORM, access=AccessChoice.UNCHANGED)
    assert [each.field for each in verdict(alone).findings] == [""]  # no policy governs it
    policy = {
        "apiVersion": "ostiary.dev/v1alpha1",
        "kind": "MCPPolicy",
        "metadata": {"name": "read-only", "namespace": "sales"},
        "spec": {"targetRefs": [{"kind": "MCPProxy", "name": "tickets"}], "access": {"rules": []}},
    }
    assert verdict(alone, replace(AROUND, policies=(policy,))).findings == ()


def test_a_gateway_that_does_not_exist_is_named() -> None:
    (finding,) = verdict(replace(FORM, gateways=("sales/edge",))).findings
    assert "sales/edge" in finding.message
    assert verdict(replace(FORM, gateways=("sales/edge",)), replace(AROUND, gateways=("sales/edge",))).findings == ()


def test_the_url_is_that_of_the_gateways_of_other_proxies() -> None:
    urls = [
        {"gateway": "ostiary-system/default", "url": "https://mcp.example.com/sales/old/mcp"},
        {"gateway": "sales/own", "hostname": "x.example.com", "url": "https://x.example.com/sales/old/mcp"},
    ]
    around = replace(AROUND, proxies=(existing("old", urls=urls), existing("new")))
    assert endpoint_urls("/sales/tickets", around) == ["https://mcp.example.com/sales/tickets/mcp"]
    assert endpoint_urls("/sales/tickets", AROUND) == []


@settings(max_examples=100)
@given(
    st.builds(
        ProxyForm,
        **{name: st.text(max_size=40) for name in ("name", "namespace", "path", "url", "description", "service_name")},
        **{name: st.text(max_size=40) for name in ("service_port", "reference", "secret_name", "header_name")},
        place=st.sampled_from([ServerPlace.URL, ServerPlace.SERVICE, ServerPlace.REFERENCE]),
        credential=st.sampled_from(CredentialChoice),
        access=st.sampled_from(AccessChoice),
        gateways=st.lists(st.text(max_size=20), max_size=2).map(tuple),
    )
)
def test_whatever_is_typed_has_a_verdict(form: ProxyForm) -> None:
    assert verdict(form, replace(AROUND, proxies=(existing("old"),))) is not None
