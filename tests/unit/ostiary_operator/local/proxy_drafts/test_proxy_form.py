from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary_operator.local.proxy_drafts.draft_objects import DraftContext, draft_objects
from ostiary_operator.local.proxy_drafts.proxy_form import (
    AccessChoice,
    CredentialChoice,
    ProxyForm,
    ServerPlace,
    form_of,
    form_values,
    read_form,
)

SYSTEM = "ostiary-system"
SECRET = {"secretRef": {"name": "crm-token", "key": "token"}}


def proxy(server: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "crm", "namespace": "sales"},
        "spec": {"servers": [{"name": "main", **server}], **spec},
    }


SERVERS: list[dict[str, Any]] = [
    {"url": "https://crm.example.com/mcp"},
    {"service": {"name": "crm-mcp", "port": 8080}},
    {"service": {"name": "crm-mcp", "port": 8080, "path": "/v2/mcp"}},
    {"serverRef": {"group": "mcp.x-k8s.io", "kind": "MCPServer", "name": "crm"}},
    {"serverRef": {"group": "mcp.x-k8s.io", "kind": "MCPServer", "name": "crm", "namespace": "other"}},
    {"url": "https://crm.example.com/mcp", "credential": {"bearer": SECRET}},
    {"url": "https://crm.example.com/mcp", "credential": {"header": {"name": "X-Key", "scheme": "Token", **SECRET}}},
    {"url": "https://crm.example.com/mcp", "credential": {"identityAssertion": {}}},
    {"url": "https://crm.example.com/mcp", "timeouts": {"request": "30s"}, "host": "localhost:8000"},
]


@pytest.mark.parametrize("server", SERVERS)
def test_the_form_of_a_proxy_describes_the_same_proxy(server: dict[str, Any]) -> None:
    before = proxy(server, description="Customers", path="/crm", gateways=[{"name": "edge", "namespace": "sales"}])
    form = form_of(before, operator_namespace=SYSTEM)
    (after,) = draft_objects(form, DraftContext(SYSTEM, edited=before))
    assert after["spec"] == before["spec"]
    assert after["metadata"] == before["metadata"]


def test_several_servers_are_kept_as_they_are() -> None:
    before = proxy({"url": "http://a.example/mcp", "prefix": "a_"}, serverSelection="Merge")
    before["spec"]["servers"].append({"name": "b", "url": "http://b.example/mcp", "prefix": "b_"})
    form = form_of(before, operator_namespace=SYSTEM)
    assert form.place is ServerPlace.UNCHANGED
    (after,) = draft_objects(form, DraftContext(SYSTEM, edited=before))
    assert after["spec"] == before["spec"]


def test_what_a_form_does_not_send_is_as_before() -> None:
    before = ProxyForm(name="crm", description="Customers", gateways=("ostiary-system/edge",))
    assert read_form({"name": "tickets"}, before) == ProxyForm(
        name="tickets", description="Customers", gateways=("ostiary-system/edge",)
    )


def test_boxes_without_a_tick_are_not_sent_and_mean_all_gateways() -> None:
    before = ProxyForm(gateways=("ostiary-system/edge",))
    assert read_form({"gatewaysSent": "1"}, before).gateways == ()
    assert read_form({"gatewaysSent": "1", "gateway:sales/own": "on"}, before).gateways == ("sales/own",)


def test_the_default_path_is_namespace_and_name() -> None:
    assert read_form({"name": "crm", "namespace": "sales"}, ProxyForm()).effective_path == "/sales/crm"
    assert read_form({"name": "crm", "path": "/crm"}, ProxyForm()).effective_path == "/crm"


@given(st.builds(ProxyForm, name=st.text(), url=st.text(max_size=100), place=st.sampled_from(ServerPlace)))
def test_a_form_sends_itself(form: ProxyForm) -> None:
    sent = read_form(form_values(form), ProxyForm())
    assert read_form(form_values(sent), ProxyForm()) == sent
    assert (sent.place, sent.access) == (form.place, form.access)


@given(st.dictionaries(st.sampled_from(["place", "credential", "access", "name", "gateway:a"]), st.text(), max_size=5))
def test_values_that_no_form_has_are_no_error(values: dict[str, str]) -> None:
    form = read_form(values, ProxyForm())
    assert isinstance(form.place, ServerPlace)
    assert isinstance(form.credential, CredentialChoice)
    assert isinstance(form.access, AccessChoice)
