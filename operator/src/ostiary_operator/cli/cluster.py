"""Arguments of the commands that read a cluster.

They are connection and namespaces, named as in kubectl.
"""

import argparse
import sys
from typing import TYPE_CHECKING

from ostiary_operator.api.labels import OPERATOR_NAMESPACE
from ostiary_operator.cli import shared

if TYPE_CHECKING:
    from ostiary_operator.kube.visit import Credentials
    from ostiary_operator.view.tables import Paint

WELL, NOT_WELL, UNANSWERED = 0, 1, 2
"""The exit codes: all is well; something is not; wrong usage, or the cluster could not be read."""


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
        type=shared.namespace,
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
        type=shared.namespace,
        help="namespace of the resources (default: the context's)",
    )


def credentials(arguments: argparse.Namespace) -> "Credentials":
    """Return the kubeconfig and context that the arguments name."""
    from ostiary_operator.kube.visit import Credentials  # noqa: PLC0415  --help must work without kubernetes

    return Credentials(arguments.kubeconfig, arguments.context)


def chosen_namespace(arguments: argparse.Namespace) -> str:
    """Return the namespace of the arguments, else that of the kubeconfig's context.

    Raises:
        Unreachable: the kubeconfig cannot be used.
    """
    from ostiary_operator.kube import visit  # noqa: PLC0415  likewise

    given: str | None = arguments.namespace
    return given if given is not None else visit.namespace(credentials(arguments))


def painter() -> "Paint":
    """Return the function that colours text; it does nothing if stdout shows no colours."""
    from ostiary_operator.local.console import Console, wants_colour  # noqa: PLC0415  likewise

    return Console(sys.stdout, colour=wants_colour(sys.stdout)).paint


def note(command: str, text: str) -> None:
    """Write a note to stderr, apart from the output."""
    sys.stderr.write(f"ostiary {command}: {text}\n")
