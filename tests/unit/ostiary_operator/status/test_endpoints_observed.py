"""EndpointsObserved of a proxy, from the reports of replicas."""

from collections.abc import Mapping
from typing import Any

import pytest

from ostiary_operator.api.conditions import ConditionType
from ostiary_operator.compile.model import ConditionDraft, ObjectKey, ResourceStatus
from ostiary_operator.status.endpoints_observed import evaluate
from ostiary_operator.status.replica_reports import Report
from ostiary_operator.status.replica_state import GatewayState, ReplicaState
from ostiary_operator.status.replicas import Replica

GATEWAY, PROXY = "ostiary-system/default", "tools/crm"
GOOD = {"source": "EndpointSlices", "ready": 3}
FORBIDDEN = {
    "source": "Service",
    "ready": 1,
    "reason": "NotPermitted",
    "message": "the gateway may not watch EndpointSlices in namespace tools",
}


def status(*observed: str) -> ResourceStatus:
    key = ObjectKey("MCPProxy", "tools", "crm")
    return ResourceStatus(key, "u", 3, (), expected={GATEWAY: {PROXY: "a" * 64}}, observed_servers=observed)


def reporting(*endpoints: Mapping[str, Any] | None) -> dict[str, GatewayState]:
    """A gateway with one replica for each of these reports on the server crm."""
    states = {}
    for number, found in enumerate(endpoints):
        servers = {"crm": {"endpoints": found}} if found is not None else {}
        entries = {PROXY: {"active": "a" * 64, "servers": servers}}
        report = Report.model_validate({"gateway": GATEWAY, "revision": 1, "replica": f"r{number}", "entries": entries})
        states[f"http://{number}"] = ReplicaState(Replica(f"http://{number}", f"r{number}"), 0.0, report=report)
    return {GATEWAY: GatewayState(GATEWAY, 0.0, states=states)}


def seen(*endpoints: Mapping[str, Any] | None, live: Mapping[str, Any] | None = None) -> ConditionDraft:
    found = evaluate(status("crm"), reporting(*endpoints), live)
    assert found is not None
    assert found.type == ConditionType.ENDPOINTS_OBSERVED
    return found


def test_a_proxy_without_a_service_to_observe_has_no_such_condition() -> None:
    assert evaluate(status(), reporting(GOOD), None) is None


def test_it_is_true_where_every_replica_observes_the_endpoints() -> None:
    assert (seen(GOOD, GOOD).status, seen(GOOD).reason) == ("True", "EndpointsObserved")


def test_one_replica_without_the_right_is_enough_and_the_message_names_server_gateway_and_remedy() -> None:
    found = seen(GOOD, FORBIDDEN)

    assert (found.status, found.reason) == ("False", "NotPermitted")
    assert found.message.startswith("server crm at gateway ostiary-system/default: the gateway may not watch")
    assert "in namespace tools" in found.message
    assert "`list` and `watch` on `endpointslices`" in found.message


def test_a_service_without_any_endpoint_is_reported_before_a_call_fails() -> None:
    found = seen({"source": "EndpointSlices", "ready": 0})

    assert (found.status, found.reason) == ("False", "NoReadyEndpoints")


@pytest.mark.parametrize("state", ["draining", "ejected", "unhealthy"])
def test_endpoints_that_are_not_ready_now_are_endpoints(state: str) -> None:
    assert seen({"source": "EndpointSlices", "ready": 0, state: 1}).status == "True"


def test_until_the_first_list_it_is_unknown_but_never_hides_a_fault() -> None:
    waiting = {"source": "Service", "ready": 1, "reason": "NotListedYet", "message": "not yet"}

    assert (seen(GOOD, waiting).status, seen(waiting).reason) == ("Unknown", "NotListedYet")
    assert seen(waiting, FORBIDDEN).reason == "NotPermitted"


def test_without_a_report_what_was_known_stays() -> None:
    live = {"type": "EndpointsObserved", "status": "True", "reason": "EndpointsObserved", "message": "fine"}

    assert (seen().status, seen().reason) == ("Unknown", "Pending")
    assert (seen(None, live=live).status, seen(live=live).message) == ("True", "fine")


def test_the_reason_of_a_newer_gateway_is_shown_as_it_is() -> None:
    found = seen({"source": "Service", "ready": 1, "reason": "SomethingNew", "message": "odd"})

    assert (found.status, found.reason) == ("False", "SomethingNew")
    assert found.message == "server crm at gateway ostiary-system/default: odd."


def test_a_hostile_report_is_one_line_of_limited_length() -> None:
    found = seen({"source": "x", "ready": 1, "reason": "not a word!", "message": "a\nb" * 9999})

    assert found.reason == "Invalid"
    assert "\n" not in found.message
    assert len(found.message) < 700
