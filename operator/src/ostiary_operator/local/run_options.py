"""The options of ``ostiary run``."""

from dataclasses import dataclass
from pathlib import Path

from ostiary_operator.api.labels import OPERATOR_NAMESPACE

MOCK_PORT = 7878
"""The default port of the mock MCP server, which the examples use."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The arguments of the command. Port 0 takes a free one.

    ``verbose`` shows every message, not only tool calls. ``audit_file`` is where audit records go, None for nowhere.
    """

    paths: tuple[Path, ...]
    namespace: str = "default"
    operator_namespace: str = OPERATOR_NAMESPACE
    host: str = "127.0.0.1"
    port: int = 8080
    admin_host: str = "127.0.0.1"
    admin_port: int = 8081
    mock_port: int = MOCK_PORT
    mock_server: bool = True
    verbose: bool = False
    audit_file: Path | None = None
