"""What a change of a proxy's servers weakens."""

from typing import Any

import pytest

from ostiary_core.contract.documents import EntryDocument
from ostiary_operator.compile.server_weakenings import of_servers

TIMEOUTS = {"connect": 1, "request": 1, "idle": 1}


def server(name: str, **rest: Any) -> dict[str, Any]:
    return {"name": name, "url": f"http://{name}.a.svc:80/mcp", "timeouts": TIMEOUTS, **rest}


def entry(*servers: dict[str, Any], **rest: Any) -> EntryDocument:
    fixed = {"namespace": "a", "name": "tools", "uid": "u", "generation": 1, "path": "/tools"}
    return EntryDocument.model_validate({**fixed, "servers": list(servers), **rest})


CRM, ERP, REST = server("crm", prefix="crm_"), server("erp", prefix="erp_"), server("rest", prefix="")
MERGED = entry(CRM, ERP, serverSelection="Merge")
EU = {"name": "eu", "when": 'claims.region == "eu"', "servers": ["eu"]}
OTHERS = {"name": "others", "servers": ["us"]}


def routed(*rules: dict[str, Any]) -> EntryDocument:
    return entry(server("eu"), server("us"), serverSelection="Route", routing=list(rules))


def found(old: EntryDocument, new: EntryDocument) -> list[tuple[str, str]]:
    return [(it.reason, it.message) for it in of_servers(old, new)]


def test_the_same_servers_in_another_order_weaken_nothing() -> None:
    assert found(MERGED, MERGED) == []
    assert found(MERGED, entry(ERP, CRM, serverSelection="Merge")) == []


def test_a_server_that_is_removed_weakens_nothing_where_its_names_disappear() -> None:
    assert found(entry(CRM, ERP, server("hr", prefix="hr_"), serverSelection="Merge"), MERGED) == []


def test_names_that_fall_to_the_server_without_a_prefix_are_reported() -> None:
    before = entry(CRM, ERP, REST, serverSelection="Merge")
    after = entry(ERP, REST, serverSelection="Merge")

    assert found(before, after) == [
        ("UpstreamChanged", "spec.servers: crm_* has a server of its own → crm_* is of rest")
    ]


def test_a_server_more_is_reported_with_its_url_and_prefix_but_not_its_query() -> None:
    more = {**server("hr", prefix="hr_"), "url": "https://hr.example.com/mcp?sid=canary"}
    ((reason, message),) = found(MERGED, entry(CRM, ERP, more, serverSelection="Merge"))

    assert (reason, message) == (
        "UpstreamChanged",
        "spec.servers[2]: none → adds hr at https://hr.example.com/mcp with the prefix 'hr_'",
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prefix": "c_"}, "spec.servers[1].prefix: crm_ → c_"),
        (
            {"endpoints": [{"address": "10.0.0.7", "port": 80}]},
            "spec.servers[1].endpoints: none → 10.0.0.7 port 80",
        ),
        (
            {"retry": {"attempts": 1, "backoff": 1, "tools": {"names": ["get_*"], "hints": ["readOnlyHint"]}}},
            "spec.servers[1].retry.tools: none → get_*, readOnlyHint",
        ),
        ({"host": "evil.example.com"}, "spec.servers[1].host: none → evil.example.com"),
        ({"url": "http://evil/mcp"}, "spec.servers[1].url: http://crm.a.svc:80/mcp → http://evil/mcp"),
    ],
)
def test_a_change_of_any_server_is_reported_with_its_place(change: dict[str, Any], message: str) -> None:
    assert found(MERGED, entry(ERP, {**CRM, **change}, serverSelection="Merge")) == [("UpstreamChanged", message)]


@pytest.mark.parametrize(
    "change",
    [
        {"retry": {"attempts": 2, "backoff": 1}},
        {"retry": {"attempts": 0, "backoff": 1, "tools": {"names": ["get_*"]}}},
        {"circuitBreaker": {"errorPercent": 1, "minimumRequests": 1, "interval": 1, "openFor": 1}},
        {"loadBalancer": "RoundRobin"},
    ],
)
def test_what_changes_neither_where_requests_go_nor_how_often_a_call_runs_weakens_nothing(change: Any) -> None:
    assert found(MERGED, entry(ERP, {**CRM, **change}, serverSelection="Merge")) == []


def test_fewer_tools_whose_calls_may_run_twice_weaken_nothing() -> None:
    some, fewer = ({"attempts": 1, "backoff": 1, "tools": {"names": names}} for names in (["a", "b"], ["b"]))

    assert found(entry(server("crm", retry=some)), entry(server("crm", retry=fewer))) == []


def test_the_only_server_may_be_renamed() -> None:
    assert found(entry(server("a", url="http://x/mcp")), entry(server("b", url="http://x/mcp"))) == []


def test_another_selection_is_reported() -> None:
    assert ("UpstreamChanged", "spec.serverSelection: one server → Merge") in found(entry(server("crm")), MERGED)


def test_routes_that_change_are_reported_as_they_read() -> None:
    assert found(routed(EU, OTHERS), routed(EU, OTHERS)) == []
    for after in (routed(OTHERS), routed(OTHERS, EU), routed({**EU, "servers": ["us"]}, OTHERS)):
        ((reason, message),) = found(routed(EU, OTHERS), after)
        assert reason == "RoutingChanged"
        assert message.startswith('spec.routing: eu: claims.region == "eu" to eu; others: every request to us → ')
