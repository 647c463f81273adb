"""Arguments that several commands share with their types, and the log format of servers."""

import argparse
import json
import logging
import os
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ostiary_core.secret_bytes import SecretBytes
from ostiary_operator.api.labels import OPERATOR_NAMESPACE, is_dns_label

if TYPE_CHECKING:
    from ostiary_operator.local.run_options import PrometheusAddress

_MOST_TOKEN: Final = 4096
_TOKEN: Final = re.compile(rb"[A-Za-z0-9._~+/=-]{8,4096}")
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


def add_console(parser: argparse.ArgumentParser) -> None:
    """Add the port of the console, which defaults to CONSOLE_PORT, and the token for scripts."""
    add_port(parser, "--console-port", variable="CONSOLE_PORT", default=8090, what="port of the console on localhost")
    add_console_token(parser)


def add_console_token(parser: argparse.ArgumentParser) -> None:
    """Add the token for scripts, which defaults to OSTIARY_CONSOLE_TOKEN."""
    parser.add_argument(
        "--console-token",
        metavar="TOKEN",
        type=console_token,
        # argparse also parses a default that is text.
        default=os.environ.get("OSTIARY_CONSOLE_TOKEN") or None,
        help="token that scripts send to the console as a bearer token; @FILE reads it from a file, - from stdin, so "
        "that no list of processes shows it (default: OSTIARY_CONSOLE_TOKEN, else only a link that works once)",
    )


def add_prometheus(parser: argparse.ArgumentParser) -> None:
    """Add the Prometheus from which the console reads longer ranges."""
    parser.add_argument(
        "--prometheus-url",
        metavar="URL",
        help="a Prometheus that scrapes the gateways, for ranges of the console that they do not keep themselves",
    )
    parser.add_argument(
        "--prometheus-token-file",
        metavar="FILE",
        type=_token_file,
        help="file with the bearer token that this Prometheus wants",
    )


def prometheus(arguments: argparse.Namespace) -> "PrometheusAddress | None":
    """Return the Prometheus of the arguments, None without one."""
    from ostiary_operator.local.run_options import PrometheusAddress  # noqa: PLC0415  help needs none of it

    if arguments.prometheus_url is None:
        return None
    return PrometheusAddress(arguments.prometheus_url, arguments.prometheus_token_file)


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


def console_token(text: str) -> SecretBytes:
    """Return the token that an argument gives.

    It gives it by itself, in a file (``@FILE``), or on standard input (``-``).

    Raises:
        argparse.ArgumentTypeError: it cannot be read, or is no token of HTTP (RFC 6750 section 2.1). The message does
            not contain it.
    """
    try:
        token = _console_token(text).strip()
    except OSError as error:
        raise argparse.ArgumentTypeError(f"the token cannot be read from {text}: {error.strerror}") from None
    if _TOKEN.fullmatch(token) is None:
        raise argparse.ArgumentTypeError(
            "the token is not one: give 8 to 4096 letters, digits and -._~+/=, for example of `openssl rand -hex 32`"
        )
    return SecretBytes(token)


def _token_file(path: str) -> SecretBytes:
    return console_token(f"@{path}")


def _console_token(text: str) -> bytes:
    if text == "-":
        return sys.stdin.buffer.read(_MOST_TOKEN + 1)
    if text.startswith("@"):
        with Path(text[1:]).open("rb") as file:
            return file.read(_MOST_TOKEN + 1)
    return text.encode(errors="surrogateescape")


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
        if (worker := getattr(record, "worker", None)) is not None:
            fields["worker"] = str(worker)
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields)
