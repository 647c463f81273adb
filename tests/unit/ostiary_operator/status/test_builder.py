from typing import Any

import pytest

from ostiary_operator.api.conditions import ASIDE
from ostiary_operator.api.status import PolicyStatus, ProxyStatus
from ostiary_operator.compile.model import ConditionDraft, ObjectKey, ResourceStatus, ready
from ostiary_operator.status.builder import build, fingerprint, only_numbers_differ, same
from ostiary_operator.status.programmed import GatewayCount, ProgrammedState

NOW, LATER = "2026-11-21T08:00:00Z", "2026-11-21T09:00:00Z"
ACCEPTED = ConditionDraft("Accepted", "True", "Accepted", "fine")
RESOLVED = ConditionDraft("ResolvedRefs", "True", "ResolvedRefs", "fine")
DONE = ProgrammedState(
    ConditionDraft("Programmed", "True", "Programmed", "every ready replica runs it"),
    (GatewayCount("ostiary-system", "default", 2, 2),),
)
WAITING = ProgrammedState(ConditionDraft("Programmed", "Unknown", "Pending", "waiting"), DONE.gateways)


def proxy_status(**changes: Any) -> ResourceStatus:
    given: dict[str, Any] = {
        "key": ObjectKey("MCPProxy", "tools", "crm"),
        "uid": "u",
        "generation": 3,
        "conditions": (ACCEPTED, RESOLVED),
        "urls": (
            ("ostiary-system/default", "", "http://gw/crm/mcp"),
            ("ostiary-system/default", "mcp.example.com", "https://mcp.example.com/crm/mcp"),
        ),
        "related": (("tools", "read-only"),),
    }
    return ResourceStatus(**(given | changes))


def conditions(status: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {each["type"]: (each["status"], each["reason"]) for each in status["conditions"]}


def test_a_proxys_status_is_complete_and_of_the_apis_shape() -> None:
    status = build(proxy_status(), DONE, {}, now=NOW)
    ProxyStatus.model_validate(status, strict=False)
    assert status["observedGeneration"] == 3
    assert status["url"] == "http://gw/crm/mcp"
    assert status["urls"][1]["hostname"] == "mcp.example.com"
    assert status["programmed"] == "default 2/2"
    assert status["gateways"] == [{"namespace": "ostiary-system", "name": "default", "ready": 2, "desired": 2}]
    assert status["policies"] == [{"namespace": "tools", "name": "read-only"}]
    assert conditions(status) == {
        "Accepted": ("True", "Accepted"),
        "ResolvedRefs": ("True", "ResolvedRefs"),
        "Programmed": ("True", "Programmed"),
        "Ready": ("True", "Ready"),
    }
    assert {each["observedGeneration"] for each in status["conditions"]} == {3}
    assert {each["lastTransitionTime"] for each in status["conditions"]} == {NOW}


def test_a_policys_status_lists_its_first_targets_and_counts_all() -> None:
    targets = tuple(("tools", f"p{number:04}") for number in range(300))
    policy = proxy_status(key=ObjectKey("MCPPolicy", "tools", "p"), urls=(), related=targets)
    status = build(policy, DONE, {}, now=NOW)
    PolicyStatus.model_validate(status, strict=False)
    assert len(status["targets"]) == 256
    assert status["targetCount"] == 300
    assert "gateways" not in status


def test_only_what_changes_gets_a_new_time() -> None:
    first = build(proxy_status(), WAITING, {}, now=NOW)
    second = build(proxy_status(generation=4), DONE, first, now=LATER)
    times = {each["type"]: each["lastTransitionTime"] for each in second["conditions"]}
    assert times == {"Accepted": NOW, "ResolvedRefs": NOW, "Programmed": LATER, "Ready": LATER}


def test_an_unsettled_condition_keeps_its_last_value() -> None:
    first = build(proxy_status(), DONE, {}, now=NOW)
    on_its_way = ProgrammedState(DONE.condition, (GatewayCount("ostiary-system", "default", 1, 3),), settled=False)
    assert build(proxy_status(), on_its_way, first, now=LATER) == first


def test_ready_repeats_the_first_that_fails_and_failures_go_before_waiting() -> None:
    unknown = ConditionDraft("ResolvedRefs", "Unknown", "Pending", "waiting")
    false = ConditionDraft("Programmed", "False", "Rejected", "replica b refused")
    assert ready([ACCEPTED, unknown, false]) == ConditionDraft(
        "Ready", "False", "Rejected", "Programmed: replica b refused"
    )
    assert ready([ACCEPTED, unknown]) == ConditionDraft("Ready", "Unknown", "Pending", "ResolvedRefs: waiting")


def test_gateways_of_one_name_are_distinguished() -> None:
    counts = tuple(GatewayCount(namespace, "default", 1, 2) for namespace in ("a", "b"))
    status = build(
        proxy_status(), ProgrammedState(DONE.condition, (*counts, GatewayCount("a", "edge", 0, 1))), {}, now=NOW
    )
    assert status["programmed"] == "a/default 1/2, b/default 1/2, edge 0/1"


def test_a_gateway_that_vanished_vanishes_from_the_status() -> None:
    status = build(
        proxy_status(urls=()), ProgrammedState(DONE.condition), build(proxy_status(), DONE, {}, now=NOW), now=NOW
    )
    assert not {"url", "urls", "gateways", "programmed"} & status.keys()


def test_foreign_fields_and_conditions_are_none_of_our_business() -> None:
    status = build(proxy_status(), DONE, {}, now=NOW)
    theirs = [{"type": "Theirs", "status": "True"}, *reversed(status["conditions"])]
    assert same("MCPProxy", status, {**status, "conditions": theirs, "notes": []})


@pytest.mark.parametrize(("kind", "of_type"), [(kind, each) for kind, types in ASIDE.items() for each in types])
def test_a_condition_that_a_resource_no_longer_has_is_a_difference_so_that_it_is_removed(
    kind: str, of_type: str
) -> None:
    status = build(proxy_status(key=ObjectKey(kind, "tools", "crm")), DONE, {}, now=NOW)
    live = {**status, "conditions": [*status["conditions"], {"type": of_type, "status": "False"}]}
    assert same(kind, status, status)
    assert not same(kind, status, live)


def test_any_edit_of_ours_is_a_difference() -> None:
    status = build(proxy_status(), DONE, {}, now=NOW)
    edits: list[dict[str, Any]] = [
        {"url": "http://evil/mcp"},
        {"url": None},
        {"conditions": []},
        {"conditions": [{**each, "status": "False"} for each in status["conditions"]]},
        {"policies": []},
    ]
    for edit in edits:
        assert not same("MCPProxy", status, {**status, **edit})
    less = build(proxy_status(related=()), DONE, {}, now=NOW)
    assert not same("MCPProxy", less, status)


def test_a_change_of_numbers_only_is_recognised() -> None:
    live = build(proxy_status(), DONE, {}, now=NOW)
    three = ProgrammedState(DONE.condition, (GatewayCount("ostiary-system", "default", 3, 3),))
    assert only_numbers_differ("MCPProxy", build(proxy_status(), three, live, now=NOW), live)
    assert not only_numbers_differ("MCPProxy", build(proxy_status(), WAITING, live, now=NOW), live)


def test_a_fingerprint_does_not_depend_on_the_order_of_conditions() -> None:
    status = build(proxy_status(), DONE, {}, now=NOW)
    turned = {**status, "conditions": list(reversed(status["conditions"]))}
    assert fingerprint(status) == fingerprint(turned)
    assert fingerprint(status) != fingerprint({**status, "url": "x"})
