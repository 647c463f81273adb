"""The condition of a proxy's server, from the reports of replicas: at once, short, and not repeatedly."""

from collections.abc import Mapping
from typing import Any

from ostiary_operator.compile.model import ObjectKey, ResourceStatus
from ostiary_operator.status.replica_reports import Report
from ostiary_operator.status.replica_state import GatewayState, ReplicaState
from ostiary_operator.status.replicas import Replica
from ostiary_operator.status.upstream_health import evaluate

GATEWAY, PROXY = "ostiary-system/default", "tools/crm"
WELL = {"answered": True}
REFUSED = {"answered": True, "fault": {"kind": "UpstreamHostRefused", "message": "HTTP 421: no such host", "at": 5}}


def status(kind: str = "MCPProxy", *, generation: int = 3) -> ResourceStatus:
    return ResourceStatus(ObjectKey(kind, "tools", "crm"), "u", generation, (), expected={GATEWAY: {PROXY: "a" * 64}})


def saying(*servers: Mapping[str, Any] | None) -> dict[str, GatewayState]:
    """A gateway with one replica for each of these reports; None reports nothing on the server."""
    states = {}
    for number, server in enumerate(servers):
        entry = {"active": "a" * 64, **({"servers": {"crm": server}} if server is not None else {})}
        report = Report.model_validate(
            {"gateway": GATEWAY, "revision": 1, "replica": f"r{number}", "entries": {PROXY: entry}}
        )
        states[f"http://{number}"] = ReplicaState(Replica(f"http://{number}", f"r{number}"), 0.0, report=report)
    return {GATEWAY: GatewayState(GATEWAY, 0.0, states=states)}


def judged(*servers: Mapping[str, Any] | None) -> tuple[str, str]:
    found = evaluate(status(), saying(*servers))
    assert found is not None
    return found.status, found.reason


def test_before_any_call_nothing_is_known() -> None:
    assert judged() == judged(None, None) == judged({"answered": False}) == ("Unknown", "NoTraffic")


def test_one_replica_that_was_answered_is_enough() -> None:
    assert judged(None, WELL) == ("True", "UpstreamHealthy")


def test_one_replica_that_was_not_served_is_reported_with_the_servers_message_and_the_remedy() -> None:
    assert judged(WELL, REFUSED, None) == ("False", "UpstreamHostRefused")
    found = evaluate(status(), saying(REFUSED))
    assert found is not None
    assert found.message.startswith("server crm: HTTP 421: no such host. Add the host that the gateway sends")


def test_a_fault_that_only_a_newer_gateway_knows_is_reported_by_its_name() -> None:
    assert judged({"fault": {"kind": "UpstreamNovel", "message": "words"}}) == ("False", "UpstreamNovel")


def test_an_open_circuit_is_reported_with_the_fault_that_opened_it() -> None:
    fault = {"kind": "UpstreamUnreachable", "message": "10.0.0.7 port 80: Connection refused"}
    cut_off = {"answered": True, "fault": fault, "circuit": {"state": "Open", "retryAfterMs": 20_000}}
    found = evaluate(status(), saying(WELL, cut_off))
    assert found is not None
    assert (found.status, found.reason) == ("False", "CircuitOpen")
    assert found.message.startswith(
        "server crm: too many requests failed, so gateways send it none for a time "
        "(last UpstreamUnreachable: 10.0.0.7 port 80: Connection refused). Read the server's own log"
    )


def test_a_tool_that_is_cut_off_is_named_although_its_server_answers() -> None:
    found = evaluate(status(), saying({**WELL, "circuit": {"openTools": 9, "tools": ["export", "report"]}}))
    assert found is not None
    assert (found.status, found.reason) == ("False", "CircuitOpen")
    assert "a tool failed, so gateways send none of it for a time: export, report, ..." in found.message
    assert judged({**WELL, "circuit": {}}) == ("True", "UpstreamHealthy")


def test_a_policy_has_no_condition_of_its_upstream() -> None:
    assert evaluate(status("MCPPolicy"), saying(REFUSED)) is None
