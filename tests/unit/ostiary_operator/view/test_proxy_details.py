from typing import Any

import pytest

from ostiary_operator.view.proxy_details import conditions_of, locks_of, proxy_details

DRIFT = {"server": "crm", "primitive": "tools", "name": "add", "field": "description", "digest": "9f", "diff": "a to b"}


def condition(type_: str, status: str, reason: str, message: str = "", generation: int = 3) -> dict[str, Any]:
    return {
        "type": type_,
        "status": status,
        "reason": reason,
        "message": message,
        "observedGeneration": generation,
        "lastTransitionTime": "2026-11-30T08:00:00Z",
    }


def proxy(**status: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "namespace": "team-a",
            "name": "crm",
            "generation": 3,
            "annotations": {"ostiary.dev/source": "https://git.example/crm.yaml"},
        },
        "spec": {
            "servers": [{"name": "crm", "url": "http://crm.team-a.svc:80/mcp", "prefix": "crm_"}],
            "catalogue": {"pinning": "Block"},
        },
        "status": status,
    }


def test_conditions_have_a_meaning_and_where_they_fail_a_remedy() -> None:
    conditions = conditions_of(
        proxy(
            conditions=[
                condition("Accepted", "True", "Accepted"),
                condition("Programmed", "False", "NoReplicas", "no replica of gateway default is ready"),
                condition("Governed", "False", "NoPolicy", "nothing governs it"),
            ]
        )
    )
    found = {each.type: each for each in conditions}
    assert list(found) == ["Ready", "Accepted", "ResolvedRefs", "Programmed", "Governed"]
    assert (found["Accepted"].status, found["Accepted"].remedy) == ("True", "")
    assert found["Accepted"].meaning
    assert found["Programmed"].message == "no replica of gateway default is ready"
    assert found["Programmed"].remedy
    assert found["Programmed"].since == "2026-11-30T08:00:00Z"
    assert found["Programmed"].is_of_ready
    assert not found["Governed"].is_of_ready


def test_conditions_of_an_older_generation_are_unknown() -> None:
    (ready, *_) = conditions_of(proxy(conditions=[condition("Ready", "True", "Ready", generation=2)]))
    assert (ready.status, ready.reason) == ("Unknown", "Pending")


def test_the_remedy_is_not_said_twice() -> None:
    message = "x. Set catalogue.pinning of the MCPProxy to Warn, then to Block."
    failing = condition("DefinitionsMatch", "False", "NotPinned", message)
    found = next(each for each in conditions_of(proxy(conditions=[failing])) if each.type == "DefinitionsMatch")
    assert found.message == "x."
    assert found.remedy.startswith("Set catalogue.pinning")


def test_gateways_servers_and_drift_are_those_of_the_status() -> None:
    details = proxy_details(
        proxy(
            gateways=[{"namespace": "ostiary-system", "name": "default", "ready": 1, "desired": 2}],
            urls=[{"gateway": "ostiary-system/default", "url": "https://mcp.example.com/crm/mcp"}],
            servers=[{"name": "crm", "url": "http://crm:80/mcp", "tools": 12, "revision": "2025-11-25"}],
            drift=[DRIFT],
            policies=[{"namespace": "team-a", "name": "read-only"}],
            policyCount=300,
        ),
        {},
    )
    (gateway,) = details.gateways
    assert (gateway.gateway, gateway.ready, gateway.desired) == ("ostiary-system/default", 1, 2)
    assert not gateway.is_whole
    assert gateway.urls == ("https://mcp.example.com/crm/mcp",)
    (server,) = details.servers
    assert (server.name, server.prefix, server.tools, server.prompts) == ("crm", "crm_", 12, None)
    assert [(each.name, each.field, each.diff) for each in details.drift] == [("add", "description", "a to b")]
    assert (details.policy_count, details.pinning) == (300, "Block")
    assert details.source == "https://git.example/crm.yaml"


def test_locks_are_those_of_the_proxy_only() -> None:
    def lock(namespace: str, name: str) -> dict[str, Any]:
        return {
            "metadata": {"namespace": namespace, "name": f"{name}-lock", "generation": 1},
            "spec": {"proxyRef": {"name": name}, "server": "crm"},
            "status": {"definitions": 4},
        }

    found = locks_of("team-a/crm", [lock("team-a", "crm"), lock("team-b", "crm"), lock("team-a", "other")])
    assert [(each.identity, each.server, each.definitions) for each in found] == [("team-a/crm-lock", "crm", 4)]


@pytest.mark.parametrize(
    "status",
    [
        {"servers": None, "drift": {"a": 1}, "urls": None, "conditions": None},
        {"gateways": [{"ready": "2", "desired": None}], "policyCount": "many"},
        {"servers": [{"name": ["crm"], "tools": True}]},
    ],
)
def test_a_status_of_another_shape_breaks_nothing(status: dict[str, Any]) -> None:
    details = proxy_details(proxy(**status), {})
    assert details.identity == "team-a/crm"
    assert all(each.tools is None for each in details.servers)
