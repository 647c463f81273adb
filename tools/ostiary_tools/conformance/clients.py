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
from ostiary_tools.conformance.compatibility_page import page
from ostiary_tools.conformance.testbed import ERAS, SERVERS, ConformanceEnvironment, of_era, running
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
#: By the revision of the client.
_NOT_ACROSS: Final = MappingProxyType(
    {
        LEGACY: {"resumption": "streams of calls are not resumed across eras"},
        MODERN: {"mrtr": "a server with sessions asks one question after the other"},
    }
)
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

    @property
    def other_era(self) -> str:
        """The era that it does not speak in this revision."""
        return "legacy" if self.revision == MODERN else "modern"

    def across_eras(self) -> "Client":
        """Return the same client as it is at servers of the other era."""
        cannot = {name: why for name, why in self.cannot.items() if self.driver == "inspector" or name != "mrtr"}
        return dataclasses.replace(self, cannot={**cannot, **_NOT_ACROSS[self.revision]})


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

ACROSS: Final = tuple(each.across_eras() for each in CLIENTS if each.driver != "inspector")
"""The clients at servers of the other era. The Inspector is tested at servers of its own."""

BY_ERA: Final = tuple(of_era(server, era) for server in SERVERS for era in ERAS)
"""The servers that speak one era only."""

Outcomes = dict[str, dict[str, Any]]
"""By feature: `ok`, or `error` with a message; and details of the feature."""


def run(client: Client, url: str, *, server_revision: str | None = None) -> Outcomes:
    """Run all features of a client, which is installed on first use.

    Args:
        client: the client.
        url: the endpoint.
        server_revision: the revision of the server, if it is of the other era.

    Raises:
        ToolError: the client could not be installed, did not connect, or did not end.
    """
    command = [*_command(client), "--url", url, "--revision", client.revision]
    if client.driver == "inspector":
        command += ["--", *installs.inspector()]
    elif server_revision is not None:
        command += ["--server-revision", server_revision]
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


def row(client: Client, outcomes: Sequence[Outcomes]) -> str:
    """Return the table row of a client, from its runs against every server."""
    failed = {line.split(": ")[1] for each in outcomes for line in failures(client, each)}
    cells = ["-" if each in client.cannot else "**no**" if each in failed else "yes" for each in FEATURES]
    return f"| {client.name} | {client.revision} | {' | '.join(cells)} |"


def run_across_eras(world: ConformanceEnvironment, client: Client) -> list[Outcomes]:
    """Run a client at servers of every SDK that speak the other era only."""
    era = client.other_era
    revision = LEGACY if era == "legacy" else MODERN
    urls = [world.through(of_era(server, era), "governed") for server in SERVERS]
    return [run(client, url, server_revision=revision) for url in urls]


def _measure(world: ConformanceEnvironment, client: Client) -> list[Outcomes]:
    outcomes = [run(client, world.through(server, "governed")) for server in SERVERS]
    _report(client, outcomes, where="")
    return outcomes


def _measure_across(world: ConformanceEnvironment, client: Client) -> list[Outcomes]:
    outcomes = run_across_eras(world, client)
    _report(client, outcomes, where=" across eras")
    return outcomes


def _report(client: Client, outcomes: Sequence[Outcomes], *, where: str) -> None:
    lost = [line for each in outcomes for line in failures(client, each)]
    say("\n".join(lost) or f"{client.name}, {client.revision}: all supported features work{where}")


@contextlib.contextmanager
def _world() -> Iterator[ConformanceEnvironment]:
    with (
        tempfile.TemporaryDirectory(prefix="ostiary-clients-") as directory,
        running(Path(directory), [*SERVERS, *BY_ERA], page_size=PAGE_SIZE) as world,
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
            across = [(client, _measure_across(world, client)) for client in ACROSS]
    except ToolError as error:
        say(f"error: {error}")
        return 1
    text = page(FEATURES, [row(*each) for each in results], [row(*each) for each in across])
    print(text)
    if arguments.write_docs:
        DOCS.write_text(text)
    return int(any(failures(client, each) for client, outcomes in (*results, *across) for each in outcomes))


if __name__ == "__main__":
    sys.exit(main())
