"""The example `openapi` as users run it: a REST service whose operations are tools, one of them denied."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import Ostiary, ostiary_command
from fenced_blocks import ROOT
from local_run import Run, running
from mcp import MCPError
from mcp_clients import ERAS, Era, connect
from typescript_sdk import CLIENTS, Sdk, run_session

EXAMPLE = ROOT / "examples" / "openapi"


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    folder = shutil.copytree(EXAMPLE, tmp_path_factory.mktemp("run") / "openapi")
    with running(Path(folder)) as run:
        yield run


@pytest.fixture
async def url(started: Run) -> str:
    await started.opens()
    return f"http://localhost:{started.port}/orders/mcp"


@pytest.mark.parametrize("era", ERAS)
async def test_agents_use_the_service_by_its_operations(url: str, era: Era) -> None:
    async with connect(url, era=era) as client:
        names = [tool.name for tool in (await client.list_tools()).tools]
        items = [{"sku": "book-9", "quantity": 2}]
        made = await client.call_tool("createOrder", {"body": {"customer": "Barbara Liskov", "items": items}})
        assert made.structured_content is not None
        number = made.structured_content["id"]
        got = await client.call_tool("getOrder", {"id": number})
        opened = await client.call_tool("listOrders", {"status": "open"})
        invoice = await client.call_tool("getInvoice", {"id": number})

    assert names == ["listOrders", "createOrder", "getOrder", "getInvoice"]
    assert got.structured_content == made.structured_content
    assert made.structured_content in (opened.structured_content or {})["orders"]
    assert "Sum: 40" in str(invoice.content[0])


async def test_the_answer_of_the_service_to_a_mistake_reaches_the_model(url: str) -> None:
    async with connect(url, era="modern") as client:
        missing = await client.call_tool("getOrder", {"id": 999})
        wrong = await client.call_tool("createOrder", {"body": {"customer": "", "items": []}})

    assert missing.is_error
    assert "HTTP 404 Not Found" in str(missing.content[0])
    assert wrong.is_error
    assert "body/items" in str(wrong.content[0])


@pytest.mark.parametrize("era", ERAS)
async def test_the_operation_that_a_policy_denies_is_unknown(url: str, era: Era) -> None:
    async with connect(url, era=era) as client:
        with pytest.raises(MCPError, match=r"^Unknown tool: cancelOrder$"):
            await client.call_tool("cancelOrder", {"id": 1})
        with pytest.raises(MCPError, match=r"^Unknown tool: destroyOrder$"):  # which does not exist: the same words
            await client.call_tool("destroyOrder", {"id": 1})


@pytest.mark.node
@pytest.mark.parametrize(("sdk", "era"), CLIENTS)
async def test_the_typescript_sdk_uses_it_as_any_server(url: str, sdk: Sdk, era: Era) -> None:
    steps: list[dict[str, Any]] = [{"op": "listTools"}, {"op": "callTool", "name": "getOrder", "arguments": {"id": 1}}]
    listed, called = await run_session(url, sdk=sdk, era=era, steps=steps)
    tools = [tool["name"] for tool in listed["result"]["tools"]]
    assert tools == ["listOrders", "createOrder", "getOrder", "getInvoice"]
    assert called["result"]["structuredContent"]["customer"] == "Ada Lovelace"


def test_the_example_is_valid_and_the_tests_in_its_policy_pass(capsys: pytest.CaptureFixture[str]) -> None:
    ostiary: Ostiary = ostiary_command(capsys)
    assert ostiary("validate", str(EXAMPLE)).code == 0
    answer = ostiary("test", str(EXAMPLE))
    assert (answer.code, "2 tests in 1 policy: all passed" in answer.out) == (0, True), answer.out
