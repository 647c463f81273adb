"""The cost of a call through merged servers and through a bridge, and of a merged list, in one run.

All ways to call are measured in turns, one second each, on one core. A multiple is the median over the rounds of the
quotient with what it is compared with in the same round, so other work on the machine changes it little.
"""

import os
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from ostiary_bench import messages, servers
from ostiary_bench.access_resources import API_KEY, key_secret
from ostiary_bench.calls import ending
from ostiary_bench.compared_ways import ComparedFigures, ComparedWay, Target, compared_row, line, measured_costs
from ostiary_bench.eras import call_in_session, stateless_call, stateless_list
from ostiary_bench.gateways_under_test import compile_into, policy, proxy, start_gateway
from ostiary_bench.load import require_result
from ostiary_bench.probes import answers
from ostiary_tools.common.ports import reserve_port
from ostiary_tools.common.processes import Process, wait_until

TITLE: Final = "## Several servers, and servers of the other era"
_KEY: Final = {"Authorization": f"Bearer {API_KEY}"}
#: The tools that each of the merged servers lists: 200 in all.
_TOOLS: Final = (80, 60, 60)
_CALLS_COUNTED: Final = 100
_SECTION: Final = """{title}

What it costs to merge three servers behind one endpoint, and to translate between the eras of MCP. Every caller has a
key, and a policy governs every proxy. All rows are measured in turns of a second, in one run on one core. A multiple is
the median over {rounds} rounds; the target is the most that it may be, and a multiple above its target is bold.
`make bench ONLY=merge` runs it.

- The merged list has 200 tools of three servers, and is cached. nginx gets the same request, and forwards a list of 200
  tools that is as long.
- A merged call goes to the server of the caller's era, except in the row that says otherwise: there it is bridged, too.
- A bridged call is one request to the server, as a call without a bridge: the column counts them.

Measured {at} on {machine}.

| a request | CPU | compared with | multiple | target | requests to the server |
|---|---:|---|---:|---:|---:|
{table}
"""


_STATELESS: Final = "a call, stateless, one server"
_SESSION: Final = "a call in a session, one server"
_NGINX: Final = "nginx proxy_pass, list of 200"


def measure(*, rounds: int, seconds: float = 1.0) -> ComparedFigures:
    """Measure everything in one run."""
    with tempfile.TemporaryDirectory() as text:
        directory = Path(text)
        with _targets(directory) as (targets, upstream):
            counts = [_upstream_requests(each, upstream) for each in targets]
            costs = measured_costs(directory, targets, rounds=rounds, seconds=seconds)
    rows = [compared_row(targets, costs, index, counts[index]) for index in range(len(targets))]
    return ComparedFigures(rounds, rows)


@contextmanager
def _targets(directory: Path) -> Iterator[tuple[list[Target], int]]:
    """Start servers, nginx and the gateway; yield the ways to call and the port of the servers."""
    with ExitStack() as stack:
        upstream = _start_upstream(directory, stack)
        files = servers.Upstream(directory)
        stack.enter_context(ending(files.process))
        compile_into(directory / "config", list(_resources(upstream)))
        gateway, port = start_gateway(directory, "merged", directory / "config", env=_untraced())
        stack.enter_context(ending(gateway))
        floor, floor_port = servers.nginx_proxy(directory, files)
        stack.enter_context(ending(floor))
        plain = ComparedWay(_NGINX, "list-200", stateless_list(_KEY))
        found = [Target(plain, floor, f"http://127.0.0.1:{floor_port}/list-200")]
        found += [Target(way, gateway, _endpoint(port, way.path)) for way in _ways(port)]
        for each in found:
            require_result(each.url, each.way.load)
        yield found, upstream


def _start_upstream(directory: Path, stack: ExitStack) -> int:
    port = reserve_port()
    command = servers.on_core(servers.OTHER_CORE, sys.executable, "-m", "ostiary_bench.session_server", str(port))
    process = Process("session-server", command, log=directory / "session-server.log")
    stack.enter_context(ending(process))
    wait_until(lambda: answers(port), what="the upstream", processes=[process])
    return port


def _untraced() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith("OTEL_")}


def _ways(port: int) -> list[ComparedWay]:
    one, merged = _endpoint(port, "plain-legacy"), _endpoint(port, "tools")
    bridged = _endpoint(port, "plain-modern")
    return [
        ComparedWay(_STATELESS, "plain-modern", stateless_call(messages.TOOL, _KEY)),
        ComparedWay("a call, stateless, merged", "tools", stateless_call(f"a_{messages.TOOL}", _KEY), _STATELESS, 1.15),
        ComparedWay("a call, stateless, bridged to a server with sessions", "plain-legacy",
                  stateless_call(messages.TOOL, _KEY), _STATELESS, 1.5),
        ComparedWay(_SESSION, "plain-legacy", call_in_session(one, messages.TOOL, _KEY)),
        ComparedWay("a call in a session, merged", "tools",
                  call_in_session(merged, f"b_{messages.TOOL}", _KEY), _SESSION, 1.15),
        ComparedWay("a call in a session, merged, at a stateless server", "tools",
                  call_in_session(merged, f"a_{messages.TOOL}", _KEY), _SESSION),
        ComparedWay("a call in a session, bridged to a stateless server", "plain-modern",
                  call_in_session(bridged, messages.TOOL, _KEY), _SESSION, 1.5),
        ComparedWay("merged list of 200, cached", "tools", stateless_list(_KEY), _NGINX, 0.6),
    ]  # fmt: skip


def _endpoint(port: int, path: str) -> str:
    return f"http://127.0.0.1:{port}/{path}/mcp"


def _resources(upstream: int) -> Iterator[dict[str, Any]]:
    """Yield a key, a proxy for a server of each era, one that merges three servers, and a policy for all."""
    url = f"http://127.0.0.1:{upstream}"
    yield key_secret()
    yield proxy("plain-legacy", f"{url}/legacy/15")
    yield proxy("plain-modern", f"{url}/modern/15")
    merged = proxy("tools", "")
    merged["spec"]["serverSelection"] = "Merge"
    merged["spec"]["servers"] = [
        {"name": name, "prefix": f"{name}_", "url": f"{url}/{era}/{tools}"}
        for name, era, tools in zip("abc", ("modern", "legacy", "modern"), _TOOLS, strict=True)
    ]
    yield merged
    governed = policy("governed", ["plain-legacy", "plain-modern", "tools"], 100)
    governed["spec"]["authentication"] = {"apiKey": {"selector": {}}}
    governed["spec"]["access"]["rules"].append({"name": "all", "effect": "Allow", "tools": {"names": ["*"]}})
    yield governed


def _upstream_requests(target: Target, port: int) -> float | None:
    """Return how many requests reach a server for each of ours, after a first one."""
    if target.way.name == _NGINX:
        return None
    require_result(target.url, target.way.load)
    _count(port)
    for _ in range(_CALLS_COUNTED):
        require_result(target.url, target.way.load)
    return _count(port) / _CALLS_COUNTED


def _count(port: int) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/count", timeout=10) as response:
        return int(response.read())


def section(found: ComparedFigures, *, at: str, machine: str) -> str:
    """Return the section of the page."""
    table = "\n".join(map(line, found.rows))
    return _SECTION.format(title=TITLE, at=at, machine=machine, rounds=found.rounds, table=table)
