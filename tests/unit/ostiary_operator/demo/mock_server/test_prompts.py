from typing import Any

import pytest
from mcp import MCPError
from mcp.types import INVALID_PARAMS, PromptReference
from mcp_clients import ERAS, Era, MockProcess, connect


@pytest.mark.parametrize("era", ERAS)
async def test_prompts_are_listed_and_rendered(mock: MockProcess, era: Era) -> None:
    async with connect(mock.url, era=era) as client:
        prompts = {prompt.name: prompt for prompt in (await client.list_prompts()).prompts}
        started = await client.get_prompt("get_started")
        drafted = await client.get_prompt("draft_post", {"topic": "bridges", "tone": "playful"})

    assert set(prompts) == {"get_started", "introduce_user", "draft_post"}
    assert [(argument.name, argument.required) for argument in prompts["draft_post"].arguments or []] == [
        ("topic", True),
        ("tone", False),
    ]
    assert "get_users" in _text(started.messages[0])
    assert "playful post of about 100 words on: bridges" in _text(drafted.messages[0])


@pytest.mark.parametrize("era", ERAS)
async def test_a_prompt_can_bring_a_resource_along(mock: MockProcess, era: Era) -> None:
    async with connect(mock.url, era=era) as client:
        asked, record = (await client.get_prompt("introduce_user", {"user_id": "3"})).messages

    assert "Alan Turing" in _text(asked)
    assert record.content.type == "resource"
    assert record.content.resource.uri == "mock://users/3"


@pytest.mark.parametrize("era", ERAS)
async def test_the_arguments_of_prompts_are_completed(mock: MockProcess, era: Era) -> None:
    async with connect(mock.url, era=era) as client:
        tone = PromptReference(type="ref/prompt", name="draft_post")
        tones = (await client.complete(tone, {"name": "tone", "value": "f"})).completion
        user = PromptReference(type="ref/prompt", name="introduce_user")
        users = (await client.complete(user, {"name": "user_id", "value": ""})).completion

    assert tones.values == ["formal", "friendly"]
    assert len(users.values) == 10


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(
    ("name", "arguments"),
    [("no_such_prompt", {}), ("introduce_user", {}), ("introduce_user", {"user_id": "99"}), ("draft_post", {})],
)
async def test_a_prompt_that_cannot_be_rendered_is_invalid_params(
    mock: MockProcess, era: Era, name: str, arguments: dict[str, str]
) -> None:
    async with connect(mock.url, era=era) as client:
        with pytest.raises(MCPError) as refused:
            await client.get_prompt(name, arguments)

    assert refused.value.code == INVALID_PARAMS


def _text(message: Any) -> str:
    assert message.content.type == "text"
    return str(message.content.text)
