"""``ostiary logs``: shows the captured exchanges of an MCPProxy."""

import argparse
import json
import shlex
import sys
import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from ostiary_operator.cli import admin_access, cluster

if TYPE_CHECKING:
    from ostiary_operator.view.admin_client import AdminPort
    from ostiary_operator.view.captured_logs import CaptureSources

_MINUTES: Final = 15


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.add_argument("proxy", metavar="PROXY", help="name of the MCPProxy, or NAMESPACE/NAME")
    parser.add_argument("-f", "--follow", action="store_true", help="go on with each new exchange, until Ctrl-C")
    parser.add_argument(
        "--since", metavar="DURATION", type=_duration, default=0.0, help="only those of the last 10m, 1h30m or so"
    )
    parser.add_argument(
        "-o", "--output", choices=("text", "json"), default="text", help="lines for people, or a JSON object per line"
    )
    admin_access.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Show the exchanges.

    Return 0, 1 if none are captured, 2 if no gateway can be asked.
    """
    return admin_access.answer(lambda: _show(arguments), command="logs")


async def _show(arguments: argparse.Namespace) -> int:
    from ostiary_operator.view import admin_client  # noqa: PLC0415  --help must work without these packages
    from ostiary_operator.view.captured_logs import CaptureSources  # noqa: PLC0415  likewise

    since = int((time.time() - arguments.since) * 1000) if arguments.since else 0
    async with AsyncExitStack() as kept, admin_client.session() as http:
        proxy, ports = await admin_access.find(arguments, command="logs", evidence=kept)
        sources = CaptureSources(http, ports, proxy=proxy, since=since, note=lambda text: cluster.note("logs", text))
        records = sources.follow() if arguments.follow else sources.read()
        async for port, record in records:
            _write(arguments.output, port, record, several=len(ports) > 1)
    return _judged(sources, ports, proxy)


def _judged(sources: "CaptureSources", ports: "tuple[AdminPort, ...]", proxy: str) -> int:
    """Say why there is nothing to show; return the exit code."""
    from ostiary_operator.view import admin_ports  # noqa: PLC0415  likewise

    if sources.captured:
        return cluster.WELL
    if sources.problem:
        cluster.note("logs", admin_ports.unreachable(ports, sources.problem))
        return cluster.UNANSWERED
    cluster.note("logs", f"MCPProxy {proxy} has no debug capture. {_remedy(proxy, ports)}")
    return cluster.NOT_WELL


def _remedy(proxy: str, ports: "tuple[AdminPort, ...]") -> str:
    until = (datetime.now(UTC) + timedelta(minutes=_MINUTES)).strftime("%Y-%m-%dT%H:%M:%SZ")
    if ports[0].replica == "run":
        return f'Add to its spec, and run this again: debugCapture: {{until: "{until}"}}'
    namespace, _, name = proxy.partition("/")
    patch = shlex.quote(json.dumps({"spec": {"debugCapture": {"until": until}}}))
    return f"Begin one of {_MINUTES} minutes:\n kubectl patch mcpproxy {name} -n {namespace} --type merge -p {patch}"


def _write(output: str, port: "AdminPort", record: dict[str, Any], *, several: bool) -> None:
    from ostiary_operator.view.exchange_text import exchange_lines  # noqa: PLC0415  likewise

    if output == "json":
        sys.stdout.write(json.dumps({"replica": port.replica, **record}, ensure_ascii=False) + "\n")
    else:
        shown = exchange_lines(record, paint=cluster.painter(), replica=port.replica if several else "")
        sys.stdout.writelines(f"{line}\n" for line in shown)
    sys.stdout.flush()


def _duration(text: str) -> float:
    from ostiary_operator.api.durations import Duration  # noqa: PLC0415  likewise

    try:
        return Duration.parse(text).seconds
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
