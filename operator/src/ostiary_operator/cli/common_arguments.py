"""Arguments that several commands share with their types, and the log format of servers."""

import argparse
import json
import logging
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from ostiary_operator.api.labels import OPERATOR_NAMESPACE, is_dns_label

_PLAIN: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def add_namespaces(parser: argparse.ArgumentParser) -> None:
    """Add the default namespace of objects, and the operator's namespace."""
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
        default=OPERATOR_NAMESPACE,
        help=f"where the shared gateway is, and whose policies are the platform's (default: {OPERATOR_NAMESPACE})",
    )


def add_listeners(parser: argparse.ArgumentParser) -> None:
    """Add addresses and ports of the data and admin listeners.

    The ports default to PORT and ADMIN_PORT.
    """
    loopback = "(default: 127.0.0.1, this machine only)"
    parser.add_argument("--host", default="127.0.0.1", help=f"address of the data port {loopback}")
    add_port(parser, "--port", variable="PORT", default=8080, what="data port, where MCP clients connect")
    parser.add_argument("--admin-host", default="127.0.0.1", help=f"address of the admin port {loopback}")
    add_port(parser, "--admin-port", variable="ADMIN_PORT", default=8081, what="admin port: /readyz, /metrics, /config")


def add_port(parser: argparse.ArgumentParser, flag: str, *, variable: str, default: int, what: str) -> None:
    """Add a port argument, whose default is an environment variable."""

    def parse(text: str) -> int:
        return port(text, source=f"{flag} or {variable}")

    parser.add_argument(
        flag,
        type=parse,
        # argparse also parses a default that is text, so an invalid variable is reported like an invalid argument.
        default=os.environ.get(variable) or str(default),
        help=f"{what}; 0 takes a free one (default: {variable}, else {default})",
    )


def add_format(parser: argparse.ArgumentParser) -> None:
    """Add `--log-format`."""
    parser.add_argument(
        "--log-format",
        choices=("plain", "json"),
        default="plain",
        help="lines for people, or one JSON object per line (default: plain)",
    )


def add_audit_file(parser: argparse.ArgumentParser) -> None:
    """Add `--audit-file`."""
    parser.add_argument(
        "--audit-file",
        metavar="FILE",
        type=Path,
        help="append an audit record of every decision to this file, as chained and signed lines of JSON; it is "
        "rotated at 100 MiB; `ostiary audit verify` checks it (default: only what policies and settings demand)",
    )


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, which takes an s in the plural."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def namespace(text: str) -> str:
    """Return ``text`` if it is a valid name of a namespace.

    Raises:
        argparse.ArgumentTypeError: it is not.
    """
    if not is_dns_label(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a namespace: use lower-case letters, digits and hyphens")
    return text


def port(text: str, *, source: str) -> int:
    """Return the number of a port.

    ``source`` names the argument and variable in the error message.

    Raises:
        argparse.ArgumentTypeError: it is not one.
    """
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: give a number from 0 to 65535 ({source})")
    return int(text)


def seconds(text: str) -> float:
    """Return a number of seconds, at most a day.

    Raises:
        argparse.ArgumentTypeError: it is not one.
    """
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 86_400:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 0 to 86400")
    return number


def gateway(text: str) -> str:
    """Return ``text`` if it is the identity of a gateway.

    Raises:
        argparse.ArgumentTypeError: it is not NAMESPACE/NAME.
    """
    parts = text.split("/")
    if len(parts) != 2 or not all(map(is_dns_label, parts)):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAMESPACE/NAME, such as ostiary-system/default")
    return text


def configure(log_format: str) -> None:
    """Send log records to stderr; later calls of ``logging.basicConfig`` have no effect."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JSONFormatter() if log_format == "json" else logging.Formatter(_PLAIN))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


class JSONFormatter(logging.Formatter):
    """Formats a record as JSON; ``time`` is UTC in ISO 8601."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as JSON."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        fields = {
            "time": moment.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields)
