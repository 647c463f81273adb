"""This gateway: ungoverned, and governed with a share of calls traced."""

import base64
import platform
import sysconfig
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import yaml

from ostiary_bench.gateways_under_test import compile_into
from ostiary_bench.probes import ready
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
)
from ostiary_compare.origins import checkout
from ostiary_compare.requests import Endpoint
from ostiary_core.version import __version__
from ostiary_tools import local_gateway
from ostiary_tools.common.processes import wait_until

#: Governed, and one call in a hundred is traced.
SPARSELY_TRACED: Final = "governed, spans of 1 %"
_RULE: Final = "    - {{name: rule-{0}, effect: Allow, tools: {{names: [tool_{0}, other_{0}_*]}}}}"


def _start(given: Surroundings, *, share: float | None) -> Started:
    """Start it; ``share`` of the calls are traced, and it is ungoverned without one."""
    name = "ungoverned" if share is None else "governed"
    rules = "\n".join(_RULE.format(number) for number in range(RULES - 1))
    values = {} if share is None else {"rules": rules, "key_base64": base64.b64encode(KEY.encode()).decode()}
    resources = list(yaml.safe_load_all(given.write(f"ostiary/{name}.yaml", **values).read_text()))
    audit = {"sinks": [{"file": {"path": str(given.directory / "audit.jsonl"), "maxSize": "256Mi", "maxFiles": 2}}]}
    config = given.directory / "config"
    compile_into(config, resources, {"audit": audit} if share is not None else None)
    port, admin = free_port(), free_port()
    command = [given.program, *local_gateway.arguments(config, port=port, admin_port=admin)]
    process = given.start("ostiary", *command, port=port, env=_environment(given, share))
    wait_until(lambda: ready(admin), what="the gateway", processes=[process])
    path = "plain" if share is None else "governed"
    headers = {} if share is None else {"Authorization": f"Bearer {KEY}"}
    return Started(process, Endpoint(f"http://127.0.0.1:{port}/{path}/mcp", headers))


def _environment(given: Surroundings, share: float | None) -> dict[str, str]:
    if share is None:
        return {}
    endpoint = f"http://127.0.0.1:{given.collector_port}"
    sampler = {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": str(share)}
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, **sampler}


def interpreter() -> str:
    """Return Python's version, and the optimisations that its build names: without them a call costs a fifth more."""
    arguments = str(sysconfig.get_config_var("CONFIG_ARGS"))
    found = [name for name, option in (("PGO", "--enable-optimizations"), ("LTO", "--with-lto")) if option in arguments]
    return f"Python {platform.python_version()}" + (f" ({', '.join(found)})" if found else "")


_POLICIES: Final = "key, 100 rules, two limits, metrics, an audit record in a file, both spans of"
_ENFORCED: Final = Claims(key=True, rules=True, limit=True)
OSTIARY: Final = Gateway(
    "Ostiary",
    "ostiary",
    "Run `make compare` in a checkout.",
    (
        Mode(UNGOVERNED, "metrics", partial(_start, share=None)),
        Mode(SPARSELY_TRACED, f"{_POLICIES} 1 % of calls", partial(_start, share=0.01), _ENFORCED),
        Mode(GOVERNED, f"{_POLICIES} every call", partial(_start, share=1.0), replace(_ENFORCED, spans=2)),
    ),
    lambda _: f"{__version__}, {interpreter()}",
    origin=lambda _: checkout(Path(__file__).parents[3]),
)
