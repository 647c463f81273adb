from typing import Any

import pytest

from ostiary_operator.api.conditions import ConditionType
from ostiary_operator.api.reasons import AcceptedReason
from ostiary_operator.view import rows, summary
from ostiary_operator.view.cluster_reader import ClusterOverview, GatewayOverview
from ostiary_operator.view.rows import proxy_row

GATEWAY = "ostiary-system/default"


def ready_proxy() -> dict[str, Any]:
    status = {
        "conditions": [{"type": "Ready", "status": "True", "reason": "Ready", "observedGeneration": 1}],
        "gateways": [{"namespace": "ostiary-system", "name": "default", "ready": 2, "desired": 2}],
    }
    return {"metadata": {"namespace": "sales", "name": "crm", "generation": 1}, "status": status}


def verdict_of(gateway: GatewayOverview) -> tuple[str, str]:
    line = proxy_row(ready_proxy(), {GATEWAY: gateway})
    return line.verdict.status, line.verdict.message


def test_a_status_that_no_operator_updates_any_more_is_not_trusted() -> None:
    message = f"its status says that it is ready, but it is not in the config of gateway {GATEWAY}"
    assert verdict_of(GatewayOverview.of(GATEWAY, "ostiary-gateway", None)) == ("Unknown", message)


def test_a_status_is_trusted_where_the_config_contains_it_or_may_not_be_read() -> None:
    assert verdict_of(GatewayOverview(GATEWAY, digests={"sales/crm": "a" * 64})) == ("True", "")
    assert verdict_of(GatewayOverview.of(GATEWAY, None, None, "you may not read the config")) == ("True", "")


@pytest.mark.parametrize("of_type", ["UpstreamHealthy", "UpstreamsHealthy"])
def test_a_server_that_fails_is_shown_though_its_proxy_is_ready(of_type: str) -> None:
    words = "server crm: HTTP 421: Invalid Host header"
    proxy = ready_proxy()
    proxy["status"]["conditions"].append(
        {
            "type": of_type,
            "status": "False",
            "reason": "UpstreamHostRefused",
            "message": words,
            "observedGeneration": 1,
        }
    )
    line = proxy_row(proxy, {})
    assert (line.verdict.status, line.upstream.reason, line.upstream.message) == ("True", "UpstreamHostRefused", words)
    page = summary.text(ClusterOverview((proxy,), (), {}, ()))
    assert "The server of MCPProxy sales/crm fails: UpstreamHostRefused" in page
    assert page.count(words) == 1


def resource(*conditions: tuple[str, str, str], generation: int = 2, message: str = "said so") -> dict[str, Any]:
    verdict_of = [
        {"type": kind, "status": status, "reason": reason, "message": message, "observedGeneration": generation}
        for kind, status, reason in conditions
    ]
    return {"metadata": {"generation": 2}, "status": {"conditions": verdict_of}}


def test_the_first_cause_is_reported_and_not_the_summary() -> None:
    judged = rows.readiness_of(
        resource(
            ("Ready", "False", "PathConflict"),
            ("Programmed", "False", "NotAccepted"),
            ("Accepted", "False", "PathConflict"),
        )
    )
    assert (judged.status, judged.reason, judged.message) == ("False", "PathConflict", "said so")
    assert judged.remedy == AcceptedReason.PATH_CONFLICT.remedy


def test_a_condition_of_an_older_generation_is_ignored() -> None:
    judged = rows.readiness_of(resource(("Ready", "True", "Ready"), generation=1))
    assert (judged.status, judged.reason, judged.ready) == ("Unknown", "Pending", False)


def test_an_object_without_status_is_not_ready() -> None:
    assert rows.readiness_of({"metadata": {"generation": 1}}).status == "Unknown"


def test_a_reason_of_another_version_has_no_remedy_and_breaks_nothing() -> None:
    judged = rows.condition(resource(("Accepted", "False", "Novel")), ConditionType.ACCEPTED)
    assert (judged.reason, judged.remedy) == ("Novel", "")


def test_a_message_cannot_rewrite_the_terminal() -> None:
    verdict_of = resource(("Accepted", "False", "Invalid"), message="\x1b[2Jgone\u202e")
    assert "\x1b" not in rows.readiness_of(verdict_of).message
    assert "\u202e" not in rows.readiness_of(verdict_of).message


def with_servers(*servers: dict[str, Any], endpoints: dict[str, str]) -> dict[str, Any]:
    proxy = ready_proxy()
    proxy["spec"] = {"servers": [{"name": f"s{number}", **server} for number, server in enumerate(servers)]}
    proxy["status"]["servers"] = [
        {"name": f"s{number}", "url": "http://a", **({"endpoints": found} if found else {})}
        for number, found in enumerate(endpoints.get(f"s{number}") for number in range(len(servers)))
    ]
    return proxy


def test_the_wide_table_shows_the_endpoints_of_each_server_that_has_several() -> None:
    service = {"service": {"name": "crm", "port": 80}}
    one = proxy_row(with_servers(service, endpoints={"s0": "3 ready, 1 draining"}), {})
    two = proxy_row(
        with_servers(service, {"url": "http://a"}, service, endpoints={"s0": "3 ready", "s2": "0 ready"}), {}
    )

    assert one.endpoint_counts == "3 ready, 1 draining"
    assert two.endpoint_counts == "s0 3 ready; s2 0 ready"
    page = summary.text(ClusterOverview((with_servers(service, endpoints={"s0": "3 ready"}),), (), {}, ()), wide=True)
    assert "ENDPOINTS" in page
    assert "3 ready" in page


def test_a_server_of_another_operator_is_shown_by_its_kind_and_name() -> None:
    reference = {"serverRef": {"group": "mcp.x-k8s.io", "kind": "MCPServer", "name": "crm"}}

    assert proxy_row(with_servers(reference, endpoints={}), {}).servers == ("MCPServer crm",)


def test_a_gateway_that_may_not_watch_endpoints_is_a_remark_with_its_remedy() -> None:
    proxy = ready_proxy()
    proxy["status"]["conditions"].append(
        {
            "type": "EndpointsObserved",
            "status": "False",
            "reason": "NotPermitted",
            "message": "server crm at gateway ostiary-system/default: no right",
            "observedGeneration": 1,
        }
    )

    page = summary.text(ClusterOverview((proxy,), (), {}, ()))
    assert "MCPProxy sales/crm: NotPermitted" in page
    assert "endpointslices" in page
