"""What a status says of each server of a proxy, from the reports of replicas."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from ostiary_operator.api.conditions import ConditionStatus
from ostiary_operator.api.status import ProxyStatus
from ostiary_operator.compile.model import ObjectKey, ResourceStatus
from ostiary_operator.status import upstream_health
from ostiary_operator.status.observed_conditions import DWELL
from ostiary_operator.status.replica_reports import Report, ReportError, parse_report
from ostiary_operator.status.replica_state import GatewayState, ReplicaState
from ostiary_operator.status.replicas import Replica
from ostiary_operator.status.server_statuses import ServerStatuses, evaluate

GATEWAY, PROXY = "ostiary-system/default", "tools/crm"
SERVERS = (("crm", "http://crm:80/mcp"), ("docs", "https://docs.example/mcp"))
CRM = {
    "answered": True,
    "revision": "2025-11-25",
    "listed": {"tools": 12, "prompts": 2},
    "dropped": {"Duplicate": 1, "Foreign": 2},
}
DOWN = {"answered": True, "fault": {"kind": "UpstreamUnreachable", "message": "no route"}}
NEVER = float("-inf")


def status(*servers: tuple[str, str], kind: str = "MCPProxy") -> ResourceStatus:
    return ResourceStatus(
        ObjectKey(kind, "tools", "crm"),
        "u",
        3,
        (),
        expected={GATEWAY: {PROXY: "a" * 64}},
        servers=servers or SERVERS,
    )


def report(servers: Mapping[str, Any], number: int = 0) -> Report:
    entries = {PROXY: {"active": "a" * 64, "servers": servers}}
    return Report.model_validate({"gateway": GATEWAY, "revision": 1, "replica": f"r{number}", "entries": entries})


def saying(*reports: Mapping[str, Any]) -> dict[str, GatewayState]:
    states = {
        f"http://{number}": ReplicaState(Replica(f"http://{number}", f"r{number}"), 0.0, report=report(servers, number))
        for number, servers in enumerate(reports)
    }
    return {GATEWAY: GatewayState(GATEWAY, 0.0, states=states)}


def seen(
    *reports: Mapping[str, Any], live: Mapping[str, Any] | None = None, written_at: float = NEVER, now: float = 1000.0
) -> ServerStatuses:
    return evaluate(status(), saying(*reports), live or {}, written_at=written_at, now=now)


def test_each_server_has_its_url_its_revision_and_what_it_lists_and_drops() -> None:
    assert seen({"crm": CRM}).servers == [
        {
            "name": "crm",
            "url": "http://crm:80/mcp",
            "revision": "2025-11-25",
            "tools": 12,
            "prompts": 2,
            "dropped": 3,
            "dropReasons": "Duplicate 1, Foreign 2",
        },
        {"name": "docs", "url": "https://docs.example/mcp"},
    ]
    ProxyStatus.model_validate({"servers": seen({"crm": CRM}).servers})


def test_of_several_replicas_the_one_counts_that_has_seen_most() -> None:
    found = seen({"crm": CRM}, {"crm": {"listed": {"tools": 3}, "revision": "2026-07-28"}}, {}).servers[0]
    assert (found["tools"], found["prompts"], found["revision"], found["dropped"]) == (12, 2, "2026-07-28", 3)


def test_a_replica_that_has_just_started_takes_nothing_away() -> None:
    live = {"servers": seen({"crm": CRM}).servers}
    assert seen({}, live=live).servers == live["servers"]
    assert seen({"crm": {"answered": True}}, live=live).servers == live["servers"]


def test_a_server_that_moved_has_no_numbers_of_its_former_url() -> None:
    live = {"servers": [{"name": "crm", "url": "http://elsewhere/mcp", "tools": 5}]}
    assert seen(live=live, written_at=999.0).servers[0] == {"name": "crm", "url": "http://crm:80/mcp"}


def test_numbers_are_written_once_a_minute_and_the_first_ones_at_once() -> None:
    bare = {"servers": seen().servers}
    assert seen({"crm": CRM}, live=bare, written_at=999.0).servers[0]["tools"] == 12
    live = {"servers": seen({"crm": CRM}).servers}
    more = {"crm": {"listed": {"tools": 13}}}
    delayed = seen(more, live=live, written_at=999.0)
    assert (delayed.servers, delayed.until) == (live["servers"], 999.0 + DWELL)
    assert seen(more, live=live, written_at=999.0, now=999.0 + DWELL).servers[0]["tools"] == 13


def test_drops_that_are_gone_disappear() -> None:
    live = {"servers": seen({"crm": CRM}).servers}
    found = seen({"crm": {"listed": {"tools": 12}}}, live=live).servers[0]
    assert "dropped" not in found
    assert "dropReasons" not in found


@pytest.mark.parametrize(
    "server",
    [
        {"revision": "newest"},
        {"listed": {"tools": -1}},
        {"listed": {"tools": 10**9}},
        {"listed": {"a b": 1}},
        {"dropped": {"<script>": 1}},
        {"listed": {f"l{'x' * number}": 1 for number in range(17)}},
    ],
)
def test_a_report_with_anything_else_is_no_report(server: Mapping[str, Any]) -> None:
    entries = {PROXY: {"active": "a" * 64, "servers": {"crm": server}}}
    body = {"gateway": GATEWAY, "revision": 1, "replica": "r", "entries": entries}
    with pytest.raises(ReportError):
        parse_report(json.dumps(body).encode(), gateway=GATEWAY)


def judged(*reports: Mapping[str, Any]) -> tuple[str, str, str]:
    found = upstream_health.evaluate_all(status(), saying(*reports))
    assert found is not None
    assert upstream_health.evaluate(status(), saying(*reports)) is None
    return found.status, found.reason, found.message


def test_several_servers_have_one_condition_that_names_each_one_at_fault() -> None:
    assert judged({})[:2] == ("Unknown", "NoTraffic")
    assert judged({"crm": CRM})[:2] == ("True", "UpstreamsHealthy")
    value, reason, message = judged({"crm": CRM, "docs": DOWN}, {"crm": CRM})
    assert (value, reason) == ("False", "UpstreamUnreachable")
    assert message.startswith("1 of 2 servers: server docs: no route. Start the server")
    assert judged({"crm": DOWN, "docs": DOWN})[2].startswith("2 of 2 servers: server crm: no route.")


def test_a_proxy_with_one_server_has_the_condition_of_one() -> None:
    one = status(SERVERS[0])
    assert upstream_health.evaluate_all(one, saying({"crm": DOWN})) is None
    found = upstream_health.evaluate(one, saying({"crm": DOWN}))
    assert found is not None
    assert found.status == ConditionStatus.FALSE


def test_endpoints_are_counted_as_the_replica_sees_them_that_has_most() -> None:
    few = {"endpoints": {"source": "EndpointSlices", "ready": 1}}
    most = {"endpoints": {"source": "EndpointSlices", "ready": 2, "draining": 1, "ejected": 1}}

    assert seen({"crm": few}, {"crm": most}).servers[0]["endpoints"] == "2 ready, 1 draining, 1 ejected"
    assert seen({"crm": {"endpoints": {"source": "EndpointSlices", "ready": 0}}}).servers[0]["endpoints"] == "0 ready"


def test_endpoints_that_no_replica_reports_any_more_are_gone_and_stay_while_none_reports() -> None:
    live = {"servers": [{"name": "crm", "url": "http://crm:80/mcp", "endpoints": "2 ready"}]}

    assert "endpoints" not in seen({"crm": CRM}, live=live).servers[0]
    assert seen(live=live).servers[0]["endpoints"] == "2 ready"


def test_a_service_that_is_reached_by_its_address_has_no_endpoints_to_count() -> None:
    by_address = {"endpoints": {"source": "Service", "ready": 1, "reason": "NotPermitted"}}

    assert "endpoints" not in seen({"crm": by_address}).servers[0]
    assert (
        seen({"crm": by_address}, {"crm": {"endpoints": {"source": "Static", "ready": 3}}}).servers[0]["endpoints"]
        == "3 ready"
    )


def test_a_status_with_endpoints_is_valid() -> None:
    ProxyStatus.model_validate(
        {"servers": seen({"crm": {"endpoints": {"source": "Static", "ready": 999_999, "blocked": 3}}}).servers}
    )
