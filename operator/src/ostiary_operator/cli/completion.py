"""``ostiary completion``: prints the script by which a shell completes command lines."""

import argparse
import sys
from importlib import resources
from typing import Final

SHELLS: Final = ("bash", "zsh", "fish")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.add_argument("shell", metavar="SHELL", choices=SHELLS, help=f"one of {', '.join(SHELLS)}")


def run(arguments: argparse.Namespace) -> int:
    """Print the script of a shell; return 0."""
    sys.stdout.write(script(arguments.shell))
    return 0


def script(shell: str) -> str:
    """Return the script of a shell, which asks `ostiary __complete` what may stand next."""
    return (resources.files(__package__) / "shell_scripts" / f"ostiary.{shell}").read_text(encoding="utf-8")
