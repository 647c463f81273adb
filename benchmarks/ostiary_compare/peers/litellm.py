"""LiteLLM's proxy as an MCP gateway, in Python."""

from functools import partial
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
from ostiary_compare.mcp_server import allowed_tools
from ostiary_compare.requests import Endpoint

_QUIET: Final = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR", "NO_DOCS": "True"}


def _start(given: Surroundings, *, mode: str) -> Started:
    port = free_port()
    rules = ", ".join([*(f"tool_{number}" for number in range(RULES - 1)), *allowed_tools()])
    config = given.write(f"litellm/{mode}.yaml", **({"rules": rules} if mode == GOVERNED else {}))
    command = ("--config", str(config), *listening(port), "--telemetry", "False")
    tracing = {"OTEL_EXPORTER": "otlp_http", "OTEL_ENDPOINT": f"http://127.0.0.1:{given.collector_port}/v1/traces"}
    process = given.start(
        "litellm", given.program, *command, port=port, env={**_QUIET, **(tracing if mode == GOVERNED else {})}
    )
    headers = {"Authorization": f"Bearer sk-{KEY}"}
    return Started(process, Endpoint(f"http://127.0.0.1:{port}/mcp/", headers, prefix="up-"))


LITELLM: Final = Gateway(
    "LiteLLM",
    "litellm",
    "`pip install 'litellm[proxy]' opentelemetry-sdk opentelemetry-exporter-otlp-proto-http` into its own environment.",
    (
        Mode(UNGOVERNED, "key, which it requires", partial(_start, mode=UNGOVERNED), Claims(key=True)),
        Mode(
            GOVERNED,
            "key, a list of names, its spans of every call; no limit",
            partial(_start, mode=GOVERNED),
            Claims(key=True, rules=True, spans=1),
        ),
    ),
    lambda program: last_word_printed(program, "--version"),
)
