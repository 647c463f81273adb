"""The examples `masks`, `guards` and `lock` as users run them, with clients of both eras."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fenced_blocks import ROOT
from local_run import Run, running
from mcp import MCPError
from mcp.types import TextContent
from mcp_clients import ERAS, Era, connect

from ostiary_operator.demo.mock_server.scenarios.customers import CUSTOMERS
from ostiary_operator.demo.mock_server.scenarios.poisoned import NOTES
from ostiary_operator.demo.mock_server.scenarios.rug_pull import LOOK_ALIKE

#: Members of a customer that no caller may see as they are.
HIDDEN = ("email", "phone", "card", "iban", "ssn", "last_ip", "api_key", "employee")


def started(name: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    folder = shutil.copytree(ROOT / "examples" / name, tmp_path_factory.mktemp("run") / name)
    with running(Path(folder)) as run:
        yield run


@pytest.fixture(scope="module")
def masks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    yield from started("masks", tmp_path_factory)


@pytest.fixture(scope="module")
def guards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    yield from started("guards", tmp_path_factory)


def secrets() -> list[str]:
    """All that must not be seen, as the server writes it."""
    values = (getattr(customer, member) for customer in CUSTOMERS for member in HIDDEN)
    return [value for value in values if value]


def shown(answers: list[Any]) -> str:
    """What a client got, as text."""
    return "\n".join(answer.model_dump_json() for answer in answers)


def text_of(block: Any) -> str:
    """The text of a block."""
    assert isinstance(block, TextContent)
    return block.text


@pytest.mark.parametrize("era", ERAS)
async def test_no_customer_data_reaches_an_agent_in_any_form(masks: Run, era: Era) -> None:
    told: list[Any] = []

    async def tell(params: Any) -> None:
        told.append(params.data)

    async def tell_progress(progress: float, total: float | None, message: str | None) -> None:
        told.append(message)

    await masks.opens()
    options: dict[str, Any] = {"logging_callback": tell, **({"log_level": "info"} if era == "modern" else {})}
    async with connect(f"http://localhost:{masks.port}/crm/mcp", era=era, **options) as client:
        answers = [
            await client.list_tools(),
            await client.call_tool("get_customer", {"id": 7}),
            await client.call_tool("get_customer", {"id": 9}),
            await client.call_tool("search_notes", {}, progress_callback=tell_progress),
            await client.call_tool("export_customers", {}),
            await client.call_tool("get_customer", {"id": 1}),
            await client.list_resources(),
            await client.read_resource("crm://customers/7"),
            await client.read_resource("crm://customers/8"),
            await client.get_prompt("summarise_customer", {"id": "7"}),
        ]
    text = shown(answers) + str(told)
    assert [secret for secret in secrets() if secret in text] == []
    assert "**** **** **** 1111" in text
    assert CUSTOMERS[0].reference in text
    assert "4111111111111112" in text  # no card: its check digit is wrong
    await masks.prints("get_customer", "CardNumber: Mask")


@pytest.mark.parametrize("era", ERAS)
async def test_arguments_with_a_card_reach_the_server_without_it(masks: Run, era: Era) -> None:
    await masks.opens()
    async with connect(f"http://localhost:{masks.port}/crm/mcp", era=era) as client:
        found = await client.call_tool("search_notes", {"query": CUSTOMERS[0].card})
    assert found.content == []


@pytest.mark.parametrize("era", ERAS)
async def test_poisoned_tools_are_hidden_and_hidden_text_is_cut_out(guards: Run, era: Era) -> None:
    await guards.opens()
    async with connect(f"http://localhost:{guards.port}/notes/mcp", era=era) as client:
        (tool,) = (await client.list_tools()).tools
        notes = {number: await client.call_tool("read_note", {"id": number}) for number in NOTES}
        blocked = await client.call_tool("send_note", {"to": "a@example.com", "text": f"paid with {CUSTOMERS[0].card}"})
    assert (tool.name, tool.description) == ("read_note", "Read one note by id.")
    texts = {number: text_of(note.content[0]) for number, note in notes.items()}
    assert {number: texts[number] for number in (1, 2)} == {number: NOTES[number] for number in (1, 2)}
    assert [number for number in (3, 5, 6, 9) if not texts[number].startswith("[Note of the gateway")] == []
    assert [number for number in (4, 8) if "previous instructions" in texts[number]] == []
    assert not any(ord(each) >= 0xE0000 for number in (4, 9) for each in texts[number])
    assert "evil.example/pixel" not in texts[7]
    assert blocked.is_error
    assert CUSTOMERS[0].card not in str(blocked.content)
    await guards.prints("read_note", "HiddenText: Strip")


@pytest.mark.parametrize("era", ERAS)
async def test_an_agent_passes_a_token_on_and_the_server_gets_the_value(masks: Run, era: Era) -> None:
    await masks.opens()
    async with connect(f"http://localhost:{masks.port}/crm/mcp", era=era) as client:
        first = (await client.call_tool("get_customer", {"id": 7})).structured_content
        second = (await client.call_tool("get_customer", {"id": 7})).structured_content
        assert first is not None
        found = await client.call_tool("search_notes", {"query": first["email"]})
    assert first == second
    assert "@" not in first["email"]
    assert text_of(found.content[0]).startswith("Ada paid with")


@pytest.mark.parametrize("era", ERAS)
async def test_a_masked_result_fits_its_schema_and_wrong_arguments_are_explained(masks: Run, era: Era) -> None:
    await masks.opens()
    async with connect(f"http://localhost:{masks.port}/crm/mcp", era=era) as client:
        await client.list_tools()  # from now on the client validates results
        read = await client.call_tool("get_customer", {"id": 8})
        wrong = await client.call_tool("get_customer", {"idd": "a secret"})
    assert read.structured_content is not None
    assert read.structured_content["ssn"] is None
    assert wrong.is_error
    assert 'did you mean "id"?' in text_of(wrong.content[0])
    assert "secret" not in text_of(wrong.content[0])


@pytest.mark.parametrize("era", ERAS)
async def test_a_tool_that_changes_after_its_review_is_gone_and_new_ones_never_come(
    tmp_path_factory: pytest.TempPathFactory, era: Era
) -> None:
    for lock in started("lock", tmp_path_factory):
        await lock.opens()
        url = f"http://localhost:{lock.port}/calc/mcp"
        async with connect(url, era=era) as client:
            lists = [(await client.list_tools()).tools for _ in range(4)]
            changed = await client.call_tool("add", {"a": 1, "b": 2})
            for name in ("add2", LOOK_ALIKE):
                with pytest.raises(MCPError, match="Unknown tool"):
                    await client.call_tool(name, {"a": 1, "b": 2})
        assert [[tool.name for tool in tools] for tools in lists] == [["add"], [], [], []]
        assert lists[0][0].description == "Add two numbers."
        assert changed.is_error
        assert "sum" not in str(changed.structured_content)
        await lock.prints("add", "DefinitionChanged", "Drift: Block")
