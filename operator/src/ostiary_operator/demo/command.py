"""The command `ostiary mock-server`: its arguments, and the start of the server."""

import argparse
import os
import re
import sys
from collections.abc import Sequence

from ostiary_operator.demo.scenarios import Scenario
from ostiary_operator.demo.served_eras import ServedEras

_DEFAULT_PORT = 7878
_EXTRA = frozenset({"mcp", "mcp_types", "starlette", "uvicorn"})
"""The packages of the extra `demo` that are imported here."""

_HOST_NAME = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?)(:[0-9]{1,5})?")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1, this machine only)"
    )
    parser.add_argument(
        "--port",
        type=_port,
        help="port to listen on, 0 for any free one (default: MOCK_PORT, else "
        f"{_DEFAULT_PORT}; one more for --era legacy or --scenario leaky, two more for --era modern or --scenario "
        "poisoned, three more for --scenario rug-pull)",
    )
    parser.add_argument(
        "--era",
        choices=[each.value for each in ServedEras],
        default=ServedEras.BOTH.value,
        help="which revisions of MCP it speaks: legacy has sessions, modern is stateless (default: both)",
    )
    parser.add_argument(
        "--scenario",
        choices=[each.value for each in Scenario],
        help="serve, in place of the sample data, a server that masks, guards and locks are against: leaky tells what "
        "agents must not know, poisoned holds hidden instructions, rug-pull changes its tools after the first list",
    )
    parser.add_argument(
        "--allowed-host",
        action="append",
        default=[],
        type=_host_name,
        metavar="NAME",
        dest="allowed_hosts",
        help="a further name in Host and Origin headers to accept, such as mock.tools.svc (may be repeated); "
        "without it only loopback names are accepted",
    )


def run(args: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM.

    Returns:
        The exit code: 0 after a signal, 1 when the server could not start, 2 for a MOCK_PORT that is no port.
    """
    eras, scenario = ServedEras(args.era), Scenario(args.scenario) if args.scenario is not None else None
    try:
        port = default_port(eras, scenario) if args.port is None else args.port
    except argparse.ArgumentTypeError as error:
        print(f"ostiary mock-server: {error}", file=sys.stderr)
        return 2
    try:
        # Its packages are an extra and slow to import: `ostiary --help` must work without them.
        from ostiary_operator.demo.mock_server import process  # noqa: PLC0415  see above
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _EXTRA:
            raise
        print(
            "ostiary mock-server: the extra `demo` is missing: in a clone of the repository, pip install '.[demo]'",
            file=sys.stderr,
        )
        return 1
    hosts = tuple(args.allowed_hosts)
    return process.run(host=args.host, port=port, allowed_hosts=hosts, eras=eras, scenario=scenario)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command on its own, without the rest of `ostiary`; return the exit code.

    Args:
        argv: the arguments; None takes those of the process.
    """
    parser = argparse.ArgumentParser(
        prog="ostiary mock-server", description="A mock MCP server with sample data, as upstream of a proxy."
    )
    add_arguments(parser)
    return run(parser.parse_args(argv))


def default_port(eras: ServedEras, scenario: Scenario | None = None) -> int:
    """Return the port of MOCK_PORT, or a later one for a scenario or one era.

    Raises:
        argparse.ArgumentTypeError: MOCK_PORT is no port.
    """
    first = _port(os.environ.get("MOCK_PORT") or str(_DEFAULT_PORT))
    offset = eras.port_offset if scenario is None else scenario.port_offset
    return _port(str(first + offset)) if first else 0


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: give a number from 0 to 65535 (--port or MOCK_PORT)")
    return int(text)


def _host_name(text: str) -> str:
    if not _HOST_NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a host name: give it without scheme, path and wildcard")
    return text
