"""ToolHive's virtual MCP server, in Go."""

from functools import partial
from pathlib import Path
from typing import Final

from ostiary_compare.gateway import (
    GOVERNED,
    RULES,
    UNGOVERNED,
    Claims,
    Gateway,
    Mode,
    Started,
    Surroundings,
    free_port,
    listening,
    printed,
)
from ostiary_compare.requests import Endpoint

_RULE: Final = '    - \'permit(principal, action == Action::"call_tool", resource == Tool::"tool_{0}");\''
_QUIET: Final = {"TOOLHIVE_SKIP_UPDATE_CHECK": "true", "TOOLHIVE_USAGE_METRICS_ENABLED": "false", "CI": "true"}


def _start(given: Surroundings, *, mode: str) -> Started:
    port = free_port()
    rules = "\n".join(_RULE.format(number) for number in range(RULES - 1))
    values = {"rules": rules, "collector_port": given.collector_port} if mode == GOVERNED else {}
    config = given.write(f"toolhive/{mode}.yaml", **values)
    command = ("serve", "--config", str(config), *listening(port))
    process = given.start("vmcp", given.program, *command, port=port, env=_QUIET)
    return Started(process, Endpoint(f"http://127.0.0.1:{port}/mcp", {}))


def _version(program: Path) -> str:
    """Return the version in a line of its log, which is JSON."""
    said = printed(program, "version")
    return said.rpartition("version: ")[2].rstrip('"}')


TOOLHIVE: Final = Gateway(
    "ToolHive vMCP",
    "vmcp",
    "Take a release of github.com/stacklok/toolhive.",
    (
        Mode(UNGOVERNED, "its log", partial(_start, mode=UNGOVERNED)),
        Mode(
            GOVERNED,
            "100 Cedar policies, its spans of every call; no key, no limit",
            partial(_start, mode=GOVERNED),
            Claims(rules=True, spans=1),
        ),
    ),
    _version,
)
