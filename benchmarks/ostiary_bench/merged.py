"""The cost of a call through merged servers and through a bridge, and of a merged list, in one run.

All ways to call are measured in turns, one second each, on one core. A multiple is the median over the rounds of the
quotient with what it is compared with in the same round, so other work on the machine changes it little.
"""

import json
import os
import statistics
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from ostiary_bench import messages, servers
from ostiary_bench.access_resources import API_KEY, key_secret
from ostiary_bench.calls import ending
from ostiary_bench.gateways_under_test import compile_into, policy, proxy, start_gateway
from ostiary_bench.load import Load, measured_loop, require_result
from ostiary_bench.probes import answers
from ostiary_tools.common.ports import reserve_port
from ostiary_tools.common.processes import Process, wait_until

TITLE: Final = "## Several servers, and servers of the other era"
_KEY: Final = {"Authorization": f"Bearer {API_KEY}"}
_META: Final = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
_PARAMS: Final[Mapping[str, Any]] = {"name": messages.TOOL, "arguments": {"limit": 10}}
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


@dataclass(frozen=True, slots=True)
class MergedWay:
    """One way to call: its name, the path, the load, and what its cost is compared with."""

    name: str
    path: str
    load: Load
    compared_with: str = ""
    at_most: float | None = None


@dataclass(frozen=True, slots=True)
class MergedRow:
    """The cost of one way to call: microseconds of CPU, the multiple, and requests to servers for each of ours."""

    name: str
    cpu_microseconds: float
    compared_with: str
    multiple: float | None
    at_most: float | None
    upstream_requests: float | None


@dataclass(frozen=True, slots=True)
class MergedFigures:
    """All figures."""

    rounds: int
    rows: Sequence[MergedRow]

    def document(self) -> dict[str, Any]:
        """Return the figures as JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Target:
    """A process on the measured core, and one way to call it."""

    way: MergedWay
    process: Process
    url: str


_STATELESS: Final = "a call, stateless, one server"
_SESSION: Final = "a call in a session, one server"
_NGINX: Final = "nginx proxy_pass, list of 200"


def measure(*, rounds: int, seconds: float = 1.0) -> MergedFigures:
    """Measure everything in one run."""
    with tempfile.TemporaryDirectory() as text:
        directory = Path(text)
        with _targets(directory) as (targets, upstream):
            counts = [_upstream_requests(each, upstream) for each in targets]
            costs = [_round(directory, targets, number, seconds) for number in range(rounds + 1)][1:]
    rows = [_row(targets, costs, index, counts[index]) for index in range(len(targets))]
    return MergedFigures(rounds, rows)


@contextmanager
def _targets(directory: Path) -> Iterator[tuple[list[_Target], int]]:
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
        plain = MergedWay(_NGINX, "list-200", _stateless_list())
        found = [_Target(plain, floor, f"http://127.0.0.1:{floor_port}/list-200")]
        found += [_Target(way, gateway, _endpoint(port, way.path)) for way in _ways(port)]
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


def _ways(port: int) -> list[MergedWay]:
    one, merged = _endpoint(port, "plain-legacy"), _endpoint(port, "tools")
    bridged = _endpoint(port, "plain-modern")
    return [
        MergedWay(_STATELESS, "plain-modern", _stateless(messages.TOOL)),
        MergedWay("a call, stateless, merged", "tools", _stateless(f"a_{messages.TOOL}"), _STATELESS, 1.15),
        MergedWay("a call, stateless, bridged to a server with sessions", "plain-legacy", _stateless(messages.TOOL),
                  _STATELESS, 1.5),
        MergedWay(_SESSION, "plain-legacy", _in_session(one, messages.TOOL)),
        MergedWay("a call in a session, merged", "tools", _in_session(merged, f"b_{messages.TOOL}"), _SESSION, 1.15),
        MergedWay("a call in a session, merged, at a stateless server", "tools",
                  _in_session(merged, f"a_{messages.TOOL}"), _SESSION),
        MergedWay("a call in a session, bridged to a stateless server", "plain-modern",
                  _in_session(bridged, messages.TOOL), _SESSION, 1.5),
        MergedWay("merged list of 200, cached", "tools", _stateless_list(), _NGINX, 0.6),
    ]  # fmt: skip


def _stateless(tool: str) -> Load:
    params = {**_PARAMS, "name": tool, "_meta": _META}
    headers = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": tool, **_KEY}
    return Load(messages.encoded({**messages.CALL, "params": params}), headers=headers)


def _stateless_list() -> Load:
    headers = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/list", **_KEY}
    return Load(messages.encoded({**messages.LIST, "params": {"_meta": _META}}), headers=headers)


def _in_session(url: str, tool: str) -> Load:
    """Return calls in a session that is opened here."""
    client = {"name": "bench", "version": "1"}
    params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client}
    opened = _post(url, {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}, _KEY)
    headers = {"MCP-Protocol-Version": "2025-11-25", "Mcp-Session-Id": opened["Mcp-Session-Id"], **_KEY}
    _post(url, {"jsonrpc": "2.0", "method": "notifications/initialized"}, headers)
    call = {**messages.CALL, "params": {**_PARAMS, "name": tool}}
    return Load(messages.encoded(call), headers=headers)


def _post(url: str, message: Mapping[str, Any], headers: Mapping[str, str]) -> Mapping[str, str]:
    """Send a message and return the headers of the response."""
    accepted = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    body = json.dumps(message).encode()
    request = urllib.request.Request(url, data=body, headers={**accepted, **headers})  # noqa: S310  our own URL
    with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310  our own URL
        return {name.title(): value for name, value in response.headers.items()}


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


def _upstream_requests(target: _Target, port: int) -> float | None:
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


def _round(directory: Path, targets: Sequence[_Target], number: int, seconds: float) -> list[float]:
    """Measure each once, in an order that changes from round to round."""
    order = list(range(len(targets)))[:: 1 if number % 2 == 0 else -1]
    found = {}
    for index in order:
        it = targets[index]
        loop = measured_loop(directory, it.way.load, pid=it.process.pid, url=it.url, seconds=seconds)
        found[index] = loop.cpu_microseconds
    print(f"  round {number}: " + ", ".join(f"{found[n]:.1f}" for n in sorted(found)), file=sys.stderr, flush=True)
    return [found[index] for index in sorted(found)]


def _row(targets: Sequence[_Target], costs: Sequence[Sequence[float]], index: int, requests: float | None) -> MergedRow:
    way = targets[index].way
    base = next((n for n, each in enumerate(targets) if each.way.name == way.compared_with), None)
    multiple = statistics.median(found[index] / found[base] for found in costs) if base is not None else None
    cost = statistics.median(found[index] for found in costs)
    return MergedRow(way.name, cost, way.compared_with, multiple, way.at_most, requests)


def section(found: MergedFigures, *, at: str, machine: str) -> str:
    """Return the section of the page."""
    table = "\n".join(map(_line, found.rows))
    return _SECTION.format(title=TITLE, at=at, machine=machine, rounds=found.rounds, table=table)


def _line(row: MergedRow) -> str:
    multiple = f"{row.multiple:.2f}" if row.multiple is not None else ""
    is_above = row.at_most is not None and row.multiple is not None and row.multiple > row.at_most
    target = f"{row.at_most:g}" if row.at_most is not None else ""
    requests = f"{row.upstream_requests:g}" if row.upstream_requests is not None else ""
    shown = f"**{multiple}**" if is_above else multiple
    return f"| {row.name} | {row.cpu_microseconds:.1f} µs | {row.compared_with} | {shown} | {target} | {requests} |"
