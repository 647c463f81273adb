"""Asks gateways what they recorded, for `ostiary traffic`, `calls` and `would-deny`."""

import argparse
import functools
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from ostiary_operator.cli import admin_access, cluster

if TYPE_CHECKING:
    from ostiary_operator.view.admin_client import AdminPort
    from ostiary_operator.view.evidence.call_stream import CallEvent
    from ostiary_operator.view.evidence.gathered import Gathered
    from ostiary_operator.view.evidence.proxy_scope import ProxyScope
    from ostiary_operator.view.evidence.reader import EvidenceReader

T = TypeVar("T")
_SECONDS = 2.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that all of them have."""
    parser.add_argument(
        "proxy", metavar="PROXY", nargs="?", help="only this MCPProxy: its name, or NAMESPACE/NAME (default: all)"
    )
    parser.add_argument(
        "-o", "--output", choices=("text", "json"), default="text", help="text for people, or JSON as on the console"
    )
    cluster.add_watch(parser)
    admin_access.add_arguments(parser)


@dataclass(frozen=True, slots=True)
class Asking:
    """What a command asks: of which proxies, which replicas, and by what."""

    command: str
    scope: "ProxyScope"
    ports: "tuple[AdminPort, ...]"
    reader: "EvidenceReader"
    follow: "Callable[[Mapping[str, int]], AsyncGenerator[CallEvent, None]]"

    @property
    def where(self) -> str:
        """The proxies in question, for messages."""
        if self.scope.named is not None:
            return f" of MCPProxy {', '.join(self.scope.named)}"
        return f" in namespace {self.scope.namespace}" if self.scope.namespace else ""


@asynccontextmanager
async def asking(arguments: argparse.Namespace, *, command: str) -> AsyncIterator[Asking]:
    """Find the replicas that the arguments mean.

    Raises:
        NoAdminPort: there is none that can be asked.
        ClusterError: the cluster cannot be read.
    """
    from ostiary_operator.view import admin_client  # noqa: PLC0415  --help must work without these packages
    from ostiary_operator.view.evidence.call_stream import follow  # noqa: PLC0415  likewise
    from ostiary_operator.view.evidence.port_finders import FixedPorts  # noqa: PLC0415  likewise
    from ostiary_operator.view.evidence.proxy_scope import ProxyScope  # noqa: PLC0415  likewise
    from ostiary_operator.view.evidence.reader import EvidenceReader  # noqa: PLC0415  likewise

    async with AsyncExitStack() as kept, admin_client.session() as http:
        proxy, ports = await admin_access.find(arguments, command=command, evidence=kept)
        scope = ProxyScope.of([proxy]) if proxy else ProxyScope(namespace=arguments.namespace or "")
        finder = FixedPorts(ports, operator_namespace=arguments.operator_namespace)
        reader = EvidenceReader(http, finder)
        yield Asking(command, scope, ports, reader, lambda after: follow(http, finder, scope, after=after))


async def show(
    asked: Asking,
    read: "Callable[[], Awaitable[Gathered[T]]]",
    write: "Callable[[Gathered[T]], None]",
    *,
    watch: bool,
) -> int:
    """Write what replicas say, and with ``watch`` again whenever it changes.

    Return the exit code: 0, 1 if a replica did not answer, and 2 if none did.
    """
    seen = await read()
    code = show_once(asked, seen, write)
    if watch and code != cluster.UNANSWERED:
        async for now in cluster.polls(read, command=asked.command, seconds=_SECONDS):
            if now.value != seen.value or now.problems != seen.problems:
                sys.stdout.write(f"\n{time.strftime('%H:%M:%S')}\n")
                _write(asked, now, write)
            seen = now
    return code


def show_once(asked: Asking, seen: "Gathered[T]", write: "Callable[[Gathered[T]], None]") -> int:
    """Write what replicas say, and what is missing; return the exit code."""
    from ostiary_operator.view import admin_ports  # noqa: PLC0415  likewise

    if not seen.answered:
        problem = seen.problems[0].why if seen.problems else "no replica serves it"
        cluster.note(asked.command, admin_ports.unreachable(asked.ports, problem))
        return cluster.UNANSWERED
    _write(asked, seen, write)
    return cluster.WELL if seen.is_complete else cluster.NOT_WELL


def _write(asked: Asking, seen: "Gathered[T]", write: "Callable[[Gathered[T]], None]") -> None:
    write(seen)
    sys.stdout.flush()
    for problem in seen.problems:
        cluster.note(asked.command, f"{problem.text}: what it recorded is missing")
    if seen.answered and not seen.recording:
        cluster.note(asked.command, "the gateway's settings switch the recording off (evidence.recording)")


def as_object(seen: "Gathered[Any]", **members: Any) -> dict[str, Any]:
    """Return an answer for programs, as the twins of the console have it."""
    return {**members, "evidence": seen.as_object()}


def run(show_all: Callable[[argparse.Namespace], Any], arguments: argparse.Namespace, *, command: str) -> int:
    """Run a command that shows evidence; return its exit code."""
    if (problem := cluster.watch_conflict(arguments)) is not None:
        cluster.note(command, problem)
        return cluster.UNANSWERED
    return admin_access.answer(functools.partial(show_all, arguments), command=command)
