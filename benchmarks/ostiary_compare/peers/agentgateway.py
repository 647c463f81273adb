"""agentgateway: a proxy for agents, in Rust."""

import re
from functools import partial
from pathlib import Path
from typing import Final

from ostiary_compare.gateway import (
    GOVERNED,
    KEY,
    RULES,
    UNGOVERNED,
    Claims,
    Gateway,
    Mode,
    Started,
    Surroundings,
    free_port,
    printed,
)
from ostiary_compare.requests import Endpoint

_RULE: Final = '      - \'mcp.tool.name == "tool_{0}" || mcp.tool.name.startsWith("other_{0}_")\''


def _start(given: Surroundings, *, mode: str) -> Started:
    port, admin, stats, readiness = (free_port() for _ in range(4))
    rules = "\n".join(_RULE.format(number) for number in range(RULES - 1))
    values = {"rules": rules, "collector_port": given.collector_port} if mode == GOVERNED else {}
    ports = {"port": port, "admin": admin, "stats": stats, "readiness": readiness}
    config = given.write(f"agentgateway/{mode}.yaml", **ports, **values)
    process = given.start("agentgateway", given.program, "-f", config, port=port)
    headers = {"Authorization": f"Bearer {KEY}"} if mode == GOVERNED else {}
    return Started(process, Endpoint(f"http://127.0.0.1:{port}/mcp", headers))


def _version(program: Path) -> str:
    """Return the version in what it prints, which is JSON; that of a build from source is a commit."""
    found = re.search(r'"version": "([^"]*)"', printed(program, "--version"))
    version = found[1] if found else "unknown"
    return re.sub(r"^([0-9a-f]{12})[0-9a-f]{28}", r"\1", version)


AGENTGATEWAY: Final = Gateway(
    "agentgateway",
    "agentgateway",
    "Take a release of github.com/agentgateway/agentgateway.",
    (
        Mode(UNGOVERNED, "its access log and metrics", partial(_start, mode=UNGOVERNED)),
        Mode(
            GOVERNED,
            "key, 100 CEL rules, a rate limit, its access log and metrics, both its spans of every call",
            partial(_start, mode=GOVERNED),
            Claims(key=True, rules=True, limit=True, spans=2),
        ),
    ),
    _version,
)
