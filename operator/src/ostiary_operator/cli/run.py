"""``ostiary run``: its arguments as options, and the terminal for its output."""

import argparse
import asyncio
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ostiary_operator.cli import common_arguments

if TYPE_CHECKING:
    from ostiary_operator.local.companion import Companion
    from ostiary_operator.local.console import Console
    from ostiary_operator.local.run_options import RunOptions

_DEFAULT = Path("examples/quickstart")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.add_argument(
        "paths",
        metavar="PATH",
        nargs="*",
        type=Path,
        help=f"a file or a folder with MCPProxies and MCPPolicies (default: {_DEFAULT})",
    )
    common_arguments.add_listeners(parser)
    common_arguments.add_port(
        parser,
        "--mock-port",
        variable="MOCK_PORT",
        default=7878,
        what="port of the mock MCP server on localhost; those of one era take the two after it",
    )
    common_arguments.add_console(parser)
    common_arguments.add_prometheus(parser)
    parser.add_argument("--no-console", action="store_true", help="do not serve the console")
    parser.add_argument("--no-mock-server", action="store_true", help="do not start the mock MCP server")
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="show every message, not only tool calls and refusals"
    )
    common_arguments.add_audit_file(parser)
    common_arguments.add_namespaces(parser)


def run(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl-C.

    Return 0, or 1 if nothing could be served, or 2 for invalid arguments.
    """
    from ostiary_operator.local import files  # noqa: PLC0415  --help must work without pydantic

    options = _options(arguments)
    problem = _clash(options)
    if problem is None:
        try:
            files.find(options.paths)
        except files.PathError as error:
            remedy = ". Name a folder with an MCPProxy in it; docs and examples are in the repository."
            problem = f"{error}{'' if str(error).endswith('?') else remedy}"
    if problem is not None:
        sys.stderr.write(f"ostiary run: {problem}\n")
        return 2
    return _serve(options)


def _options(arguments: argparse.Namespace) -> "RunOptions":
    from ostiary_operator.local.run_options import RunOptions  # noqa: PLC0415  see run

    return RunOptions(
        paths=tuple(arguments.paths or [_DEFAULT]),
        namespace=arguments.namespace,
        operator_namespace=arguments.operator_namespace,
        host=arguments.host,
        port=arguments.port,
        admin_host=arguments.admin_host,
        admin_port=arguments.admin_port,
        mock_port=arguments.mock_port,
        mock_server=not arguments.no_mock_server,
        verbose=arguments.verbose,
        audit_file=arguments.audit_file,
        console_port=None if arguments.no_console else arguments.console_port,
        console_token=arguments.console_token,
        prometheus=common_arguments.prometheus(arguments),
    )


def _clash(options: "RunOptions") -> str | None:
    """Return an error message if two ports are the same, else None."""
    named = {"PORT": options.port, "ADMIN_PORT": options.admin_port}
    if options.mock_server:
        named["MOCK_PORT"] = options.mock_port
    if options.console_port is not None:
        named["CONSOLE_PORT"] = options.console_port
    taken: dict[int, str] = {}
    for name, port in named.items():
        if port and port in taken:
            return f"{taken[port]} and {name} are both {port}: give one of them another number."
        taken[port] = name
    return None


def _serve(options: "RunOptions") -> int:
    from ostiary_operator.local import console, runner  # noqa: PLC0415  help needs none of it

    terminal = console.Console(sys.stdout, colour=console.wants_colour(sys.stdout))
    logging.basicConfig(level=logging.WARNING, handlers=[console.ConsoleHandler(terminal)])
    return asyncio.run(runner.run(options, terminal, _companion(options, terminal)))


def _companion(options: "RunOptions", terminal: "Console") -> "Companion | None":
    """Return the console, unless the options exclude it."""
    if options.console_port is None:
        return None
    from ostiary_operator.console.run_console import RunConsole  # noqa: PLC0415  likewise

    return RunConsole(options, say=lambda text: terminal.event("console", text))
