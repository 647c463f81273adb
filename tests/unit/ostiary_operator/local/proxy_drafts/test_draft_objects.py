from dataclasses import replace
from typing import Any

import pytest

from ostiary_core.mcp.methods import Primitive, Verb
from ostiary_operator.local.policy_suggestion import RecordedUse, Recording
from ostiary_operator.local.proxy_drafts.draft_objects import DraftContext, authored, draft_objects
from ostiary_operator.local.proxy_drafts.proxy_form import AccessChoice, ProxyForm, ServerPlace

SYSTEM = "ostiary-system"
FORM = ProxyForm(name="tickets", namespace="sales", service_name="tickets-mcp", service_port="8080")
CONTEXT = DraftContext(SYSTEM)


def form(**fields: Any) -> ProxyForm:
    return replace(FORM, **fields)


def test_a_new_proxy_says_only_what_was_typed() -> None:
    proxy, policy = draft_objects(FORM, CONTEXT)
    assert proxy == {
        "apiVersion": "ostiary.dev/v1alpha1",
        "kind": "MCPProxy",
        "metadata": {"name": "tickets", "namespace": "sales"},
        "spec": {"servers": [{"name": "tickets", "service": {"name": "tickets-mcp", "port": 8080}}]},
    }
    assert policy["spec"] == {"targetRefs": [{"kind": "MCPProxy", "name": "tickets"}], "access": {"rules": []}}


def test_open_is_a_rule_that_allows_everything() -> None:
    _, policy = draft_objects(form(access=AccessChoice.OPEN), CONTEXT)
    assert policy["spec"]["access"] == {"rules": [{"name": "everything", "effect": "Allow"}]}


def test_shared_gateways_are_named_without_their_namespace() -> None:
    proxy, _ = draft_objects(form(gateways=("ostiary-system/edge", "sales/own")), CONTEXT)
    assert proxy["spec"]["gateways"] == [{"name": "edge"}, {"name": "own", "namespace": "sales"}]


def use(proxy: str, consumer: str, name: str) -> RecordedUse:
    return RecordedUse(proxy, consumer, Primitive.TOOLS, Verb.CALL, name)


USED = Recording(
    frozenset(
        {
            use("sales/old", "sales/agent", "get_ticket"),
            use("sales/old", "", "list_tickets"),
            use("sales/other", "sales/agent", "delete_ticket"),
        }
    ),
    {},
)


def test_what_another_proxys_callers_used_becomes_rules_for_the_same_callers() -> None:
    used = form(access=AccessChoice.USED, used_by="sales/old")
    _, *policies = draft_objects(used, DraftContext(SYSTEM, used=USED))
    assert [each["spec"]["targetRefs"] for each in policies] == [[{"kind": "MCPProxy", "name": "tickets"}]] * 2
    rules = {str(each["spec"]["subjects"]): each["spec"]["access"]["rules"][0]["tools"]["names"] for each in policies}
    assert rules == {
        "[{'consumers': ['agent']}]": ["get_ticket"],
        "[{'when': '!authenticated'}]": ["list_tickets"],
    }


def test_the_use_of_one_principal_becomes_rules_for_that_one_only() -> None:
    used = form(access=AccessChoice.USED, used_by="sales/old", used_principal="sales/agent")
    _, *policies = draft_objects(used, DraftContext(SYSTEM, used=USED))
    assert [each["spec"]["subjects"] for each in policies] == [[{"consumers": ["agent"]}]]


def test_an_edit_without_a_change_of_access_writes_no_policy() -> None:
    assert len(draft_objects(form(access=AccessChoice.UNCHANGED), CONTEXT)) == 1


EXISTING: dict[str, Any] = {
    "apiVersion": "ostiary.dev/v1alpha1",
    "kind": "MCPProxy",
    "metadata": {
        "name": "tickets",
        "namespace": "sales",
        "labels": {"team": "support"},
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "ostiary.dev/source": "https://git"},
        "uid": "1",
        "resourceVersion": "7",
        "generation": 3,
        "creationTimestamp": "2026-11-30T00:00:00Z",
        "managedFields": [{}],
    },
    "spec": {
        "hostnames": ["mcp.example.com"],
        "servers": [{"name": "crm", "url": "http://a.example/mcp", "timeouts": {"request": "30s"}}],
        "catalogue": {"pinning": "Block"},
    },
    "status": {"url": "https://mcp.example.com/sales/tickets/mcp"},
}


def test_an_edit_keeps_what_the_form_does_not_show() -> None:
    edited = form(place=ServerPlace.SERVICE, access=AccessChoice.UNCHANGED)
    (proxy,) = draft_objects(edited, DraftContext(SYSTEM, edited=EXISTING))
    assert proxy["metadata"] == {
        "name": "tickets",
        "namespace": "sales",
        "labels": {"team": "support"},
        "annotations": {"ostiary.dev/source": "https://git"},
    }
    assert proxy["spec"] == {
        "hostnames": ["mcp.example.com"],
        "servers": [
            {"name": "crm", "service": {"name": "tickets-mcp", "port": 8080}, "timeouts": {"request": "30s"}},
        ],
        "catalogue": {"pinning": "Block"},
    }
    assert "url" in EXISTING["spec"]["servers"][0]  # what is edited is shared with other requests


def test_an_authored_object_has_no_status_and_nothing_of_tools() -> None:
    assert set(authored(EXISTING)) == {"apiVersion", "kind", "metadata", "spec"}
    only = {
        **EXISTING,
        "metadata": {"name": "a", "annotations": {"kubectl.kubernetes.io/last-applied-configuration": ""}},
    }
    assert authored(only)["metadata"] == {"name": "a"}


@pytest.mark.parametrize("port", ["", "http", "80a", "٣", "99999999999999999999"])
def test_a_port_that_is_no_number_stays_as_it_was_typed(port: str) -> None:
    proxy, _ = draft_objects(form(service_port=port), CONTEXT)
    assert proxy["spec"]["servers"][0]["service"]["port"] == port
