"""What an unchanged client of the official SDK sees and may call, in both eras (rows GV-21 to GV-26, TQ-20, TQ-21)."""

import pytest
from gateways import RunningGateway, policy
from mcp import MCPError
from mcp.types import TextContent
from mcp_clients import ERAS, Era, connect

TOOL = {"name": "tool", "effect": "Allow", "tools": {"verbs": ["List", "Call"], "names": ["get_users"]}}
LIST_ONLY = {"name": "look", "effect": "Allow", "tools": {"verbs": ["List"]}}


@pytest.mark.parametrize("era", ERAS)
async def test_without_a_policy_all_fifteen_tools_are_there_and_get_users_returns_a_list(
    mock: str, gateway: RunningGateway, era: Era
) -> None:
    await gateway.apply(gateway.entry("mock", mock))

    async with connect(gateway.url(), era=era) as client:
        assert len((await client.list_tools()).tools) == 15
        assert not (await client.call_tool("get_users", {})).is_error


@pytest.mark.parametrize("era", ERAS)
async def test_a_policy_without_rules_lets_the_client_connect_and_shows_three_empty_lists(
    mock: str, gateway: RunningGateway, era: Era
) -> None:
    await gateway.apply(gateway.entry("mock", mock, [policy("none")]))

    async with connect(gateway.url(), era=era) as client:
        assert (await client.list_tools()).tools == []
        assert (await client.list_resources()).resources == []
        assert (await client.list_prompts()).prompts == []


@pytest.mark.parametrize("era", ERAS)
async def test_list_without_call_shows_and_refuses(mock: str, gateway: RunningGateway, era: Era) -> None:
    await gateway.apply(gateway.entry("mock", mock, [policy("look", LIST_ONLY)]))

    async with connect(gateway.url(), era=era) as client:
        assert len((await client.list_tools()).tools) == 15
        refused = await client.call_tool("get_users", {})

    [content] = refused.content
    assert isinstance(content, TextContent)
    assert (refused.is_error, refused.structured_content) == (True, None)
    assert content.text.startswith("Denied by policy: tool get_users. ")
    assert "look" not in content.text


@pytest.mark.parametrize("era", ERAS)
async def test_a_resource_or_prompt_that_may_be_seen_and_not_used_stays_an_error(
    mock: str, gateway: RunningGateway, era: Era
) -> None:
    see = {"name": "see", "effect": "Allow", "resources": {"verbs": ["List"]}, "prompts": {"verbs": ["List"]}}
    await gateway.apply(gateway.entry("mock", mock, [policy("see", see)]))

    async with connect(gateway.url(), era=era) as client:
        for using in (client.read_resource("mock://users"), client.get_prompt("draft_post", {"topic": "x"})):
            with pytest.raises(MCPError) as refused:
                await using
            assert (refused.value.error.code, refused.value.error.data) == (-31001, {"reason": "Denied"})


@pytest.mark.parametrize("era", ERAS)
async def test_list_and_call_of_one_literal_shows_and_allows_exactly_that_one(
    mock: str, gateway: RunningGateway, era: Era
) -> None:
    await gateway.apply(gateway.entry("mock", mock, [policy("one", TOOL)]))

    async with connect(gateway.url(), era=era) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == ["get_users"]
        assert not (await client.call_tool("get_users", {})).is_error
        with pytest.raises(MCPError) as refused:
            await client.call_tool("delete_user", {"id": 1})

    assert refused.value.error.code == -32602


@pytest.mark.parametrize("era", ERAS)
async def test_a_hidden_tool_answers_exactly_as_an_unknown_one(mock: str, gateway: RunningGateway, era: Era) -> None:
    await gateway.apply(gateway.entry("mock", mock, [policy("one", TOOL)]))

    async with connect(gateway.url(), era=era) as client:
        answers = []
        for name in ("delete_user", "there_is_no_such_tool"):
            with pytest.raises(MCPError) as refused:
                await client.call_tool(name, {})
            answers.append(refused.value.error.model_dump_json().replace(name, "NAME"))

    assert answers[0] == answers[1]
