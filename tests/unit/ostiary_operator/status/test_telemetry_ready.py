"""TelemetryReady of a proxy, from the reports of replicas."""

from typing import Any

from ostiary_core.strict_json import dumps
from ostiary_operator.api.conditions import ConditionType
from ostiary_operator.compile.model import ObjectKey, ResourceStatus
from ostiary_operator.status.replica_reports import parse_report
from ostiary_operator.status.replica_state import GatewayState, ReplicaState, ReportChanges
from ostiary_operator.status.replicas import Replica
from ostiary_operator.status.telemetry_ready import evaluate

GATEWAY, PROXY = "ostiary-system/default", "tools/crm"
GOOD, BAD = {"failing": False}, {"failing": True}


def status(kind: str = "MCPProxy") -> ResourceStatus:
    return ResourceStatus(ObjectKey(kind, "tools", "crm"), "u", 3, (), expected={GATEWAY: {PROXY: "a" * 64}})


def reporting(*exports: dict[str, Any]) -> dict[str, GatewayState]:
    """A gateway with one replica for each of these reports."""
    states = {
        f"http://{number}": ReplicaState(Replica(f"http://{number}", f"r{number}"), 0.0, report=report(telemetry))
        for number, telemetry in enumerate(exports)
    }
    return {GATEWAY: GatewayState(GATEWAY, 0.0, states=states)}


def report(telemetry: dict[str, Any]) -> Any:
    text = {"gateway": GATEWAY, "revision": 1, "replica": "r", "entries": {}, "telemetry": telemetry}
    return parse_report(dumps(text), gateway=GATEWAY)


def test_a_proxy_whose_gateways_export_nothing_has_no_such_condition() -> None:
    assert evaluate(status(), reporting({}, {})) is None
    assert evaluate(status("MCPPolicy"), reporting({"traces": GOOD})) is None
    assert evaluate(status(), {}) is None


def test_it_is_true_where_everything_that_is_exported_arrives() -> None:
    found = evaluate(status(), reporting({"traces": GOOD, "metrics": GOOD}, {}))
    assert found is not None
    assert (found.type, found.status, found.reason) == (ConditionType.TELEMETRY_READY, "True", "TelemetryReady")


def test_one_replica_that_does_not_reach_its_collector_is_enough_and_the_signal_is_named_once() -> None:
    found = evaluate(status(), reporting({"traces": GOOD, "metrics": BAD}, {"traces": GOOD, "metrics": BAD}))
    assert found is not None
    assert (found.status, found.reason) == ("False", "ExportFailing")
    assert found.message.count("the metrics of gateway ostiary-system/default.") == 1
    assert "OTEL_EXPORTER_OTLP_" in found.message


def test_a_change_of_it_concerns_every_proxy_of_the_gateway() -> None:
    changes = ReportChanges()
    changes.add(report({"traces": GOOD}), report({"traces": GOOD}))
    assert not changes.everything
    changes.add(report({"traces": GOOD}), report({"traces": BAD}))
    assert changes.everything
