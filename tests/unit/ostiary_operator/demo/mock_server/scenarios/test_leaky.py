"""The leaky server tells the same values in every form that a result has."""

import base64
import json
from typing import Any

import pytest
from mcp.types import BlobResourceContents, EmbeddedResource, ResourceLink, TextContent, TextResourceContents
from mcp_clients import ERAS, Era, connect, mock_process

from ostiary_operator.demo.mock_server.scenarios.customers import CUSTOMERS

ADA = CUSTOMERS[0]


@pytest.mark.parametrize("era", ERAS)
async def test_values_come_as_structure_text_base64_links_meta_progress_and_log_messages(era: Era) -> None:
    told: list[Any] = []

    async def tell(params: Any) -> None:
        told.append(params.data)

    async def tell_progress(progress: float, total: float | None, message: str | None) -> None:
        told.append(message)

    options: dict[str, Any] = {"logging_callback": tell, **({"log_level": "info"} if era == "modern" else {})}
    with mock_process("--scenario", "leaky") as mock:
        async with connect(mock.url, era=era, **options) as client:
            assert {tool.name for tool in (await client.list_tools()).tools} == {
                "get_customer",
                "search_notes",
                "export_customers",
            }
            read = await client.call_tool("get_customer", {"id": 7})
            notes = await client.call_tool("search_notes", {"query": ADA.card}, progress_callback=tell_progress)
            exported = await client.call_tool("export_customers", {})
            failed = await client.call_tool("get_customer", {"id": 1})
    assert read.structured_content is not None
    assert read.structured_content["card"] == ADA.card
    assert [block.text for block in notes.content if isinstance(block, TextContent)] == [
        "Ada paid with 4111 1111 ",
        "1111 1111 and wants the receipt by mail.",
    ]
    assert {"customer": ADA.name, "card": ADA.card} in told
    assert any(ADA.email in str(each) for each in told)
    text, file, *links = exported.content
    assert isinstance(text, TextContent)
    assert json.loads(text.text)["customers"][0]["iban"] == ADA.iban
    assert isinstance(file, EmbeddedResource)
    assert isinstance(file.resource, BlobResourceContents)
    assert ADA.api_key in base64.b64decode(file.resource.blob).decode()
    assert all(isinstance(link, ResourceLink) for link in links)
    assert exported.meta is not None
    assert exported.meta["crm.example.com/contact"] == ADA.email
    assert failed.is_error
    assert ADA.email in str(failed.content)


@pytest.mark.parametrize("era", ERAS)
async def test_resource_template_and_prompt_tell_them_too(era: Era) -> None:
    with mock_process("--scenario", "leaky") as mock:
        async with connect(mock.url, era=era) as client:
            listed = (await client.list_resources()).resources
            known = await client.read_resource("crm://customers/7")
            other = await client.read_resource("crm://customers/8")
            prompt = await client.get_prompt("summarise_customer", {"id": "7"})
    assert [str(each.uri) for each in listed] == ["crm://customers/7"]
    for read, card in ((known, ADA.card), (other, CUSTOMERS[1].card)):
        assert isinstance(read.contents[0], TextResourceContents)
        assert card in read.contents[0].text
    assert ADA.phone in str(prompt.messages)
