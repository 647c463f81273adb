"""Tests official clients through the gateway, and writes the compatibility table.

`python -m ostiary_tools.conformance.clients` prints the table, and fails if a client cannot use a feature through the
gateway that it supports; `--write-docs` writes `docs/compatibility.md`. Each client has a process and an installation
of its own.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from ostiary_tools.common.errors import CommandError, ToolError
from ostiary_tools.common.progress import say
from ostiary_tools.conformance import installs
from ostiary_tools.conformance.testbed import SERVERS, ConformanceEnvironment, running
from ostiary_tools.toolchain import node

DOCS: Final = Path(__file__).parents[3] / "docs" / "compatibility.md"
PAGE_SIZE: Final = 5
_TESTS: Final = Path(__file__).parents[3] / "tests"
_DRIVERS: Final = installs.DRIVERS
_SECONDS: Final = 150.0

LEGACY, MODERN = "2025-11-25", "2026-07-28"
FEATURES: Final = MappingProxyType(
    {
        "connect": "connects and negotiates this revision",
        "list": "lists all pages of the tools, also past an empty one",
        "call": "calls a tool",
        "progress": "sees the progress of a call",
        "cancel": "cancels a call in flight, and the server stops",
        "sampling": "answers a question to its model during a call",
        "elicitation": "answers a question to its user during a call",
        "roots": "reports its roots during a call",
        "subscription": "is notified when a resource that it subscribed to changes",
        "list_changed": "is notified when the list of tools changes",
        "logging": "gets the log messages that it asked for",
        "resumption": "gets an answer after the stream broke, by `Last-Event-ID`",
        "mrtr": "goes through several rounds of `input_required`",
        "listen": "keeps a `subscriptions/listen` stream open during its calls",
    }
)
_REVISION: Final = "not in this revision"
_NO_COMMAND: Final = "its command line has no command for it, or does not show it"
_ONLY: Final = MappingProxyType({LEGACY: ("resumption",), MODERN: ("mrtr", "listen")})
_INSPECTOR_CAN: Final = ("connect", "list", "call", "roots", "resumption")


@dataclasses.dataclass(frozen=True, slots=True)
class Client:
    """A client at one revision.

    Attributes:
        name: its name and version.
        driver: which driver runs it.
        revision: the revision to negotiate.
        cannot: the features that it does not support with any server, and why.
    """

    name: str
    driver: str
    revision: str
    cannot: Mapping[str, str]


def _client(name: str, driver: str, revision: str) -> Client:
    cannot = {each: _REVISION for era, only in _ONLY.items() if era != revision for each in only}
    if driver == "inspector":
        able = _INSPECTOR_CAN if revision == LEGACY else _INSPECTOR_CAN[:3]
        cannot = {each: _NO_COMMAND for each in FEATURES if each not in able} | cannot
    return Client(name, driver, revision, cannot)


CLIENTS: Final = (
    _client("Python SDK 1.30.0", "python_v1", LEGACY),
    _client("Python SDK 2.3.0", "python_v2", LEGACY),
    _client("Python SDK 2.3.0", "python_v2", MODERN),
    _client("FastMCP 4.1.2", "fastmcp_client", LEGACY),
    _client("FastMCP 4.1.2", "fastmcp_client", MODERN),
    _client("TypeScript SDK 1.32.2", "v1", LEGACY),
    _client("TypeScript SDK 2.4.0", "v2", LEGACY),
    _client("TypeScript SDK 2.4.0", "v2", MODERN),
    _client("MCP Inspector CLI 2.12.0", "inspector", LEGACY),
    _client("MCP Inspector CLI 2.12.0", "inspector", MODERN),
)

Outcomes = dict[str, dict[str, Any]]
"""By feature: `ok`, or `error` with a message; and details of the feature."""


def run(client: Client, url: str) -> Outcomes:
    """Run all features of a client, which is installed on first use.

    Raises:
        ToolError: the client could not be installed, did not connect, or did not end.
    """
    command = [*_command(client), "--url", url, "--revision", client.revision]
    if client.driver == "inspector":
        command += ["--", *installs.inspector()]
    # Loopback must not go through a proxy of the environment.
    environment = os.environ | {"NO_PROXY": "127.0.0.1,localhost", "PYTHONPATH": str(_TESTS / "support")}
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=_SECONDS, env=environment)
    except subprocess.TimeoutExpired as late:
        raise ToolError(f"{client.name} did not end in {_SECONDS:g} s at {url}") from late
    if done.returncode:
        raise CommandError(" ".join(command), done.returncode, done.stderr)
    outcomes: Outcomes = json.loads(done.stdout.splitlines()[-1])
    return outcomes


def failures(client: Client, outcomes: Outcomes) -> list[str]:
    """Return the features that a client supports and that failed, as text."""
    wanted = [each for each in FEATURES if each not in client.cannot]
    return [
        f"{client.name}, {client.revision}: {each}: {outcomes.get(each, {}).get('error', 'was not tried')}"
        for each in wanted
        if not outcomes.get(each, {}).get("ok")
    ]


def _command(client: Client) -> list[str]:
    if client.driver in {"v1", "v2"}:
        return [str(node.ensure().node), str(installs.typescript_driver()), "--sdk", client.driver]
    locks = {"python_v1": "python-v1", "fastmcp_client": "fastmcp"}
    python = installs.virtual_environment(locks[client.driver]) if client.driver in locks else Path(sys.executable)
    return [str(python), str(_DRIVERS / f"{client.driver}.py")]


#: An agent framework, and its reaction to both forms of a denial of a listed tool.
_FRAMEWORKS: Final = (
    (
        "LangChain 1.5.2 (`langchain-mcp-adapters` 0.3.2, `create_agent`)",
        "the run ends with `McpError`",
        "the model reads the reason and continues",
    ),
    (
        "CrewAI 1.15.30 (`crewai-tools`, `MCPServerAdapter`)",
        "the model gets the list of tools again, without a reason",
        "the model reads the reason and continues",
    ),
    (
        "Agno 3.1.10 (`MCPTools`, its function call alone)",
        'the model reads the reason, and that "the MCP server may be unreachable"',
        "the model reads the reason",
    ),
    (
        "Pydantic AI 2.68.0 (`MCPToolset`)",
        "the model reads the reason, as a return of the tool",
        "the model reads the reason and continues",
    ),
)

_YES: Final = ("yes",) * 4
_FLOWS: Final = (
    ("Client registered beforehand, with a secret and without", *_YES, "`test_sign_in.py`"),
    ("Client id metadata document", *_YES, "`test_sign_in.py`"),
    ("Dynamic registration", *_YES, "`test_sign_in.py`"),
    ("Opaque tokens, confirmed by introspection", *_YES, "`test_sign_in.py`"),
    ("An issuer whose certificate has a private authority", *_YES, "`test_sign_in.py`"),
    (
        "A call needs more scopes: a wider token, in the same session",
        *("yes", "yes", "without a refresh token only", "yes"),
        "`test_sign_in_sessions.py`",
    ),
    ("A token expires: a new one, in the same session", *_YES, "`test_sign_in_sessions.py`"),
    ("The issuer signs with a new key during a session", *_YES, "`test_sign_in_faults.py`"),
    ("Passthrough before a server that does its own OAuth", *_YES, "`test_sign_in_passthrough.py`"),
)

_PAGE: Final = """\
<!-- Written by `make conformance WRITE_DOCS=1`. Do not edit. -->
# Compatibility

