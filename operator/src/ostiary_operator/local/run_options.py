"""The options of ``ostiary run``."""

from dataclasses import dataclass
from pathlib import Path

from ostiary_core.secret_bytes import SecretBytes
from ostiary_operator.api.labels import OPERATOR_NAMESPACE

MOCK_PORT = 7878
"""The default port of the mock MCP server, which the examples use."""


@dataclass(frozen=True, slots=True)
class PrometheusAddress:
    """A Prometheus, for ranges that gateways do not keep, and the token that it wants."""

    url: str
    token: SecretBytes | None = None


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The arguments of the command. Port 0 takes a free one.

    ``verbose`` shows every message, not only tool calls. ``audit_file`` is where audit records go, None for nowhere.
    ``console_port`` is None without a console; ``console_token`` opens it for scripts, in place of the link that works
    once.
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
    console_port: int | None = None
    console_token: SecretBytes | None = None
    prometheus: PrometheusAddress | None = None
