"""The recipes of the guide for Phoenix and MLflow, with the real packages: a call and a denial are found there."""

import asyncio
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from fenced_blocks import ROOT, fenced_blocks
from local_run import running
from mcp_clients import connect
from tracing_backends import FOLDER, backend, environment_of

from ostiary_tools.common.ports import reserve_port

PAGE = "docs/guides/tracing-backends.md"
PHOENIX, MLFLOW, *_ = fenced_blocks(PAGE, "sh")
OF_PHOENIX, OF_MLFLOW, *_ = fenced_blocks(PAGE, "dotenv")
pytestmark = [
    pytest.mark.skipif(FOLDER not in os.environ, reason="installs 850 MB for each backend: make backends"),
    pytest.mark.timeout(1800),  # it may have to be installed
]


def installed(block: str) -> Path:
    """Install the package that a block of the page installs; return the `bin` of its environment."""
    (line,) = (line for line in block.splitlines() if " install " in line)
    package, _, version = line.rpartition(" ")[2].partition("==")
    return environment_of(package, version)


def variables(block: str, port: int) -> dict[str, str]:
    """The variables of a recipe, with another port of loopback."""
    pairs = (line.partition("=") for line in block.splitlines())
    return {name: value.replace(":6006", f":{port}").replace(":5055", f":{port}") for name, _, value in pairs}


async def use_the_gateway(tmp_path: Path, env: dict[str, str]) -> None:
    """Call a tool, and another one that a policy denies, at a gateway with these variables."""
    folder = await asyncio.to_thread(shutil.copytree, ROOT / "examples" / "quickstart", tmp_path / "quickstart")
    with running(folder, env={**env, "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "SPAN_ONLY"}) as run:
        await run.opens()
        async with connect(run.url, era="modern") as client:
            await client.list_tools()
            await client.call_tool("get_users", {"limit": 2})
            await client.call_tool("delete_user", {"user_id": 1})


async def asked(found: Callable[[Any], list[Any]], method: str, url: str, **options: Any) -> list[Any]:
    """Ask a backend until its answer holds what is looked for: backends store spans later than they take them."""
    async with asyncio.timeout(120), aiohttp.ClientSession() as http:
        while True:
            async with http.request(method, url, **options) as response:
                if response.status == 200 and (rows := found(await response.json())):
                    return rows
            await asyncio.sleep(0.5)


async def test_phoenix_shows_calls_as_tools_and_why_one_was_denied(tmp_path: Path) -> None:
    port, grpc = reserve_port(), reserve_port()
    env = {
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_PORT": str(port),
        "PHOENIX_GRPC_PORT": str(grpc),
        "PHOENIX_TELEMETRY_ENABLED": "false",
        "PHOENIX_WORKING_DIR": str(tmp_path),
        "PHOENIX_ALLOW_EXTERNAL_RESOURCES": "false",
        "PHOENIX_DISABLE_AGENT_ASSISTANT": "true",
        "PHOENIX_ENABLE_MCP_SERVER": "false",
    }
    command = [str(installed(PHOENIX) / "phoenix"), "serve"]
    url = f"http://127.0.0.1:{port}"
    with backend(command, folder=tmp_path, ready=f"{url}/healthz", env=env):
        await use_the_gateway(tmp_path, variables(OF_PHOENIX, port))
        spans = await asked(
            lambda body: body["data"] if {"tools/call delete_user"} <= {each["name"] for each in body["data"]} else [],
            "GET",
            f"{url}/v1/projects/ostiary/spans?limit=100",
        )
    kinds = {(each["name"], each["span_kind"]) for each in spans}
    assert {("tools/call get_users", "TOOL"), ("tools/call get_users", "CHAIN")} <= kinds
    (denied,) = (each for each in spans if each["name"] == "tools/call delete_user")
    assert (denied["span_kind"], denied["status_code"]) == ("TOOL", "ERROR")
    assert denied["attributes"]["ostiary.access.rule"] == "no-deletions"


async def test_mlflow_has_a_trace_of_each_call_with_its_arguments(tmp_path: Path) -> None:
    port = reserve_port()
    store = f"sqlite:///{tmp_path}/mlflow.db"
    options = ["--backend-store-uri", store, "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command = [str(installed(MLFLOW) / "mlflow"), "server", *options]
    url = f"http://127.0.0.1:{port}"
    with backend(command, folder=tmp_path, ready=f"{url}/health", env={"MLFLOW_DISABLE_TELEMETRY": "true"}):
        await use_the_gateway(tmp_path, variables(OF_MLFLOW, port))
        locations = [{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}}]
        traces = await asked(
            lambda body: [each for each in body.get("traces", []) if "limit" in (each.get("request_preview") or "")],
            "POST",
            f"{url}/api/3.0/mlflow/traces/search",
            json={"locations": locations, "max_results": 100},
        )
    assert '"limit": 2' in traces[0]["request_preview"].replace('":2', '": 2')
