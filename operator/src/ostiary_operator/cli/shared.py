"""Arguments that several commands have, and the types of their values."""

import argparse
import os

from ostiary_operator.api.labels import is_dns_label


def add_namespaces(parser: argparse.ArgumentParser) -> None:
    """Add the namespace of objects that name none, and the platform's."""
    parser.add_argument(
        "-n",
        "--namespace",
        metavar="NAME",
        type=namespace,
        default="default",
        help="namespace of objects that name none (default: default)",
    )
    parser.add_argument(
        "--operator-namespace",
        metavar="NAME",
        type=namespace,
        default="ostiary-system",
        help="where the shared gateway is, and whose policies are the platform's (default: ostiary-system)",
    )


def add_listeners(parser: argparse.ArgumentParser) -> None:
    """Add where to listen: the data port and the admin port, from PORT and ADMIN_PORT."""
    loopback = "(default: 127.0.0.1, this machine only)"
    parser.add_argument("--host", default="127.0.0.1", help=f"address of the data port {loopback}")
    add_port(parser, "--port", variable="PORT", default=8080, what="data port, where MCP clients connect")
    parser.add_argument("--admin-host", default="127.0.0.1", help=f"address of the admin port {loopback}")
    add_port(parser, "--admin-port", variable="ADMIN_PORT", default=8081, what="admin port: /readyz, /metrics, /config")


def add_port(parser: argparse.ArgumentParser, flag: str, *, variable: str, default: int, what: str) -> None:
    """Add the number of a port, from an argument or else a variable."""

    def parse(text: str) -> int:
        return port(text, source=f"{flag} or {variable}")

    parser.add_argument(
        flag,
        type=parse,
        # argparse parses a default that is text, so a bad variable is explained like a bad argument.
        default=os.environ.get(variable) or str(default),
        help=f"{what}; 0 takes a free one (default: {variable}, else {default})",
    )


def namespace(text: str) -> str:
    """Return the name of a namespace.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    if not is_dns_label(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a namespace: use lower-case letters, digits and hyphens")
    return text


def port(text: str, *, source: str) -> int:
    """Return the number of a port. ``source`` says where a wrong one can be set right.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: give a number from 0 to 65535 ({source})")
    return int(text)


def seconds(text: str) -> float:
    """Return a number of seconds, at most a day.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 86_400:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 0 to 86400")
    return number


def gateway(text: str) -> str:
    """Return the identity of a gateway.

    Raises:
        argparse.ArgumentTypeError: it is not NAMESPACE/NAME.
    """
    parts = text.split("/")
    if len(parts) != 2 or not all(map(is_dns_label, parts)):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAMESPACE/NAME, such as ostiary-system/default")
    return text
