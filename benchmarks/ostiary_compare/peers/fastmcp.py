"""FastMCP's proxy, in Python: `fastmcp run URL`, and the same with middleware."""

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
    last_word_printed,
    listening,
)
from ostiary_compare.requests import Endpoint

_QUIET: Final = {"FASTMCP_CHECK_FOR_UPDATES": "off", "FASTMCP_SHOW_SERVER_BANNER": "false"}


def _start(given: Surroundings) -> Started:
    return _run(given, given.upstream, {})


def _start_governed(given: Surroundings) -> Started:
    config = given.write("fastmcp/governed.py.template", others=RULES - 1)
    return _run(given, str(config), {"Authorization": f"Bearer {KEY}"})


def _run(given: Surroundings, what: str, headers: dict[str, str]) -> Started:
    port = free_port()
    command = ("run", what, "--transport", "http", *listening(port))
    process = given.start("fastmcp", given.program, *command, port=port, env=_QUIET)
    return Started(process, Endpoint(f"http://127.0.0.1:{port}/mcp", headers))


FASTMCP: Final = Gateway(
    "FastMCP proxy",
    "fastmcp",
    "`pip install fastmcp opentelemetry-sdk opentelemetry-exporter-otlp-proto-http` into an environment of its own.",
    (
        Mode(UNGOVERNED, "its access log", _start),
        Mode(
            GOVERNED,
            "key, 100 names in a check of its own, a rate limit, its spans of every call",
            _start_governed,
            Claims(key=True, rules=True, limit=True, spans=1),
        ),
    ),
    lambda program: last_word_printed(program, "version"),
)
