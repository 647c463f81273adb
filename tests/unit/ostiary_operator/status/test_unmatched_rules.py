import json
from typing import Any

from ostiary_operator.compile.model import ConditionDraft, ObjectKey, ResourceStatus
from ostiary_operator.status import unmatched_rules
from ostiary_operator.status.replica_reports import parse_report
from ostiary_operator.status.replica_state import GatewayState, ReplicaState
from ostiary_operator.status.replicas import Replica

EFFECTIVE = ConditionDraft("Effective", "True", "Effective", "it governs MCPProxy a/crm")
STATUS = ResourceStatus(
    ObjectKey("MCPPolicy", "a", "p"), "u", 2, (), aside=(EFFECTIVE,), expected={"o/g": {"a/crm": "", "a/wiki": ""}}
)
SLIP = {"policy": "a/p", "rule": "no-delete", "primitive": "tools", "name": "delete_usr", "nearest": "delete_user"}


def watches(**offers: dict[str, Any] | None) -> dict[str, GatewayState]:
    entries = {f"a/{name}": {"offers": found} for name, found in offers.items()}
    report = parse_report(_json({"gateway": "o/g", "revision": 1, "replica": "r", "entries": entries}), gateway="o/g")
    watch = GatewayState("o/g", known_since=0.0)
    watch.states["u"] = ReplicaState(Replica("r", "http://r"), first_seen=0.0, report=report)
    return {"o/g": watch}


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def remark(found: dict[str, GatewayState], live: dict[str, Any] | None = None) -> tuple[str, str]:
    (condition,) = unmatched_rules.remarks(STATUS, found, live)
    return condition.reason, condition.message


def offers(*names: dict[str, Any], known: tuple[str, ...] = ("tools",), cut: bool = False) -> dict[str, Any]:
    return {"known": known, "slips": names, "cut": cut}


def test_a_rule_that_names_what_no_target_offers_is_reported_with_the_nearest_name() -> None:
    reason, message = remark(watches(crm=offers(SLIP), wiki=None))
    assert reason == "RuleMatchesNothing"
    assert message == (
        "MCPPolicy a/p: spec.access.rules[no-delete]: no tool is called delete_usr, did you mean delete_user?"
    )


def test_what_one_target_offers_is_no_slip_though_another_has_it_not() -> None:
    assert remark(watches(crm=offers(SLIP), wiki=offers()))[0] == "Effective"


def test_a_target_with_an_incomplete_list_or_other_lists_is_ignored() -> None:
    assert remark(watches(crm=offers(SLIP), wiki=offers(cut=True)))[0] == "RuleMatchesNothing"
    assert remark(watches(crm=offers(SLIP), wiki=offers(known=("prompts",))))[0] == "RuleMatchesNothing"


def test_a_misspelt_name_of_another_policy_is_not_reported_here() -> None:
    assert remark(watches(crm=offers(SLIP | {"policy": "a/q"})))[0] == "Effective"


def test_until_a_list_is_known_again_the_report_of_this_version_stays() -> None:
    live = {"reason": "RuleMatchesNothing", "message": "as it was", "observedGeneration": 2}
    assert remark(watches(crm=None), live) == ("RuleMatchesNothing", "as it was")
    assert remark(watches(crm=None), live | {"observedGeneration": 1})[0] == "Effective"
    assert remark(watches(crm=offers()), live)[0] == "Effective"


def test_the_status_of_a_policy_that_protects_nothing_starts_with_that() -> None:
    nothing = ConditionDraft("Effective", "False", "ProtectsNothing", "")
    status = ResourceStatus(STATUS.key, "u", 2, (), aside=(nothing,), expected=STATUS.expected)
    assert unmatched_rules.remarks(status, watches(crm=offers(SLIP)), None) == (nothing,)
