"""Arguments of the commands that ask the admin port of gateways, and which ports they mean.

In this order: the URLs that are given; a run of ``ostiary run`` on this machine; the gateways of a cluster.
"""

import argparse
import asyncio
import sys
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ostiary_operator.cli import cluster

if TYPE_CHECKING:
    from ostiary_core.secret_bytes import SecretBytes
    from ostiary_operator.kube.rest import RestClient
    from ostiary_operator.local.running_projects import RunningProject
    from ostiary_operator.view.admin_client import AdminPort
    from ostiary_operator.view.replica_relay import ReplicaRelay

UNANSWERED: Final = cluster.UNANSWERED
_MOST_TOKEN_BYTES: Final = 4096


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say which gateways are asked."""
    cluster.add_namespace(parser)
    group = parser.add_argument_group(
        "which gateways",
        "Without these, those of an `ostiary run` on this machine if there is one, else those of the cluster.",
    )
    group.add_argument(
        "--admin", metavar="URL", action="append", default=[], help="URL of an admin port, for each replica to ask"
    )
    group.add_argument(
        "--token-file", metavar="FILE", help="file with the token of the admin port; - for stdin (default: its Secret)"
    )
    group.add_argument("--local", action="store_true", help="only an `ostiary run` on this machine")
    cluster.add_connection(parser)


def answer(show: Callable[[], Coroutine[Any, Any, int]], *, command: str) -> int:
    """Run a command that asks gateways; return its exit code.

    It is 2 where none can be asked, after saying why.
    """
    from ostiary_core.errors import OstiaryError  # noqa: PLC0415  --help must work without these packages

    try:
        return asyncio.run(show())
    except OstiaryError as error:
        cluster.note(command, str(error))
        return cluster.UNANSWERED


def qualified(arguments: argparse.Namespace, *, local: bool) -> str:
    """Return the MCPProxy of the arguments as ``namespace/name``; empty without one.

    Raises:
        Unreachable: the kubeconfig cannot be used.
    """
    name: str = arguments.proxy or ""
    if not name or "/" in name:
        return name
    if arguments.namespace is not None or local:
        return f"{arguments.namespace or 'default'}/{name}"
    return f"{cluster.chosen_namespace(arguments)}/{name}"


async def find(
    arguments: argparse.Namespace, *, command: str, evidence: AsyncExitStack | None = None
) -> "tuple[str, tuple[AdminPort, ...]]":
    """Return the MCPProxy as ``namespace/name``, and the admin ports to ask.

    With ``evidence`` a token which only reads evidence is enough, and replicas whose addresses do not answer are asked
    through the API server; what that needs is closed with it.

    Raises:
        NoAdminPort: there is none that can be asked.
        ClusterError: the cluster cannot be read.
    """
    from ostiary_operator.view import admin_ports  # noqa: PLC0415  --help must work without these packages

    token = _token(arguments.token_file)
    if arguments.admin and token is not None:
        return qualified(arguments, local=True), admin_ports.of_urls(arguments.admin, token)
    in_cluster = arguments.admin or arguments.kubeconfig or arguments.context
    project = None if in_cluster else _project(arguments)
    if project is not None:
        cluster.note(command, f"asking {project.title}")
        return qualified(arguments, local=True), admin_ports.of_project(project)
    return await _of_cluster(arguments, token, evidence)


async def _of_cluster(
    arguments: argparse.Namespace, token: "SecretBytes | None", evidence: AsyncExitStack | None
) -> "tuple[str, tuple[AdminPort, ...]]":
    from ostiary_operator.kube import kubeconfig  # noqa: PLC0415  likewise
    from ostiary_operator.view import admin_ports  # noqa: PLC0415  likewise

    proxy = qualified(arguments, local=False)
    async with AsyncExitStack() as until_found:
        kept = until_found if evidence is None else evidence
        api = await kept.enter_async_context(kubeconfig.opened(cluster.credentials(arguments)))
        query = admin_ports.PortQuery(
            namespace=proxy.partition("/")[0] or cluster.chosen_namespace(arguments),
            operator_namespace=arguments.operator_namespace,
            proxy=proxy,
            urls=tuple(arguments.admin),
            token=token,
            for_evidence=evidence is not None,
            relay=None if evidence is None else _relay(api, evidence),
        )
        return proxy, await admin_ports.in_cluster(api, query)


def _relay(api: "RestClient", kept: AsyncExitStack) -> "ReplicaRelay":
    from ostiary_operator.kube.pod_proxy import PodProxy  # noqa: PLC0415  likewise
    from ostiary_operator.view.replica_relay import ReplicaRelay  # noqa: PLC0415  likewise

    pods = PodProxy(api)
    kept.push_async_callback(pods.close)
    return ReplicaRelay(pods)


def _project(arguments: argparse.Namespace) -> "RunningProject | None":
    from ostiary_operator.local.running_projects import running_projects  # noqa: PLC0415  likewise
    from ostiary_operator.view.admin_ports import NoAdminPort  # noqa: PLC0415  likewise

    found = running_projects()
    if len(found) > 1:
        several = ", ".join(f"{each.title} at {each.url}" for each in found)
        raise NoAdminPort(
            f"several runs are on this machine: {several}. End all but one, or give --admin and --token-file"
        )
    if not found and arguments.local:
        raise NoAdminPort("no `ostiary run` is on this machine, or its state folder cannot be used")
    return found[0] if found else None


def _token(file: str | None) -> "SecretBytes | None":
    from ostiary_core.secret_bytes import SecretBytes  # noqa: PLC0415  likewise
    from ostiary_operator.view.admin_ports import NoAdminPort  # noqa: PLC0415  likewise

    if file is None:
        return None
    try:
        text = sys.stdin.buffer.read(_MOST_TOKEN_BYTES) if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise NoAdminPort(f"--token-file: {file} cannot be read: {error.strerror}") from None
    if not text.strip().isascii() or not text.strip() or len(text) > _MOST_TOKEN_BYTES or b"\n" in text.strip():
        raise NoAdminPort(f"--token-file: {file} does not hold one token")
    return SecretBytes(text.strip())
