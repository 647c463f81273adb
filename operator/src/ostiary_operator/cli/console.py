"""``ostiary console``: pages about a cluster, for one person or for several."""

import argparse
import asyncio
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from ostiary_operator.cli import cluster, common_arguments

if TYPE_CHECKING:
    from ostiary_operator.console.cluster_console import ClusterConsoleOptions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    from ostiary_operator.console.access import access_arguments  # noqa: PLC0415  help of other commands needs none of it

    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1, this machine only)"
    )
    common_arguments.add_port(parser, "--port", variable="CONSOLE_PORT", default=8090, what="port to listen on")
    common_arguments.add_console_token(parser)
    parser.add_argument(
        "--external-url",
        metavar="URL",
        default="",
        help="origin under which browsers reach a console for several people, such as https://console.example.com",
    )
    cluster.add_namespace(parser)
    parser.add_argument(
        "--watch-namespace",
        metavar="NAME",
        action="append",
        default=[],
        type=common_arguments.namespace,
        help="show this namespace only; repeat for several (default: all that may be read)",
    )
    common_arguments.add_prometheus(parser)
    common_arguments.add_format(parser)
    access_arguments.add_arguments(parser)
    cluster.add_connection(parser)


def run(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM.

    Return 0, or 1 if the port is taken or the cluster's credentials cannot be used, or 2 for invalid arguments.
    """
    from ostiary_core.errors import OstiaryError  # noqa: PLC0415  --help must work without these packages
    from ostiary_operator.console import cluster_console  # noqa: PLC0415  likewise
    from ostiary_operator.console.options import ConsoleOptionsError  # noqa: PLC0415  likewise

    try:
        options = _options(arguments)
        if options.access is not None:
            common_arguments.configure(arguments.log_format)
        asyncio.run(cluster_console.serve(options, _say))
    except ConsoleOptionsError as error:
        cluster.note("console", str(error))
        return 2
    except OstiaryError as error:
        cluster.note("console", str(error))
        return 1
    except OSError as error:
        cluster.note("console", f"port {arguments.port} of {arguments.host} cannot be used: {error.strerror or error}")
        return 1
    return 0


def _options(arguments: argparse.Namespace) -> "ClusterConsoleOptions":
    """Return the options.

    Raises:
        ConsoleOptionsError: one of them is not valid.
        Unreachable: the kubeconfig cannot be used.
    """
    from ostiary_operator.console.access import access_arguments  # noqa: PLC0415  likewise
    from ostiary_operator.console.cluster_console import ClusterConsoleOptions  # noqa: PLC0415  likewise
    from ostiary_operator.console.options import ConsoleOptions  # noqa: PLC0415  likewise

    watched = tuple(arguments.watch_namespace)
    access = access_arguments.shared_access(arguments, namespaces=watched)
    options = ClusterConsoleOptions(
        ConsoleOptions(arguments.host, arguments.port, arguments.external_url),
        cluster.credentials(arguments),
        arguments.operator_namespace,
        watched=watched,
        prometheus=common_arguments.prometheus(arguments),
        access=access,
        token=arguments.console_token,
    )
    return options if access is not None else replace(options, namespace=cluster.chosen_namespace(arguments))


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
