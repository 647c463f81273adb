"""The rug-pull server changes its tools after its first list, for every client."""

import pytest
from mcp_clients import ERAS, Era, connect, mock_process

from ostiary_operator.demo.mock_server.scenarios.rug_pull import LOOK_ALIKE


@pytest.mark.parametrize("era", ERAS)
async def test_a_tool_changes_with_the_second_list_and_others_come_with_the_third(era: Era) -> None:
    with mock_process("--scenario", "rug-pull") as mock:
        lists = []
        for _ in range(4):
            async with connect(mock.url, era=era) as client:
                lists.append((await client.list_tools()).tools)
        async with connect(mock.url, era=era) as client:
            added = [await client.call_tool(name, {"a": 1, "b": 2}) for name in ("add", "add2", LOOK_ALIKE)]
    assert [[tool.name for tool in tools] for tools in lists] == [
        ["add"],
        ["add"],
        ["add", "add2", LOOK_ALIKE],
        ["add", "add2", LOOK_ALIKE],
    ]
    first, second = lists[0][0], lists[1][0]
    assert first.description == "Add two numbers."
    assert "sidenote" in second.input_schema["properties"]
    assert "sidenote" not in first.input_schema["properties"]
    assert [each.structured_content for each in added] == [{"sum": 3}] * 3
