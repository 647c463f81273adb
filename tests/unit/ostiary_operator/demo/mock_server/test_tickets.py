import pytest
from mcp_clients import ERAS, Era, MockProcess, connect


@pytest.mark.parametrize("era", ERAS)
async def test_the_ticket_server_has_two_tools_and_shares_nothing_with_the_mock_server(
    mock: MockProcess, era: Era
) -> None:
    async with connect(f"{mock.origin}/tickets/mcp", era=era) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == ["read_ticket", "delete_ticket"]
        assert (await client.call_tool("get_users", {})).is_error
    async with connect(mock.url, era=era) as client:
        assert len((await client.list_tools()).tools) == 15


async def test_a_deleted_ticket_is_gone_and_the_error_names_it(mock: MockProcess) -> None:
    async with connect(f"{mock.origin}/tickets/mcp", era="modern") as client:
        deleted = await client.call_tool("delete_ticket", {"ticket_id": 5})
        again = await client.call_tool("delete_ticket", {"ticket_id": 5})
        other = await client.call_tool("read_ticket", {"ticket_id": 4})
    assert deleted.structured_content == {
        "deleted": {
            "id": 5,
            "subject": "Sent twice, please delete",
            "customer": "Edsger Dijkstra",
            "status": "closed",
        }
    }
    assert again.is_error
    assert "There is no ticket 5." in str(again.content)
    assert not other.is_error


async def test_streams_of_the_ticket_server_are_open_until_the_process_ends(mock: MockProcess) -> None:
    async with (
        connect(f"{mock.origin}/tickets/mcp", era="modern") as client,
        client.listen(tools_list_changed=True) as subscription,
    ):
        assert subscription is not None
        assert not (await client.call_tool("read_ticket", {"ticket_id": 1})).is_error
