"""The command ``ostiary``. Each sub-command imports its dependencies only when it runs."""

from ostiary_operator.cli.entry import main

__all__ = ["main"]
