from typing import Any, cast

import pytest
from operator_objects import populated, proxy

from ostiary_gateway.upstream import faults
from ostiary_operator.doctor.diagnosis import Case, CheckState, Options
from ostiary_operator.doctor.endpoint import UPSTREAM_REMEDIES, server
from ostiary_operator.kube.kinds import PROXY
from ostiary_operator.kube.read_only_client import ReadOnlyClient
from ostiary_operator.local.mcp_probe import McpReply

REFUSED: dict[str, Any] = {
    "error": {"code": -31003, "message": "The MCP server is unavailable", "data": {"reason": "UpstreamHostRefused"}}
}
SEEN = "server mock: the upstream answered HTTP 421: Invalid Host header (the gateway sends Host: mock.tools:7878)"


def test_every_fault_of_a_server_has_a_remedy_and_no_other_has() -> None:
    assert set(UPSTREAM_REMEDIES) == faults.KINDS
    assert all(UPSTREAM_REMEDIES.values())


@pytest.mark.parametrize(
    ("reason", "told"),
    [("UpstreamHostRefused", SEEN), ("UpstreamUnreachable", "The MCP server is unavailable")],
)
async def test_the_servers_own_message_is_reported_where_gateways_saw_the_same_fault(reason: str, told: str) -> None:
    condition = {
        "type": "UpstreamHealthy",
        "status": "False",
        "reason": reason,
        "message": f"{SEEN}. {UPSTREAM_REMEDIES[reason]}",
        "observedGeneration": 1,
    }
    cluster = populated()
    made = proxy("crm")
    made["metadata"]["generation"] = 1
    cluster.put(PROXY, {**made, "status": {"conditions": [condition]}})
    case = Case(cast("ReadOnlyClient", cluster), Options(), "tools", "crm", proxy=made)
    case.response = McpReply(200, {}, REFUSED, "")

    found = await server(case)
    assert found.state is CheckState.BROKEN
    assert found.detail == f"UpstreamHostRefused: http://mock.tools:7878/mcp: {told}"
    assert "allowed hosts" in found.remedy


@pytest.mark.parametrize(
    ("reason", "told"), [("LimitReached", "ostiary limits"), ("AuditUnavailable", "which sink fails")]
)
async def test_a_refusal_of_the_gateway_itself_is_not_taken_for_an_error_of_the_server(reason: str, told: str) -> None:
    case = Case(cast("ReadOnlyClient", populated()), Options(), "tools", "crm", proxy=proxy("crm"))
    error = {"code": -31002, "message": "Limit reached: tools/list cannot be called now.", "data": {"reason": reason}}
    case.response = McpReply(200, {}, {"error": error}, "")

    found = await server(case)
    assert found.state is CheckState.WARNING
    assert found.detail == f"the gateway refuses the request ({reason}): {error['message']}"
    assert told in found.remedy
