"""The welcome text of ``ostiary run``: the endpoints of the project, and what to try next."""

import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from ostiary_core.contract.bundle import GatewayConfig
from ostiary_core.contract.documents import EntryDocument, ServerConfig
from ostiary_core.version import __version__
from ostiary_operator.api.resources import POLICY_KIND, PROXY_KIND
from ostiary_operator.demo.scenarios import Scenario
from ostiary_operator.local.console import Console, Style, printable
from ostiary_operator.local.governed_proxy import GovernedProxy
from ostiary_operator.local.manifests import ManifestKey
from ostiary_operator.local.project import ProjectState

_CLIENTS = "docs/clients.md (VS Code, Cursor, Claude Desktop, LangChain, OpenAI Agents)"
_INITIALIZE: Final = (
    '{"jsonrpc":"2.0","id":1,"method":"initialize","params":'
    '{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"curl","version":"1"}}}'
)
_BEARER: Final = "Authorization: Bearer "
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


class SampleCall(NamedTuple):
    """A tool call that works at a server: the name of the tool, and its arguments as JSON."""

    tool: str
    arguments: str


_SAMPLES: Final = {
    "/mcp": SampleCall("get_users", "{}"),
    "/tickets/mcp": SampleCall("read_ticket", '{"ticket_id":1}'),
    "/weather/mcp": SampleCall("get_weather", '{"city":"Berlin"}'),
}
"""A call for each server of the mock process, by its path."""

_OF_SCENARIOS: Final = {
    Scenario.LEAKY: SampleCall("get_customer", '{"id":7}'),
    Scenario.POISONED: SampleCall("read_note", '{"id":3}'),
    Scenario.RUG_PULL: SampleCall("add", '{"a":1,"b":2}'),
}


@dataclass(frozen=True, slots=True)
class EndpointSummary:
    """One served proxy.

    ``access`` says which policies govern it. ``sample`` is a call of the mock server, None for other servers.
    ``credential`` is the header that a caller must send, with a shell variable as its value; empty for none.
    """

    name: str
    url: str
    server: str
    access: str
    sample: SampleCall | None = None
    credential: str = ""


@dataclass(frozen=True, slots=True)
class RunSummary:
    """The contents of the welcome. ``edit`` is the file to change first.

    ``tracing_off`` says why no spans are exported.
    """

    paths: Sequence[Path]
    endpoints: Sequence[EndpointSummary]
    edit: str
    admin_url: str
    tracing_off: str | None
    companion: str = ""
    """The line of what runs next to the gateway; empty without it."""


def greet(console: Console, summary: RunSummary) -> None:
    """Write the welcome."""
    head = console.paint(f"Ostiary {__version__}", Style.BOLD)
    console.write(f"{head} serves {', '.join(map(str, summary.paths))}\n")
    for line in _endpoint_lines(console, summary.endpoints):
        console.write(line)
    if summary.endpoints:
        console.write("\nTry it:\n")
        for line in _first_steps(summary.endpoints[0]):
            console.write(line)
        console.write(f"\nThen edit {summary.edit} and save it: a change is live at once.")
    if summary.companion:
        console.write(summary.companion)
    console.write(f"Health and metrics: {summary.admin_url}/readyz, {summary.admin_url}/metrics")
    console.write(f"Traces: {_traces(summary.tracing_off)}")
    console.write("\nTool calls and refusals follow, a line each. Ctrl-C ends it.\n")


def _endpoint_lines(console: Console, endpoints: Sequence[EndpointSummary]) -> Iterator[str]:
    width = max((len(endpoint.name) for endpoint in endpoints), default=0)
    for endpoint in endpoints:
        yield f"  {endpoint.name:<{width}}  {console.paint(endpoint.url, Style.BOLD)}"
        yield f"  {'':<{width}}  to {endpoint.server}, {endpoint.access}"
    if not endpoints:
        yield "  No MCPProxy is served: there is none in these files, or none that can be."


def _first_steps(endpoint: EndpointSummary) -> Iterator[str]:
    header = f' --header "{endpoint.credential}"' if endpoint.credential else ""
    if header:
        yield "  # callers need a credential: an API key of the Secrets in these files, or an access token"
        yield "  export KEY=...\n"
    if endpoint.credential.startswith(_BEARER):
        yield "  # who the gateway takes the holder of that credential for, and what it sees"
        yield f'  OSTIARY_KEY="$KEY" ostiary whoami {endpoint.url}\n'
    yield f"  # in Claude Code; for others see {_CLIENTS}"
    yield f"  claude mcp add --transport http {endpoint.name.rpartition('/')[2]} {endpoint.url}{header}\n"
    yield "  # the MCP Inspector, in a browser (needs Node.js 22.19 or newer)"
    yield f"  npx @modelcontextprotocol/inspector --transport http --server-url {endpoint.url}{header}\n"
    yield (
        "  # one tool call, from a shell" if endpoint.sample else "  # the server's description of itself, from a shell"
    )
    yield f"  {curl(endpoint)}"


def curl(endpoint: EndpointSummary) -> str:
    """Return a command that shows that the endpoint works, in one request.

    The mock server speaks the stateless revision, in which one request can call a tool. Of another server nothing is
    known yet: nearly all require a session that begins with ``initialize``.
    """
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    more, body = _tool_call(endpoint.sample) if endpoint.sample else ({}, _INITIALIZE)
    credential = f'-H "{endpoint.credential}"' if endpoint.credential else ""
    lines = [f"curl -s {endpoint.url}", credential, _flags(headers), _flags(more), f"-d {shlex.quote(body)}"]
    return " \\\n    ".join(filter(None, lines))


