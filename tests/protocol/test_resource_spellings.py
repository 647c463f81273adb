"""Servers normalise URIs, so a resource is judged as spelled and as servers read it."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from gateways import RunningGateway, policy
from mcp import Client, MCPError
from mcp.server.mcpserver import MCPServer
from mcp_clients import Era, connect
from resource_spellings import PLAIN, SECRET, SECRETS, python_files, typescript_files
from sdk_server import serving_app

ALLOW_DOCS = {"name": "docs", "effect": "Allow", "resources": {"names": ["file:///docs/*"]}}
DENY_SECRET = {"name": "secret", "effect": "Deny", "resources": {"names": ["file:///secret/*"]}}
DENY_KEY = {"name": "key", "effect": "Deny", "resources": {"names": ["file:///secret/key"]}}
DENY_ODD = {"name": "odd", "effect": "Deny", "resources": {"names": ["FILE://localhost/docs/../secr%65t/*"]}}
DENY_PATTERN = {"name": "pattern", "effect": "Deny", "resources": {"patterns": ["file:///secret/.*"]}}
EVERYTHING = {"name": "all", "effect": "Allow"}
GUARDS: dict[str, list[dict[str, Any]]] = {
    "allow": [ALLOW_DOCS],
    "deny": [DENY_SECRET],
    "deny one": [DENY_KEY],
    "deny in another spelling": [DENY_ODD],
    "deny by pattern": [DENY_PATTERN, EVERYTHING],
}
SIDES: list[tuple[str, Era]] = [("python", "legacy"), ("python", "modern"), ("typescript", "legacy")]


@pytest.fixture
async def files(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    serve = {"python": python_files, "typescript": typescript_files}[request.param]
    async with serve() as url:
        yield url


async def _text(client: Client, uri: str) -> str | None:
    try:
        contents = (await client.read_resource(uri)).contents
    except MCPError:
        return None
    return getattr(contents[0], "text", None)


@pytest.mark.node
@pytest.mark.parametrize(("files", "era"), SIDES, indirect=["files"])
async def test_the_servers_take_many_spellings_for_one_resource(files: str, gateway: RunningGateway, era: Era) -> None:
    await gateway.apply(gateway.entry("mock", files))

    async with connect(gateway.url(), era=era) as client:
        read = [uri for uri in SECRETS if await _text(client, uri) == SECRET]

    assert len(read) > len(SECRETS) * 0.8


@pytest.mark.node
@pytest.mark.parametrize("rules", GUARDS.values(), ids=GUARDS)
@pytest.mark.parametrize(("files", "era"), SIDES, indirect=["files"])
async def test_no_spelling_reads_what_a_rule_denies_and_plain_ones_work(
    files: str, gateway: RunningGateway, era: Era, rules: list[dict[str, Any]]
) -> None:
    await gateway.apply(gateway.entry("mock", files, [policy("p", *rules)]))

    async with connect(gateway.url(), era=era) as client:
        assert [uri for uri in SECRETS if await _text(client, uri) == SECRET] == []
        assert {uri: await _text(client, uri) for uri in PLAIN} == PLAIN


@pytest.mark.node
@pytest.mark.parametrize(("files", "era"), SIDES, indirect=["files"])
async def test_no_spelling_reads_what_the_catalogue_excludes(files: str, gateway: RunningGateway, era: Era) -> None:
    for selection in ({"include": ["file:///docs/*"]}, {"exclude": ["file:///secret/*"]}):
        await gateway.apply(gateway.entry("mock", files, catalogue={"resources": selection}))

        async with connect(gateway.url(), era=era) as client:
            assert [uri for uri in SECRETS if await _text(client, uri) == SECRET] == []
            assert {uri: await _text(client, uri) for uri in PLAIN} == PLAIN


@pytest.fixture
async def tables() -> AsyncIterator[str]:
    """A server on the Python SDK whose resources are those of a template, as most such servers are written."""
    server = MCPServer("tables")

    @server.resource("db://{table}/rows")
    def rows(table: str) -> str:
        return SECRET if table == "secret" else f"rows of {table}"

    async with serving_app(server.streamable_http_app(json_response=True)) as url:
        yield url


@pytest.mark.parametrize("era", ["legacy", "modern"])
async def test_what_a_template_makes_of_an_encoded_part_is_denied_with_it(
    tables: str, gateway: RunningGateway, era: Era
) -> None:
    spellings = ["db://secret/rows", "db://secre%74/rows", "DB://%73%65cret/rows", "db://%73ecr\tet/rows"]
    await gateway.apply(gateway.entry("mock", tables))
    async with connect(gateway.url(), era=era) as client:
        assert await _text(client, "db://secre%74/rows") == SECRET

    deny = {"name": "secret", "effect": "Deny", "resources": {"names": ["db://secret/*"]}}
    await gateway.apply(gateway.entry("mock", tables, [policy("p", deny)]))

    async with connect(gateway.url(), era=era) as client:
        assert [uri for uri in spellings if await _text(client, uri) == SECRET] == []
        assert await _text(client, "db://public/rows") == "rows of public"
