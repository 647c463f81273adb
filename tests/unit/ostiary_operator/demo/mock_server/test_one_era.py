from collections.abc import Iterator

import httpx2
import pytest
from mcp import MCPError
from mcp_clients import ERAS, Era, MockProcess, connect, mock_process

from ostiary_operator.demo.served_eras import SERVER_KEY

OTHER: dict[Era, Era] = {"legacy": "modern", "modern": "legacy"}
NAMES = {"legacy": "old", "modern": "new"}
ACCEPT = {"accept": "application/json, text/event-stream"}


@pytest.fixture(scope="module", params=ERAS)
def pinned(request: pytest.FixtureRequest) -> Iterator[tuple[Era, MockProcess]]:
    with mock_process("--era", request.param) as running:
        yield request.param, running


@pytest.fixture(scope="module")
def legacy_only() -> Iterator[MockProcess]:
    with mock_process("--era", "legacy") as running:
        yield running


@pytest.fixture(scope="module")
def modern_only() -> Iterator[MockProcess]:
    with mock_process("--era", "modern") as running:
        yield running


async def test_the_official_client_of_its_era_works(pinned: tuple[Era, MockProcess]) -> None:
    era, mock = pinned
    async with connect(mock.url, era=era) as client:
        assert len((await client.list_tools()).tools) == 15
        called = await client.call_tool("add", {"a": 2, "b": 3})

    assert called.structured_content == {"sum": 5}


async def test_every_result_names_the_server_that_it_came_from(pinned: tuple[Era, MockProcess]) -> None:
    era, mock = pinned
    async with connect(mock.url, era=era) as client:
        results = [
            await client.list_tools(),
            await client.call_tool("add", {"a": 2, "b": 3}),
            await client.call_tool("delete_user", {"user_id": 999_999}),
            await client.read_resource("mock://users"),
            await client.get_prompt("get_started"),
        ]

    assert [(result.meta or {}).get(SERVER_KEY) for result in results] == [NAMES[era]] * len(results)


async def test_tickets_and_weather_are_of_the_same_era_and_name_the_same_server(
    pinned: tuple[Era, MockProcess],
) -> None:
    era, mock = pinned
    for path, tool, arguments in (
        ("tickets", "read_ticket", {"ticket_id": 1}),
        ("weather", "get_weather", {"city": "Oslo"}),
    ):
        async with connect(f"{mock.origin}/{path}/mcp", era=era) as client:
            assert ((await client.call_tool(tool, arguments)).meta or {})[SERVER_KEY] == NAMES[era]


async def test_the_official_client_of_the_other_era_is_refused(pinned: tuple[Era, MockProcess]) -> None:
    era, mock = pinned
    with pytest.raises((AssertionError, MCPError)):
        async with connect(mock.url, era=OTHER[era]):
            pass


async def test_a_server_with_sessions_refuses_discovery_as_those_of_the_field_do(legacy_only: MockProcess) -> None:
    message = {"jsonrpc": "2.0", "id": 7, "method": "server/discover", "params": {}}
    async with httpx2.AsyncClient(headers=ACCEPT, trust_env=False) as http:
        answer = await http.post(legacy_only.url, json=message, headers={"mcp-protocol-version": "2026-07-28"})

    assert answer.status_code == 400
    assert answer.json()["id"] == 7
    assert answer.json()["error"]["code"] == -32600
    assert "Unsupported protocol version: 2026-07-28" in answer.json()["error"]["message"]


async def test_a_server_without_sessions_refuses_a_handshake_with_the_revision_that_it_speaks(
    modern_only: MockProcess,
) -> None:
    message = {"jsonrpc": "2.0", "id": "a", "method": "initialize", "params": {"protocolVersion": "2025-11-25"}}
    async with httpx2.AsyncClient(headers=ACCEPT, trust_env=False) as http:
        answer = await http.post(modern_only.url, json=message)

    assert answer.status_code == 400
    assert answer.json()["id"] == "a"
    assert (answer.json()["error"]["code"], answer.json()["error"]["data"]) == (-32022, {"supported": ["2026-07-28"]})


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_a_server_without_sessions_takes_post_only(modern_only: MockProcess, method: str) -> None:
    async with httpx2.AsyncClient(headers=ACCEPT, trust_env=False) as http:
        answer = await http.request(method, modern_only.url)

    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"jsonrpc":"2.0","method":"notifications/initialized"}', 202),
        (b"[]", 400),
        (b"{", 400),
        (b"[" * 100_000, 400),
        (b" " * (1 << 21), 400),
    ],
    ids=["notification", "batch", "no JSON", "nested", "large"],
)
async def test_whatever_is_in_the_body_of_the_other_era_it_has_an_answer(
    modern_only: MockProcess, body: bytes, status: int
) -> None:
    async with httpx2.AsyncClient(headers=ACCEPT, trust_env=False) as http:
        answer = await http.post(modern_only.url, content=body)

    assert answer.status_code == status


async def test_health_is_of_no_era(pinned: tuple[Era, MockProcess]) -> None:
    async with httpx2.AsyncClient(trust_env=False) as http:
        assert (await http.get(f"{pinned[1].origin}/healthz")).status_code == 200
