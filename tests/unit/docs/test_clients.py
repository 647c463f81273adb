"""The page about clients: its snippets can be pasted and use the quickstart's endpoint."""

import ast
import json
import re

import pytest
from fenced_blocks import ROOT, fenced_blocks

from ostiary_operator.local.client_setups import CallerCredential, ConnectedEndpoint, setups
from ostiary_operator.local.console import Console
from ostiary_operator.local.welcome import EndpointSummary, RunSummary, greet

PAGE = "docs/clients.md"
ENDPOINT = "http://localhost:8080/mock-mcp-server/mcp"
#: Without a credential, with a key, and with OAuth.
ENDPOINTS = {ENDPOINT, "http://localhost:8080/tickets/mcp", "https://mcp.example.com/tickets/mcp"}
CLIENTS = ("Claude Code", "Claude Desktop", "VS Code", "Cursor", "LangChain", "OpenAI Agents", "MCP Inspector")


def test_every_client_has_a_section_and_readme_and_index_lead_to_the_page() -> None:
    sections = re.findall(r"^## (.+)$", (ROOT / PAGE).read_text(), re.MULTILINE)
    assert [name for name in CLIENTS if name not in sections] == []
    assert all(f"({PAGE})" in (ROOT / page).read_text() for page in ("README.md", "llms.txt"))


@pytest.mark.parametrize("text", fenced_blocks(PAGE, "json"))
def test_each_configuration_is_json_and_names_the_endpoint(text: str) -> None:
    settings = json.loads(text)
    (server,) = (settings.get("servers") or settings["mcpServers"]).values()
    assert ENDPOINTS & {server.get("url"), *server.get("args", ())}


@pytest.mark.parametrize("text", fenced_blocks(PAGE, "python"))
def test_each_program_is_python_and_names_the_endpoint(text: str) -> None:
    constants = [node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)]
    assert ENDPOINTS & {each for each in constants if isinstance(each, str)}


@pytest.mark.parametrize("credential", [CallerCredential.NONE, CallerCredential.KEY])
def test_the_page_shows_what_the_console_shows(credential: CallerCredential) -> None:
    page = (ROOT / PAGE).read_text().replace("support-agent-example-key", "the-key")
    is_keyed = credential is CallerCredential.KEY
    url = "http://localhost:8080/tickets/mcp" if is_keyed else ENDPOINT
    found = setups(ConnectedEndpoint("tickets" if is_keyed else "mock-mcp-server", url), frozenset({credential}))
    assert [each.client for each in found] == list(CLIENTS)
    assert [way.text for each in found for way in each.ways if way.text not in page] == []


def test_the_welcome_prints_the_first_command_and_names_the_page_of_the_others(
    capsys: pytest.CaptureFixture[str],
) -> None:
    import sys  # noqa: PLC0415  as it is while output is captured

    proxy = EndpointSummary("sales/crm", "http://localhost:8080/sales/crm/mcp", "http://localhost:1/mcp", "")
    greet(Console(sys.stdout, colour=False), RunSummary([], [proxy], "x.yaml", "http://localhost:8081", None))
    output = capsys.readouterr().out
    assert "  claude mcp add --transport http crm http://localhost:8080/sales/crm/mcp\n" in output
    assert PAGE in output
    assert "Node.js 22.19 or newer" in output


@pytest.mark.parametrize("page", ["docs/tutorials/1-quickstart.md", "docs/tutorials/3-kind.md", PAGE])
def test_where_the_inspector_is_shown_its_nodejs_is_named(page: str) -> None:
    package = json.loads((ROOT / "tests/conformance/inspector/package-lock.json").read_text())
    engines = package["packages"]["node_modules/@modelcontextprotocol/inspector"]["engines"]["node"]
    version = ".".join(engines.removeprefix(">=").split(".")[:2])
    assert re.search(rf"Node\.js\s+{re.escape(version)}", (ROOT / page).read_text())
