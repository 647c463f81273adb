"""The official TypeScript SDKs accept what masks leave of lists, results, resources and prompts."""

import json

import pytest
from gateways import RunningGateway
from masked_values import leaked, masking, unescaped
from mcp_clients import Era, mock_process
from typescript_sdk import CLIENTS, Sdk, run_session

pytestmark = pytest.mark.node

STEPS = (
    {"op": "listTools"},
    {"op": "callTool", "name": "get_customer", "arguments": {"id": 7}},
    {"op": "callTool", "name": "search_notes", "arguments": {"query": "a"}, "progress": True},
    {"op": "callTool", "name": "export_customers", "arguments": {}},
    {"op": "readResource", "uri": "crm://customers/7"},
    {"op": "getPrompt", "name": "summarise_customer", "arguments": {"id": "7"}},
)


@pytest.mark.parametrize(("sdk", "era"), CLIENTS)
async def test_a_client_accepts_all_that_a_leaky_server_tells_and_reads_no_value(
    gateway: RunningGateway, sdk: Sdk, era: Era
) -> None:
    with mock_process("--scenario", "leaky") as crm:
        plain = await run_session(crm.url, sdk=sdk, era=era, steps=STEPS)
        await gateway.apply(gateway.entry("mock", crm.url, [masking()]))
        masked = await run_session(gateway.url(), sdk=sdk, era=era, steps=STEPS)

    assert [line for line in (*plain, *masked) if not line["ok"]] == []
    assert [bool(line["result"].get("isError")) for line in masked] == [False] * len(STEPS)
    assert leaked(json.dumps(plain) + unescaped(plain)) != []
    assert leaked(json.dumps(masked) + unescaped(masked)) == []
