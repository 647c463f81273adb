from collections import Counter
from typing import Any

import pytest
from mcp import Client
from mcp_clients import ERAS, Era, MockProcess, connect

READERS: dict[str, dict[str, Any]] = {
    "get_users": {},
    "get_user": {"user_id": 1},
    "get_posts": {},
    "get_products": {},
    "search_products": {"query": "desk"},
    "get_analytics_summary": {},
    "get_page_views": {},
    "echo": {"message": "hello"},
    "add": {"a": 1, "b": 2},
    "get_time": {},
    "stream_count": {"count": 2, "interval_ms": 1},
    "long_task": {"seconds": 0.01, "steps": 2},
}
WRITERS = {"create_user", "create_post", "delete_user"}


@pytest.mark.parametrize("era", ERAS)
async def test_there_are_fifteen_tools_in_six_categories(mock: MockProcess, era: Era) -> None:
    async with connect(mock.url, era=era) as client:
        tools = (await client.list_tools()).tools

    assert {tool.name for tool in tools} == READERS.keys() | WRITERS
    categories = Counter((tool.meta or {})["ostiary.dev/category"] for tool in tools)
    assert categories == {"users": 4, "posts": 2, "products": 2, "analytics": 2, "utilities": 3, "streaming": 2}


async def test_every_tool_and_every_argument_is_described(mock: MockProcess) -> None:
    async with connect(mock.url, era="modern") as client:
        tools = (await client.list_tools()).tools

    for tool in tools:
        assert tool.title
        assert tool.description
        assert tool.output_schema
        for name, schema in tool.input_schema["properties"].items():
            assert schema.get("description"), f"{tool.name}: {name}"


async def test_the_annotations_distinguish_reading_writing_and_destructive_tools(mock: MockProcess) -> None:
    async with connect(mock.url, era="modern") as client:
        tools = {tool.name: tool.annotations for tool in (await client.list_tools()).tools}

    assert {name for name, hints in tools.items() if hints and not hints.read_only_hint} == WRITERS
    assert [name for name, hints in tools.items() if hints and hints.destructive_hint] == ["delete_user"]
    assert all(hints and hints.open_world_hint is False for hints in tools.values())


@pytest.mark.parametrize("era", ERAS)
async def test_get_users_returns_a_list(mock: MockProcess, era: Era) -> None:
    async with connect(mock.url, era=era) as client:
        answer = await _call(client, "get_users", {"limit": 3, "role": "admin"})

    assert [user["name"] for user in answer["users"]] == ["Ada Lovelace", "Grace Hopper", "Margaret Hamilton"]
    assert answer["total"] == 3


@pytest.mark.parametrize("era", ERAS)
async def test_every_reader_answers_with_structured_content(mock: MockProcess, era: Era) -> None:
    async with connect(mock.url, era=era) as client:
        for name, arguments in READERS.items():
            assert await _call(client, name, arguments)


@pytest.mark.parametrize("era", ERAS)
async def test_a_user_lives_from_create_to_delete(fresh_mock: MockProcess, era: Era) -> None:
    async with connect(fresh_mock.url, era=era) as client:
        user = await _call(client, "create_user", {"name": "Lynn Conway", "email": "lynn@example.com"})
        post = {"user_id": user["id"], "title": "VLSI", "body": "Scalable design rules.", "tags": ["chips"]}
        await _call(client, "create_post", post)
        listed = await _call(client, "get_posts", {"tag": "chips"})
        deleted = await _call(client, "delete_user", {"user_id": user["id"]})
        gone = await client.call_tool("get_user", {"user_id": user["id"]})

    assert [found["title"] for found in listed["posts"]] == ["VLSI"]
    assert deleted == {"deleted": user, "deleted_posts": 1}
    assert gone.is_error


async def test_search_respects_name_category_and_price(mock: MockProcess) -> None:
    async with connect(mock.url, era="modern") as client:
        answer = await _call(client, "search_products", {"query": "FURNITURE", "max_price": 300})

    assert [product["name"] for product in answer["products"]] == ["Desk lamp", "Office chair"]


async def test_the_summary_agrees_with_the_page_views(mock: MockProcess) -> None:
    async with connect(mock.url, era="modern") as client:
        summary = await _call(client, "get_analytics_summary", {"days": 30})
        pages = (await _call(client, "get_page_views", {"days": 30}))["pages"]

    assert summary["page_views"] == sum(sum(page["daily"]) for page in pages)
    assert summary["top_page"] == pages[0]["path"]


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(
    ("tool", "arguments", "reason"),
    [
        ("get_user", {"user_id": 99}, "There is no user 99"),
        ("delete_user", {"user_id": 99}, "There is no user 99"),
        ("create_user", {"name": "Ada", "email": "ada@example.com"}, "exists already"),
        ("create_post", {"user_id": 99, "title": "t", "body": "b"}, "There is no user 99"),
        ("get_page_views", {"path": "/nowhere"}, "There is no page /nowhere"),
        ("get_time", {"timezone": "Mars/Olympus"}, "There is no time zone"),
        ("add", {"a": 1e308, "b": 1e308}, "too large"),
        ("get_users", {"limit": 0}, "greater than or equal to 1"),
        ("get_user", {}, "Field required"),
        ("long_task", {"seconds": 0, "fail": True}, "failed after its last step"),
    ],
)
async def test_what_cannot_be_done_is_a_tool_error_with_its_reason(
    mock: MockProcess, era: Era, tool: str, arguments: dict[str, Any], reason: str
) -> None:
    async with connect(mock.url, era=era) as client:
        result = await client.call_tool(tool, arguments)

    assert result.is_error
    [content] = result.content
    assert content.type == "text"
    assert reason in content.text


async def _call(client: Client, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    result = await client.call_tool(name, arguments)
    assert not result.is_error, result.content
    assert isinstance(result.structured_content, dict)
    return result.structured_content
