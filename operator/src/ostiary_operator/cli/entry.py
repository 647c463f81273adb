"""The entry point of ``ostiary``: parses the arguments and runs the sub-command."""

import argparse
import importlib
import os
import shutil
import sys
from collections.abc import Sequence
from typing import Final

from ostiary_core.version import __version__
from ostiary_operator.cli.command import Command
from ostiary_operator.cli.commands import COMMANDS, OPTIONAL_PACKAGES

#: What shells ask (Cobra's protocol), and whether they want descriptions.
_COMPLETIONS: Final = {"__complete": True, "__completeNoDesc": False}
_PROGRAM: Final = "ostiary"
_DESCRIPTION: Final = "The gateway between AI agents and MCP servers on Kubernetes."
_EPILOG: Final = """\
start here:
  ostiary run              start a gateway on this machine, with a mock MCP server behind it
  ostiary COMMAND --help   show what a command does, with examples
"""


class _Help(argparse.HelpFormatter):
    """Wraps descriptions as paragraphs, and keeps the line breaks of examples."""

    def __init__(self, prog: str) -> None:
        width = min(shutil.get_terminal_size((100, 24)).columns, 120)
        super().__init__(prog, max_help_position=30, width=width)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if "\n" in text else super()._fill_text(text, width, indent)


def main(argv: Sequence[str] | None = None, *, program: str = _PROGRAM) -> int:
    """Run a sub-command and return the exit code: 0 success, 1 failure, 2 wrong usage.

    ``argv`` are the arguments; None takes those of the process. ``program`` is what people type to start it.

    Raises:
        SystemExit: from argparse, for ``--help``, ``--version`` and wrong usage.
    """
    given = list(sys.argv[1:] if argv is None else argv)
    if given and given[0] in _COMPLETIONS:
        return _complete(given[1:], descriptions=_COMPLETIONS[given[0]])
    command = _named(given)
    try:
        parser = _parser(command, program)
        if not given:
            parser.print_help(sys.stderr)
            return 2
        arguments = parser.parse_args(given)
        return _run(arguments.command, arguments)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if command is None or package not in OPTIONAL_PACKAGES:
            raise
        return _complain(command, package)


def kubectl_plugin() -> int:
    """Run a sub-command as `kubectl ostiary`: kubectl starts the program `kubectl-ostiary`."""
    return main(program="kubectl ostiary")


def kubectl_completion() -> int:
    """Complete a line of `kubectl ostiary`: kubectl starts `kubectl_complete-ostiary`."""
    return main(["__complete", *sys.argv[1:]])


def _complete(words: Sequence[str], *, descriptions: bool) -> int:
    from ostiary_operator.cli import complete  # noqa: PLC0415  no other command needs it

    return complete.answer(words, _parser(_named(words[:-1])), descriptions=descriptions)


def _named(argv: Sequence[str]) -> Command | None:
    """Return the sub-command that the arguments name. The options before it take no values."""
    word = next((word for word in argv if not word.startswith("-")), None)
    return next((command for command in COMMANDS if command.name == word), None)


def _parser(chosen: Command | None, program: str = _PROGRAM) -> argparse.ArgumentParser:
    """Return the parser of the command line.

    Only the chosen command has its arguments, since they require an import.
    """
    parser = argparse.ArgumentParser(prog=program, description=_DESCRIPTION, epilog=_EPILOG, formatter_class=_Help)
    parser.add_argument("--version", action="version", version=f"ostiary {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        below = commands.add_parser(
            command.name,
            help=command.summary,
            description=command.description,
            epilog=command.epilog,
            formatter_class=_Help,
        )
        below.set_defaults(command=command)
        if command is chosen:
            importlib.import_module(command.arguments or command.module).add_arguments(below)
    return parser


def _run(command: Command, arguments: argparse.Namespace) -> int:
    try:
        code = int(importlib.import_module(command.module).run(arguments))
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of our output has closed the pipe, as `head` does: discard what is still buffered.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130
    return code


def _complain(command: Command, package: str) -> int:
    extras = ",".join(command.extras)
    sys.stderr.write(
        f"ostiary {command.name}: the package {package} is missing: install ostiary with its extra {extras}, "
        f"in a clone of the repository with: pip install '.[{extras}]'\n"
    )
    return 1
