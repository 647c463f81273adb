"""What ``ostiary run`` was told."""

from dataclasses import dataclass
from pathlib import Path

MOCK_PORT = 7878
"""Where the mock MCP server listens unless it is told otherwise, and where examples expect it."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The arguments. Ports are numbers, 0 for a free one. ``verbose`` shows every message, not tool calls alone."""

    paths: tuple[Path, ...]
    namespace: str = "default"
    operator_namespace: str = "ostiary-system"
    host: str = "127.0.0.1"
    port: int = 8080
    admin_host: str = "127.0.0.1"
    admin_port: int = 8081
    mock_port: int = MOCK_PORT
    mock_server: bool = True
    verbose: bool = False
