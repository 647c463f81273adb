"""Tyk's gateway with an MCP proxy, in Go. Keys are in a Redis of its own, which runs on the core of the load."""

import json
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Final

from ostiary_bench.servers import OTHER_CORE
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
from ostiary_tools.common.errors import ToolError
from ostiary_tools.common.processes import Process

_ATTEMPTS: Final = 300
_REDIS: Final = ("redis-server", "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port")


def _start(given: Surroundings) -> Started:
    process, port = _run(given, governed=False)
    return Started(process, Endpoint(f"http://127.0.0.1:{port}/mcp", {}))


def _start_governed(given: Surroundings) -> Started:
    process, port = _run(given, governed=True)
    rules = ", ".join(f'"tool_{number}|other_{number}_.*"' for number in range(RULES - 1))
    key = given.write("tyk/key.json", rules=rules).read_bytes()
    _add_key(f"http://127.0.0.1:{port}/tyk/keys/{KEY}", key)
    return Started(process, Endpoint(f"http://127.0.0.1:{port}/mcp", {"Authorization": KEY}))


def _run(given: Surroundings, *, governed: bool) -> tuple[Process, int]:
    port, redis_port = free_port(), free_port()
    given.start("redis", *_REDIS, str(redis_port), port=redis_port, core=OTHER_CORE)
    apps = given.directory / "apps"
    apps.mkdir()
    said = json.dumps(governed)
    for name in ("compare.json", "compare-mcp.json"):
        values = {"keyless": json.dumps(not governed), "authenticated": said}
        security = '[{"authToken": []}]' if governed else "[]"
        given.write(f"tyk/{name}", **values, security=security).rename(apps / name)
    for name in ("error.json", "error.xml"):
        given.write(f"tyk/{name}")
    values = {"tracing": said, "redis_port": str(redis_port), "collector_port": str(given.collector_port)}
    config = given.write("tyk/tyk.conf", port=port, **values)
    return given.start("tyk", given.program, "--conf", config, port=port), port


def _add_key(url: str, key: bytes) -> None:
    """Add a key through Tyk's API, which answers some time after the port does.

    Raises:
        ToolError: it is refused, or never accepted.
    """
    headers = {"X-Tyk-Authorization": KEY, "Content-Type": "application/json"}
    request = urllib.request.Request(url, key, headers)  # noqa: S310  our own URL
    reason = "it did not answer"
    for _ in range(_ATTEMPTS):
        try:
            with urllib.request.urlopen(request, timeout=10):  # noqa: S310  our own URL
                return
        except urllib.error.HTTPError as error:
            reason = f"it answered {error.code}: {error.read()[:300]!r}"
        except OSError as error:
            reason = str(error)
        time.sleep(0.1)
    raise ToolError(f"Tyk took no key at {url}: {reason}")


def _version(program: Path) -> str:
    return printed(program, "--version")


TYK: Final = Gateway(
    "Tyk",
    "tyk",
    "Take a package of tyk.io/docs, or a release of github.com/TykTechnologies/tyk; install Redis, too.",
    (
        Mode(UNGOVERNED, "keyless", _start),
        Mode(
            GOVERNED,
            "key with an allow list of 100 tools and a rate, its spans of every call",
            _start_governed,
            Claims(key=True, rules=True, limit=True, spans=1),
        ),
    ),
    _version,
    needs=("redis-server",),
)
