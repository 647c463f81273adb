"""Arguments of the commands that look at a cluster: which one, and what of it. The words are kubectl's."""

import argparse
import sys
from typing import TYPE_CHECKING

from ostiary_operator.cli import shared

if TYPE_CHECKING:
    from ostiary_operator.kube.visit import Credentials
    from ostiary_operator.view.tables import Paint

WELL, NOT_WELL, UNANSWERED = 0, 1, 2
"""The exit codes: all is well; something is not; the command was used wrongly, or the cluster could not be asked."""


def add_connection(parser: argparse.ArgumentParser) -> None:
    """Add which API server, and as whom."""
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
        type=shared.namespace,
        default="ostiary-system",
        help="where operator and shared gateways are (default: ostiary-system)",
    )


def add_scope(parser: argparse.ArgumentParser) -> None:
    """Add which namespace, or all of them."""
    add_namespace(parser)
    parser.add_argument("-A", "--all-namespaces", action="store_true", help="of all namespaces; overrides -n")


def add_namespace(parser: argparse.ArgumentParser) -> None:
    """Add which namespace."""
    parser.add_argument(
        "-n",
        "--namespace",
        metavar="NAME",
        type=shared.namespace,
        help="namespace of the resources (default: the context's)",
    )


def credentials(arguments: argparse.Namespace) -> "Credentials":
    """Return what the arguments say of the API server."""
    from ostiary_operator.kube.visit import Credentials  # noqa: PLC0415  help does without kubernetes

    return Credentials(arguments.kubeconfig, arguments.context)


def chosen_namespace(arguments: argparse.Namespace) -> str:
    """Return the namespace that was asked for, or else the context's.

    Raises:
        Unreachable: the kubeconfig cannot be used.
    """
    from ostiary_operator.kube import visit  # noqa: PLC0415  likewise

    given: str | None = arguments.namespace
    return given if given is not None else visit.namespace(credentials(arguments))


def painter() -> "Paint":
    """Return what colours text, where stdout shows colours."""
    from ostiary_operator.local.console import Console, wants_colour  # noqa: PLC0415  likewise

    return Console(sys.stdout, colour=wants_colour(sys.stdout)).paint


def note(command: str, text: str) -> None:
    """Say something on stderr that is no part of the answer."""
    sys.stderr.write(f"ostiary {command}: {text}\n")
