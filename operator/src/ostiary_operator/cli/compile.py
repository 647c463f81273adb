"""``ostiary compile``: its arguments and exit codes."""

import argparse
import asyncio
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ostiary_operator.cli.common_arguments import add_namespaces

if TYPE_CHECKING:
    from ostiary_operator.local.compilation import Compiler

WELL, PROBLEMS, UNUSABLE = 0, 1, 2
"""The exit codes."""

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.add_argument(
        "paths",
        metavar="PATH",
        nargs="+",
        type=Path,
        help="a file or a folder with MCPProxies, MCPPolicies and the gateway's settings",
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=Path,
        required=True,
        help="folder for `ostiary gateway --config`; created if it is missing; existing keys are kept",
    )
    parser.add_argument("--watch", action="store_true", help="keep running, and compile again whenever a file changes")
    add_namespaces(parser)


def run(arguments: argparse.Namespace) -> int:
    """Compile; return 0, or 1 if the files have problems, or 2 if a path cannot be used."""
    from ostiary_operator.local import compilation, files  # noqa: PLC0415  help needs none of it

    try:
        files.find(arguments.paths)
        compiler = compilation.Compiler(
            tuple(arguments.paths),
            arguments.out,
            namespace=arguments.namespace,
            operator_namespace=arguments.operator_namespace,
            say=_say,
        )
        if arguments.watch:
            asyncio.run(_follow(compiler))
            return WELL
        return WELL if compiler.compile() else PROBLEMS
    except (files.PathError, compilation.OutUnusable) as error:
        sys.stderr.write(f"ostiary compile: {error}\n")
        return UNUSABLE


async def _follow(compiler: "Compiler") -> None:
    """Compile whenever a file changes, until SIGINT or SIGTERM."""
    following = asyncio.create_task(compiler.follow(), name="compile")
    for number in _SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, following.cancel)
    try:
        await following
    except asyncio.CancelledError:
        _say("ended")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
