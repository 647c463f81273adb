"""``ostiary doctor``: from a resource to an answer, link by link, up to the first that is broken."""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ostiary_operator.cli import cluster, shared

if TYPE_CHECKING:
    from ostiary_operator.doctor.model import Case, Options
    from ostiary_operator.kube.visit import ReadOnlyClient


class BearerError(Exception):
    """The file with the token cannot be used; the message names it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    from ostiary_operator.kube import options  # noqa: PLC0415  light, but only this command needs it

    parser.add_argument("name", metavar="MCPPROXY", nargs="?", help="the MCPProxy (default: each of the namespace)")
    cluster.add_namespace(parser)
    parser.add_argument(
        "-o", "--output", choices=("text", "json"), default="text", help="lines for people, or an array for programs"
    )
    door = parser.add_argument_group("how to reach the door, its replicas and the operator")
    door.add_argument(
        "--via", metavar="URL", type=options.base_url, help="connect here in place of the published URL's host"
    )
    door.add_argument("--bearer-file", metavar="FILE", type=Path, help="token to knock with; - for stdin")
    options.add_replicas(door)
    door.add_argument(
        "--operator-url", metavar="URL", type=options.base_url, help="the operator's admin port, to ask it itself"
    )
    parser.add_argument(
        "--wait",
        metavar="SECONDS",
        type=shared.seconds,
        default=10.0,
        help="how long something that is on its way may take before it counts as broken (default: 10)",
    )
    cluster.add_connection(parser)


def run(arguments: argparse.Namespace) -> int:
    """Walk; return 0 if no link is broken, 1 if one is, 2 if the cluster cannot be reached with these credentials."""
    from ostiary_operator.kube.errors import ClusterError  # noqa: PLC0415  help does without any of this

    try:
        return asyncio.run(_walk_all(arguments))
    except (ClusterError, BearerError) as error:
        cluster.note("doctor", str(error))
        return cluster.UNANSWERED


async def _walk_all(arguments: argparse.Namespace) -> int:
    from ostiary_operator.kube import visit  # noqa: PLC0415  likewise

    options, namespace = _options(arguments), cluster.chosen_namespace(arguments)
    async with visit.opened(cluster.credentials(arguments)) as api:
        cases = _cases(api, options, namespace, arguments.name)
        objects = [await _walk(case, text=arguments.output == "text") async for case in cases]
    if arguments.output == "json":
        sys.stdout.write(json.dumps(objects, indent=2) + "\n")
    return cluster.NOT_WELL if any(each["broken"] for each in objects) else cluster.WELL


async def _cases(api: "ReadOnlyClient", options: "Options", namespace: str, name: str | None) -> AsyncIterator["Case"]:
    """Yield the MCPProxy that was named, or each of the namespace; one without a name where there is none."""
    from ostiary_operator.doctor.model import Case  # noqa: PLC0415  likewise
    from ostiary_operator.kube.errors import ClusterError  # noqa: PLC0415  likewise
    from ostiary_operator.kube.kinds import PROXY  # noqa: PLC0415  likewise

    names = [name] if name else []
    if not names:
        try:
            names = [each["metadata"]["name"] for each in await api.list(PROXY, namespace=namespace)]
        except ClusterError:
            names = []  # the walk itself says at which link that fails
    for each in names or [""]:
        yield Case(api, options, namespace, each)


async def _walk(case: "Case", *, text: bool) -> dict[str, Any]:
    from ostiary_operator.doctor import chain, report  # noqa: PLC0415  likewise

    paint = cluster.painter()
    findings = []
    if text:
        sys.stdout.write(f"MCPProxy {case.identity}\n" if case.name else f"Namespace {case.namespace}\n")
    async for link, finding in chain.walk(case, chain.CHAIN if case.name else chain.INSTALLATION):
        findings.append((link, finding))
        if text:
            sys.stdout.write(report.line(link, finding, paint))
            sys.stdout.flush()
    if text:
        sys.stdout.write(report.verdict(findings, paint))
    return report.as_object(case.identity if case.name else None, findings)


def _options(arguments: argparse.Namespace) -> "Options":
    from ostiary_operator.doctor.model import Options  # noqa: PLC0415  likewise

    return Options(
        operator_namespace=arguments.operator_namespace,
        gateway_replicas=dict(arguments.gateway_replicas),
        operator_url=arguments.operator_url,
        via=arguments.via,
        bearer=_bearer(arguments.bearer_file),
        patience=arguments.wait,
        inside=bool(os.environ.get("KUBERNETES_SERVICE_HOST")),
    )


def _bearer(file: Path | None) -> str | None:
    """Read the token.

    Raises:
        BearerError: the file cannot be read, or holds no token.
    """
    if file is None:
        return None
    try:
        token = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise BearerError(f"--bearer-file: {file} cannot be read: {type(error).__name__}") from None
    token = token.strip()
    if not token or any(char.isspace() or not char.isprintable() for char in token):
        raise BearerError(f"--bearer-file: {file} holds no token: it must be one word")
    return token
