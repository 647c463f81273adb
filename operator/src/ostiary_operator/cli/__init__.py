"""The command ``ostiary``. Each sub-command imports its dependencies only when it runs."""

from ostiary_operator.cli.entry import kubectl_completion, kubectl_plugin, main

__all__ = ["kubectl_completion", "kubectl_plugin", "main"]
