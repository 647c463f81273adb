"""Generates the tables of `docs/reference/metrics.md` from what the code declares.

`python -m ostiary_tools.generate.metrics_page` writes them between their marks; a test fails when they are out of date,
and others when a process exports a family that is not declared.
"""

import argparse
import importlib
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Final

import ostiary_gateway.metrics
import ostiary_gateway.workers
import ostiary_operator.controller.metrics
from ostiary_core.metric_export.sdk_metrics import otlp_attribute, otlp_name
from ostiary_core.metric_family import MetricFamily, MetricKind
from ostiary_tools.generate.pages import filled, filled_text, rewrite

ROOT: Final = Path(__file__).parents[3]
PAGE: Final = ROOT / "docs" / "reference" / "metrics.md"
#: Families of the client library, which has no declaration: what it says of them.
OF_THE_PROCESS: Final = (
    MetricFamily("process_cpu_seconds", "CPU time of the process, of user and system", MetricKind.COUNTER),
    MetricFamily("process_resident_memory_bytes", "Memory of the process that is in RAM"),
    MetricFamily("process_virtual_memory_bytes", "Address space of the process"),
    MetricFamily("process_open_fds", "Open files and sockets"),
    MetricFamily("process_max_fds", "The most files and sockets that may be open"),
    MetricFamily("process_start_time_seconds", "When the process started, in seconds since the epoch"),
)
LABELS: Final = {
    "mcp_method_name": "an MCP method of our table, or an HTTP method of a request without a message",
    "ostiary_proxy": "`namespace/name` of an MCPProxy; absent where no proxy has the path",
    "ostiary_server": "name of a server in `spec.servers`",
    "gen_ai_tool_name": "a tool that the server has listed, or that a rule or limit writes out; absent for other names",
    "gen_ai_prompt_name": "the same for a prompt",
    "mcp_resource_uri": "a resource that the server has listed",
    "worker": "number of a worker, from 0; of gateways with several workers only",
    "error_type": (
        "why it failed, absent for a success: a JSON-RPC code, `tool_error`, a fault of the server, an HTTP status, "
        "`caller_left`, `cancelled`; `_OTHER` for codes that servers invent"
    ),
    "rpc_response_status_code": "the JSON-RPC error code, absent for a result",
    "http_response_status_code": "the HTTP status",
    "ostiary_policy": "`namespace/name` of an MCPPolicy; absent where none decided",
    "ostiary_rule": "name of a rule; absent where none decided",
}


def families(package: ModuleType) -> list[MetricFamily]:
    """Return the families that the modules of a package, or one module, declare; by name."""
    names = [each.name for each in pkgutil.iter_modules(getattr(package, "__path__", ()), f"{package.__name__}.")]
    modules = [package, *map(importlib.import_module, names)]
    found = {each.name: each for module in modules for each in vars(module).values() if isinstance(each, MetricFamily)}
    return [found[name] for name in sorted(found)]


def render() -> str:
    """The page as it should be.

    Raises:
        ToolError: it lacks its marks.
    """
    gateway = [*families(ostiary_gateway.metrics), *families(ostiary_gateway.workers), *OF_THE_PROCESS]
    operator = [*families(ostiary_operator.controller.metrics), *OF_THE_PROCESS]
    page = filled(PAGE, "labels", "\n".join(_labels()))
    page = filled_text(PAGE, page, "gateway", "\n".join(_table(gateway)))
    return filled_text(PAGE, page, "operator", "\n".join(_table(operator)))


def _labels() -> Iterator[str]:
    yield "| Label | Over OTLP | Values |"
    yield "|---|---|---|"
    for label, words in LABELS.items():
        yield f"| `{label}` | `{otlp_attribute(label)}` | {words} |"


def _table(found: list[MetricFamily]) -> Iterator[str]:
    yield "| Metric | Kind | Labels | What it is | Over OTLP |"
    yield "|---|---|---|---|---|"
    for family in found:
        labels = ", ".join(f"`{label}`" for label in family.labels)
        name, unit = otlp_name(family.name)
        over = f"`{name}`{f' ({unit})' if unit else ''}"
        yield f"| `{family.exposed_name}` | {family.kind} | {labels} | {family.text} | {over} |"


def main() -> int:
    """Write the page; print its path if it changed."""
    parser = argparse.ArgumentParser(prog="python -m ostiary_tools.generate.metrics_page", description=main.__doc__)
    parser.parse_args()
    rewrite(PAGE, render())
    return 0


if __name__ == "__main__":
    sys.exit(main())
