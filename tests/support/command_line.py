"""The command line as users meet it: arguments in, exit code and two streams out."""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import pytest

from ostiary_operator.cli import main


class CommandResult(NamedTuple):
    """What a call came to."""

    code: int
    out: str
    err: str


Ostiary: TypeAlias = Callable[..., CommandResult]
"""Calls `ostiary` with the arguments, within the test's process."""


def ostiary_command(capsys: pytest.CaptureFixture[str]) -> Ostiary:
    """Return what calls `ostiary` and captures what it says."""

    def call(*arguments: str) -> CommandResult:
        try:
            code = main(arguments)
        except SystemExit as ended:
            code = int(ended.code or 0)
        return CommandResult(code, *capsys.readouterr())

    return call