What unchanged clients can do through an Ostiary gateway, under a policy that allows everything by name, with two
test servers: one on the Python SDK 2.3.0 and one on the TypeScript SDK 2.4.0. The tests repeat every cell at both
servers. A dash means that the client cannot do it, with or without the gateway.

{table}

{legend}

Dashes: `resumption` belongs to sessions, `mrtr` and `listen` to 2026-07-28; in that revision sampling, elicitation and
roots are rounds of `input_required`, and a `subscriptions/listen` stream reports changes. The Inspector's command line
opens a session for each command, and has no command for the rest.

## Signing in with OAuth

The OAuth clients of the official SDKs sign in through a gateway, from the 401 to the call of a tool, at a real
authorization server: `oidc-provider` 9.13.3. A scripted browser follows its redirects and posts its forms. Each
sign-in uses PKCE (S256) and `resource` (RFC 8707). Clients of version 2 do it in the revisions 2025-11-25 and
2026-07-28, those of version 1 in 2025-11-25. Each run of the tests repeats it.

| Flow | Python 1.30.0 | Python 2.3.0 | TypeScript 1.32.2 | TypeScript 2.4.0 | Test, in `tests/protocol` |
|---|---|---|---|---|---|
{flows}

With a refresh token the TypeScript SDK 1.32.2 refreshes where it should ask for more scopes, and its call fails with
the status 403. At a 401 the Python SDKs sign in again where they could refresh; they refresh by their own clock.