def _flags(headers: Mapping[str, str]) -> str:
    return " ".join(f"-H {shlex.quote(f'{name}: {value}')}" for name, value in headers.items())


def _tool_call(sample: SampleCall) -> tuple[dict[str, str], str]:
    """Return the headers and the body of a call in the stateless revision."""
    meta = (
        '"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",'
        '"io.modelcontextprotocol/clientCapabilities":{}}'
    )
    params = f'{{"name":"{sample.tool}","arguments":{sample.arguments},{meta}}}'
    headers = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": sample.tool}
    return headers, f'{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}'


def _traces(off: str | None, environ: Mapping[str, str] = os.environ) -> str:
    if off is not None:
        example = "OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318 ostiary run"
        return f"none ({printable(off)}); for example {example}"
    endpoint = next((environ[name] for name in _ENDPOINTS if environ.get(name)), "")
    if not endpoint:
        return "written to this terminal"
    parts = urlsplit(endpoint)
    return f"sent to {printable(parts._replace(netloc=parts.netloc.rpartition('@')[2]).geturl())}"


def endpoint_summaries(state: ProjectState, *, mock_ports: Mapping[int, Scenario | None]) -> list[EndpointSummary]:
    """Return the endpoints in order of their names.

    ``mock_ports`` are those of the mock servers that run, each with its scenario.
    """
    config, urls = state.config, state.urls()
    if config is None:
        return []
    return [
        _summary(entry, config, urls[ManifestKey(PROXY_KIND, entry.namespace, entry.name)], mock_ports)
        for _, entry in sorted(config.entries.items())
    ]


def _summary(
    entry: EntryDocument, config: GatewayConfig, url: str, mock_ports: Mapping[int, Scenario | None]
) -> EndpointSummary:
    return EndpointSummary(
        name=entry.identity.removeprefix("default/"),
        url=url,
        server=_servers(entry),
        access=_access(entry, config),
        sample=_sample(entry, mock_ports),
        credential=_credential(GovernedProxy.of(config, entry.identity)),
    )


def _servers(entry: EntryDocument) -> str:
    """Return the URL of the only server, or the names of several and how they are used."""
    if entry.server_selection is None:
        server = entry.servers[0]
        return f"{server.url} at {len(server.endpoints)} endpoints" if server.endpoints else server.url
    names = ", ".join(f"{each.name} ({each.prefix}*)" if each.prefix else each.name for each in entry.servers)
    return f"one catalogue of {names}" if entry.server_selection == "Merge" else f"one of {names}, by spec.routing"


def _sample(entry: EntryDocument, mock_ports: Mapping[int, Scenario | None]) -> SampleCall | None:
    """Return a call that works at a mock server of a proxy; where rules choose one, at each."""
    found = [_sample_of(server, mock_ports) for server in entry.servers]
    if entry.server_selection == "Merge":
        return next((each for each in found if each is not None), None)
    return found[0] if len(set(found)) == 1 else None


def _sample_of(server: ServerConfig, mock_ports: Mapping[int, Scenario | None]) -> SampleCall | None:
    parts = urlsplit(server.url)
    is_mock = parts.port in mock_ports and parts.hostname in ("localhost", "127.0.0.1", "::1")
    scenario = mock_ports.get(parts.port or 0)
    sample = (_SAMPLES.get(parts.path) if scenario is None else _OF_SCENARIOS[scenario]) if is_mock else None
    return sample._replace(tool=f"{server.prefix or ''}{sample.tool}") if sample is not None else None


def _credential(proxy: GovernedProxy) -> str:
    """Return the header that a caller must send.

    It is empty where none is needed, and for client certificates.
    """
    if all(policy.authentication is None for policy in proxy.policies) or proxy.admits_anonymous:
        return ""
    methods = list(proxy.authentication.values())
    keys = next((each.api_keys for each in methods if each.api_keys is not None), None)
    if keys is not None:
        return f"{keys.header.title()}: {f'{keys.scheme} ' if keys.scheme else ''}$KEY"
    return f"{_BEARER}$KEY" if any(each.issuers or each.introspection for each in methods) else ""


def _access(entry: EntryDocument, config: GatewayConfig) -> str:
    if entry.invalid:
        return "every call refused: a policy of it is not valid"
    names = sorted(config.policies[digest].identity.removeprefix("default/") for digest in entry.policies)
    if names:
        return f"under {'policy' if len(names) == 1 else 'policies'} {', '.join(names)}"
    words = {"Allow": "everything is allowed", "Deny": "every call is refused"}
    return f"under no policy: {words[entry.without_policy]}"


def file_to_edit(state: ProjectState) -> str:
    """Return the file to edit first: one with a policy, else one with a proxy.

    Empty if there is none.
    """
    for kind in (POLICY_KIND, PROXY_KIND):
        file = next(_files(state, kind), None)
        if file is not None:
            return file
    return ""


def _files(state: ProjectState, kind: str) -> Iterator[str]:
    return (manifest.file for manifest in state.manifests if manifest.key.kind == kind)
