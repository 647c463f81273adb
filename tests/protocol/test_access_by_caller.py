"""Rules that depend on the caller and on the message, at a real gateway."""

from typing import Any

import pytest
from api_keys import AGENT_KEY, OTHER_KEY, api_key, bearer, keyed
from gateways import RunningGateway, policy
from mcp_caller import McpCaller, modern
from mcp_clients import ERAS, Era, connect

from ostiary_core.contract.documents import PolicyDocument, SubjectConfig

KEYS = keyed(api_key(AGENT_KEY, "default/support", groups=["support"]), api_key(OTHER_KEY, "default/admin"))


def governed(*rules: dict[str, Any], subjects: list[SubjectConfig] | None = None, name: str = "p") -> PolicyDocument:
    return policy(name, *rules).model_copy(update={"subjects": subjects})


def call(name: str, **arguments: Any) -> dict[str, Any]:
    return modern("tools/call", {"name": name, "arguments": arguments})


async def tools(gateway: RunningGateway, key: str, era: Era) -> list[str]:
    async with connect(gateway.url(), era=era, headers=bearer(key)) as client:
        return sorted(tool.name for tool in (await client.list_tools()).tools)


@pytest.mark.parametrize("era", ERAS)
async def test_each_caller_sees_and_calls_what_its_own_policy_allows(
    gateway: RunningGateway, mock: str, era: Era
) -> None:
    read = {"name": "read", "effect": "Allow", "tools": {"names": ["get_*"]}}
    support = governed(read, subjects=[SubjectConfig(groups=["support"])], name="support")
    everything = {"name": "all", "effect": "Allow"}
    admin = governed(everything, subjects=[SubjectConfig(consumers=["default/admin"])], name="admin")
    await gateway.apply(gateway.entry("mock", mock, [KEYS, support, admin]))
    seen, all_tools = await tools(gateway, AGENT_KEY, era), await tools(gateway, OTHER_KEY, era)
    assert seen == [name for name in all_tools if name.startswith("get_")]
    assert len(seen) < len(all_tools)


@pytest.mark.parametrize(("key", "allowed"), [(AGENT_KEY, True), (OTHER_KEY, False)])
async def test_a_condition_over_the_caller_decides(
    gateway: RunningGateway, caller: McpCaller, mock: str, key: str, allowed: bool
) -> None:
    rule = {"name": "support", "effect": "Allow", "when": "authenticated && 'support' in groups"}
    await gateway.apply(gateway.entry("mock", mock, [KEYS, governed(rule)]))
    answer = await caller.post(call("get_users"), bearer(key))
    assert ("result" in answer.json) is allowed
    if not allowed:
        assert answer.error["message"] == "Unknown tool: get_users"
