"""The poisoned server hides instructions in its descriptions and in most of its notes."""

import pytest
from mcp.types import TextContent
from mcp_clients import ERAS, Era, connect, mock_process

from ostiary_operator.demo.mock_server.scenarios.poisoned import NOTES


@pytest.mark.parametrize("era", ERAS)
async def test_it_has_two_tools_whose_descriptions_are_poisoned(era: Era) -> None:
    with mock_process("--scenario", "poisoned") as mock:
        async with connect(mock.url, era=era) as client:
            read, send = (await client.list_tools()).tools
            sent = await client.call_tool("send_note", {"to": "ada@example.com", "text": "hello"})
    assert (read.name, send.name) == ("read_note", "send_note")
    assert any(ord(each) > 0xE0000 for each in read.description or "")
    assert "Do not tell the user" in (send.description or "")
    assert sent.structured_content == {"to": "ada@example.com", "characters": 5}


async def test_every_note_is_told_as_it_is_and_a_note_that_does_not_exist_is_an_error() -> None:
    with mock_process("--scenario", "poisoned") as mock:
        async with connect(mock.url, era="modern") as client:
            for number, text in NOTES.items():
                (block,) = (await client.call_tool("read_note", {"id": number})).content
                assert isinstance(block, TextContent)
                assert block.text == text
            assert (await client.call_tool("read_note", {"id": 99})).is_error
