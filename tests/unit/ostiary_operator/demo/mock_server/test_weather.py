import pytest
from mcp_clients import ERAS, Era, MockProcess, connect


@pytest.mark.parametrize("era", ERAS)
async def test_the_weather_server_has_a_cheap_and_an_expensive_tool(mock: MockProcess, era: Era) -> None:
    async with connect(f"{mock.origin}/weather/mcp", era=era) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == ["list_cities", "get_weather"]
        cities = (await client.call_tool("list_cities", {})).structured_content["cities"]
        weather = (await client.call_tool("get_weather", {"city": f" {cities[0].lower()}"})).structured_content
    assert weather["city"] == cities[0]
    assert -5 <= weather["celsius"] < 35


async def test_a_city_that_it_does_not_know_is_named_with_the_remedy(mock: MockProcess) -> None:
    async with connect(f"{mock.origin}/weather/mcp", era="modern") as client:
        unknown = await client.call_tool("get_weather", {"city": "Atlantis"})
    assert unknown.is_error
    assert "There is no weather for 'Atlantis'. list_cities lists the cities." in str(unknown.content)
