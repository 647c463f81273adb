"""Arguments of the commands that read a cluster, named as in kubectl.

They are connection, namespaces and `--watch`.

`--watch` prints the output once, then every change, until Ctrl-C. It polls every two seconds instead of opening a
watch, so that it needs no rights besides get and list.
"""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Final, TypeVar

from ostiary_operator.api.labels import OPERATOR_NAMESPACE
from ostiary_operator.cli import common_arguments

if TYPE_CHECKING:
    from ostiary_operator.kube.kubeconfig import Credentials
    from ostiary_operator.view.tables import Paint

WELL, NOT_WELL, UNANSWERED = 0, 1, 2
"""The exit codes: all is well; something is not; wrong usage, or the cluster could not be read."""
_SECONDS: Final = 2.0
T = TypeVar("T")


def add_connection(parser: argparse.ArgumentParser) -> None:
    """Add the arguments for the API server and its credentials."""
    group = parser.add_argument_group("which cluster")
    group.add_argument(
        "--kubeconfig",
        metavar="FILE",
        help="kubeconfig (default: $KUBECONFIG, else the Pod's own account, else ~/.kube/config)",
    )
    group.add_argument("--context", metavar="NAME", help="which context of it (default: its current one)")
    group.add_argument(
        "--operator-namespace",
        metavar="NAME",
        type=common_arguments.namespace,
        default=OPERATOR_NAMESPACE,
        help=f"namespace of operator and shared gateways (default: {OPERATOR_NAMESPACE})",
    )


def add_scope(parser: argparse.ArgumentParser) -> None:
    """Add the arguments for one namespace, or for all."""
    add_namespace(parser)
    parser.add_argument("-A", "--all-namespaces", action="store_true", help="of all namespaces; overrides -n")


def add_namespace(parser: argparse.ArgumentParser) -> None:
    """Add the argument for the namespace."""
    parser.add_argument(
        "-n",
        "--namespace",
        metavar="NAME",
        type=common_arguments.namespace,
        help="namespace of the resources (default: the context's)",
    )


def credentials(arguments: argparse.Namespace) -> "Credentials":
    """Return the kubeconfig and context that the arguments name."""
    from ostiary_operator.kube.kubeconfig import Credentials  # noqa: PLC0415  --help must work without kubernetes

    return Credentials(arguments.kubeconfig, arguments.context)


def chosen_namespace(arguments: argparse.Namespace) -> str:
    """Return the namespace of the arguments, else that of the kubeconfig's context.

    Raises:
        Unreachable: the kubeconfig cannot be used.
    """
    from ostiary_operator.kube import kubeconfig  # noqa: PLC0415  likewise

    given: str | None = arguments.namespace
    return given if given is not None else kubeconfig.namespace(credentials(arguments))


def painter() -> "Paint":
    """Return the function that colours text; it does nothing if stdout shows no colours."""
    from ostiary_operator.local.console import Console, wants_colour  # noqa: PLC0415  likewise

    return Console(sys.stdout, colour=wants_colour(sys.stdout)).paint


def note(command: str, text: str) -> None:
    """Write a note to stderr, apart from the output."""
    sys.stderr.write(f"ostiary {command}: {text}\n")


async def polls(poll: Callable[[], Awaitable[T]], *, command: str, seconds: float = _SECONDS) -> AsyncIterator[T]:
    """Poll and yield each result.

    Note once when the API server stops answering, and when it answers again.

    Raises:
        NotFound: a named object no longer exists.
    """
    from ostiary_operator.kube.errors import ClusterError, NotFound  # noqa: PLC0415  --help must work without these packages

    lost = False
    while True:
        await asyncio.sleep(seconds)
        try:
            found = await poll()
        except NotFound:
            raise
        except ClusterError as error:
            if not lost:
                note(command, f"{error}; trying again")
            lost = True
            continue
        if lost:
            note(command, "the API server answers again")
            lost = False
        yield found


def add_watch(parser: argparse.ArgumentParser) -> None:
    """Add `--watch`."""
    parser.add_argument(
        "-w", "--watch", action="store_true", help="keep running, and show every change until Ctrl-C (tables only)"
    )


def watch_conflict(arguments: argparse.Namespace) -> str | None:
    """Return why `--watch` cannot be combined with the other arguments, or None."""
    if arguments.watch and arguments.output in {"json", "yaml"}:
        return f"--watch shows tables, and -o {arguments.output} one object: omit one of them"
    return None
