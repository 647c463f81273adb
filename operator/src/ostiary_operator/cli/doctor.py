"""``ostiary doctor``: runs the chain of checks for an MCPProxy, up to the first that fails."""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ostiary_operator.cli import cluster, common_arguments

if TYPE_CHECKING:
    from ostiary_operator.doctor.diagnosis import Case, Options
    from ostiary_operator.kube.read_only_client import ReadOnlyClient


class BearerError(Exception):
    """The file of --bearer-file cannot be used; the message names it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    from ostiary_operator.kube import options  # noqa: PLC0415  only this command needs it

    parser.add_argument("name", metavar="MCPPROXY", nargs="?", help="the MCPProxy (default: all of the namespace)")
    cluster.add_namespace(parser)
    parser.add_argument(
        "-o", "--output", choices=("text", "json"), default="text", help="lines for people, or an array for programs"
    )
    target = parser.add_argument_group("how to reach the endpoint, the gateway's replicas and the operator")
    target.add_argument(
        "--via", metavar="URL", type=options.base_url, help="connect here instead of to the published URL's host"
    )
    target.add_argument("--bearer-file", metavar="FILE", type=Path, help="file with the token to send; - for stdin")
    options.add_replicas(target)
    target.add_argument(
        "--operator-url",
        metavar="URL",
        type=options.base_url,
        help="URL of the operator's admin port",
    )
    parser.add_argument(
        "--wait",
        metavar="SECONDS",
        type=common_arguments.seconds,
        default=10.0,
        help="how long a pending change may take before it counts as broken (default: 10)",
    )
    cluster.add_connection(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the checks.

    Return 0 if none fails, 1 if one does, 2 if the cluster cannot be reached.
    """
    from ostiary_operator.kube.errors import ClusterError  # noqa: PLC0415  --help must work without these packages

    try:
        return asyncio.run(_check_all(arguments))
    except (ClusterError, BearerError) as error:
        cluster.note("doctor", str(error))
        return cluster.UNANSWERED


async def _check_all(arguments: argparse.Namespace) -> int:
    from ostiary_operator.kube import kubeconfig  # noqa: PLC0415  likewise

    options, namespace = _options(arguments), cluster.chosen_namespace(arguments)
    async with kubeconfig.opened(cluster.credentials(arguments)) as api:
        cases = _cases(api, options, namespace, arguments.name)
        objects = [await _check(case, text=arguments.output == "text") async for case in cases]
    if arguments.output == "json":
        sys.stdout.write(json.dumps(objects, indent=2) + "\n")
    return cluster.NOT_WELL if any(each["broken"] for each in objects) else cluster.WELL


async def _cases(api: "ReadOnlyClient", options: "Options", namespace: str, name: str | None) -> AsyncIterator["Case"]:
    """Yield a case for the named MCPProxy, or for each of the namespace.

    Yield one without a name if there is none.
    """
    from ostiary_operator.doctor.diagnosis import Case  # noqa: PLC0415  likewise
    from ostiary_operator.kube.errors import ClusterError  # noqa: PLC0415  likewise
    from ostiary_operator.kube.kinds import PROXY  # noqa: PLC0415  likewise

    names = [name] if name else []
    if not names:
        try:
            names = [each["metadata"]["name"] for each in await api.list(PROXY, namespace=namespace)]
        except ClusterError:
            names = []  # the checks report at which link this fails
    for each in names or [""]:
        yield Case(api, options, namespace, each)


async def _check(case: "Case", *, text: bool) -> dict[str, Any]:
    from ostiary_operator.doctor import chain  # noqa: PLC0415  likewise

    paint = cluster.painter()
    results = []
    if text:
        sys.stdout.write(f"MCPProxy {case.identity}\n" if case.name else f"Namespace {case.namespace}\n")
    async for check, result in chain.run_checks(case, chain.CHAIN if case.name else chain.INSTALLATION):
        results.append((check, result))
        if text:
            sys.stdout.write(chain.line(check, result, paint))
            sys.stdout.flush()
    if text:
        sys.stdout.write(chain.summary(results, paint))
    return chain.as_object(case.identity if case.name else None, results)


def _options(arguments: argparse.Namespace) -> "Options":
    from ostiary_operator.doctor.diagnosis import Options  # noqa: PLC0415  likewise

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
    """Return the token in a file, or None without a file.

    Raises:
        BearerError: the file cannot be read, or does not hold one token.
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
