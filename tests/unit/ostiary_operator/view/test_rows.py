from typing import Any

from ostiary_operator.view import summary
from ostiary_operator.view.cluster_reader import ClusterOverview, GatewayOverview
from ostiary_operator.view.rows import proxy_row

GATEWAY = "ostiary-system/default"


def ready_proxy() -> dict[str, Any]:
    status = {
        "conditions": [{"type": "Ready", "status": "True", "reason": "Ready", "observedGeneration": 1}],
        "gateways": [{"namespace": "ostiary-system", "name": "default", "ready": 2, "desired": 2}],
    }
    return {"metadata": {"namespace": "sales", "name": "crm", "generation": 1}, "status": status}


def told(gateway: GatewayOverview) -> tuple[str, str]:
    line = proxy_row(ready_proxy(), {GATEWAY: gateway})
    return line.verdict.status, line.verdict.message


def test_a_status_that_no_operator_updates_any_more_is_not_trusted() -> None:
    message = f"its status says that it is ready, but it is not in the config of gateway {GATEWAY}"
    assert told(GatewayOverview.of(GATEWAY, "ostiary-gateway", None)) == ("Unknown", message)


def test_a_status_is_trusted_where_the_config_contains_it_or_may_not_be_read() -> None:
    assert told(GatewayOverview(GATEWAY, digests={"sales/crm": "a" * 64})) == ("True", "")
    assert told(GatewayOverview.of(GATEWAY, None, None, "you may not read the config")) == ("True", "")


def test_a_server_that_fails_is_shown_though_its_proxy_is_ready() -> None:
    words = "server crm: HTTP 421: Invalid Host header"
    proxy = ready_proxy()
    proxy["status"]["conditions"].append(
        {
            "type": "UpstreamHealthy",
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
    assert words in page
