"""Servers of the official SDKs that speak one era, as the tests of bridges use them."""

import pytest
from mcp import MCPError
from mcp.types import ElicitResult
from mcp_clients import ERAS, Era, connect
from servers_by_era import SERVER_SDKS, ServerSdk, everything

from ostiary_operator.demo.served_eras import ServedEras

OTHER: dict[Era, Era] = {"legacy": "modern", "modern": "legacy"}
ASKS: dict[Era, str] = {"legacy": "test_elicitation", "modern": "test_input_required_result_elicitation"}

pytestmark = pytest.mark.node


async def accept(*_: object) -> ElicitResult:
    return ElicitResult(action="accept", content={"name": "Ada", "username": "ada", "email": "ada@example.com"})


@pytest.mark.parametrize("sdk", SERVER_SDKS)
@pytest.mark.parametrize("era", ERAS)
async def test_a_server_of_one_era_works_for_clients_of_that_era_and_refuses_the_others(
    sdk: ServerSdk, era: Era
) -> None:
    async with everything(sdk=sdk, eras=ServedEras(era)) as url:
        async with connect(url, era=era, elicitation_callback=accept) as client:
            assert "test_simple_text" in {tool.name for tool in (await client.list_tools()).tools}
            asked = await client.call_tool(ASKS[era], {"message": "Who are you?"})
            assert not asked.is_error, asked
        with pytest.raises((AssertionError, MCPError)):
            async with connect(url, era=OTHER[era]):
                pass
