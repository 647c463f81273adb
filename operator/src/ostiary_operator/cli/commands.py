"""All sub-commands, in the order in which help shows them.

It imports no sub-command, so that --help is fast.
"""

from typing import Final

from ostiary_operator.cli.cluster_commands import CLUSTER_COMMANDS
from ostiary_operator.cli.file_commands import FILE_COMMANDS
from ostiary_operator.cli.process_commands import PROCESS_COMMANDS

COMMANDS: Final = (*FILE_COMMANDS, *CLUSTER_COMMANDS, *PROCESS_COMMANDS)

#: Packages that only an extra installs. If one is missing, the command says how to install it.
OPTIONAL_PACKAGES: Final = frozenset(
    {
        "aiohttp",
        "cryptography",
        "jinja2",
        "jwt",
        "kopf",
        "kubernetes",
        "mcp",
        "mcp_types",
        "opentelemetry",
        "prometheus_client",
        "redis",
        "starlette",
        "uvicorn",
    }
)