GitHub's server, `https://api.githubcopilot.com/mcp/`, does its own OAuth and goes behind `passthrough`
([how](guides/identity-providers.md#servers-with-their-own-oauth)). It needs an account, so no test signs in there: the
tests have a server of the same kind in its place. GitHub registers no clients dynamically; VS Code has a client there.

## Agent frameworks at a tool that may be seen and not called

Measured once, on 29 November 2026, with a scripted model that calls `delete_user` under a policy that lists and denies
it. The middle column is what error -31001 did in earlier versions, the right one what the result with `isError` does.

| Framework | -31001 | `isError` |
|---|---|---|
{frameworks}

Each test run checks the official SDKs (`tests/protocol/test_access.py`, `tests/protocol/test_typescript.py`).
"""


def row(client: Client, outcomes: Sequence[Outcomes]) -> str:
    """Return the table row of a client, from its runs against every server."""
    failed = {line.split(": ")[1] for each in outcomes for line in failures(client, each)}
    cells = ["-" if each in client.cannot else "**no**" if each in failed else "yes" for each in FEATURES]
    return f"| {client.name} | {client.revision} | {' | '.join(cells)} |"


def page(rows: Sequence[str]) -> str:
    """Return the page with these rows."""
    head = f"| Client | Revision | {' | '.join(f'`{each}`' for each in FEATURES)} |"
    table = "\n".join([head, "|---" * (len(FEATURES) + 2) + "|", *rows])
    legend = "\n".join(f"- `{name}`: {meaning}" for name, meaning in FEATURES.items())
    flows, frameworks = ("\n".join(f"| {' | '.join(each)} |" for each in lines) for lines in (_FLOWS, _FRAMEWORKS))
    return _PAGE.format(table=table, legend=legend, flows=flows, frameworks=frameworks)


def _measure(world: ConformanceEnvironment, client: Client) -> list[Outcomes]:
    outcomes = [run(client, world.through(server, "governed")) for server in SERVERS]
    lost = [line for each in outcomes for line in failures(client, each)]
    say("\n".join(lost) or f"{client.name}, {client.revision}: all supported features work")
    return outcomes


@contextlib.contextmanager
def _world() -> Iterator[ConformanceEnvironment]:
    with (
        tempfile.TemporaryDirectory(prefix="ostiary-clients-") as directory,
        running(Path(directory), page_size=PAGE_SIZE) as world,
    ):
        yield world


def main(argv: Sequence[str] | None = None) -> int:
    """Run every client; return 0 if all supported features work through the gateway."""
    parser = argparse.ArgumentParser(prog="python -m ostiary_tools.conformance.clients", description=__doc__)
    parser.add_argument("--write-docs", action="store_true", help=f"write {DOCS.name}")
    arguments = parser.parse_args(argv)
    try:
        with _world() as world:
            results = [(client, _measure(world, client)) for client in CLIENTS]
    except ToolError as error:
        say(f"error: {error}")
        return 1
    text = page([row(client, outcomes) for client, outcomes in results])
    print(text)
    if arguments.write_docs:
        DOCS.write_text(text)
    return int(any(failures(client, each) for client, outcomes in results for each in outcomes))


if __name__ == "__main__":
    sys.exit(main())
