"""The command ``ostiary``: sub-commands that load what they need when they are asked for."""

from ostiary_operator.cli.entry import main

__all__ = ["main"]
