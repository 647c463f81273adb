"""What calls cost at several endpoints, at open circuit breakers and at REST services.

What the loss of half of the endpoints does to calls is measured with it (:mod:`.lost_endpoints`).
"""

import os
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from ostiary_bench import lost_endpoints, messages, servers
from ostiary_bench.calls import ending
from ostiary_bench.compared_ways import ComparedFigures, ComparedWay, Target, compared_row, line, measured_costs
from ostiary_bench.gateways_under_test import compile_into, proxy, start_gateway
from ostiary_bench.load import Load, require_result
from ostiary_bench.lost_endpoints import LostRow
from ostiary_tools.common.errors import ToolError
from ostiary_tools.common.ports import reserve_port

TITLE: Final = "## Several endpoints, open circuit breakers, and REST services"
_ENDPOINTS: Final = 8
_CALL: Final = Load(messages.encoded(messages.CALL))
_ONE: Final = "a call, one endpoint"
_OPEN: Final = "a call that an open circuit breaker refuses"
_SECTION: Final = """{title}

What it costs to choose one of eight endpoints of a server, with passive health checks and retries as they are by
default; what a refused call costs while a circuit breaker is open; and what it costs to carry out a call of a tool as a
REST request. All rows are measured in turns of a second, in one run on one core, as the median over {rounds} rounds. A
multiple above its target is bold. `make bench ONLY=endpoints` runs it.

Measured {at} on {machine}.

| a call | CPU | compared with | multiple | target |
|---|---:|---|---:|---:|
{table}
"""


@dataclass(frozen=True, slots=True)
class EndpointFigures:
    """All figures: what calls cost, and what the loss of endpoints does to them."""

    costs: ComparedFigures
    lost: Sequence[LostRow]

    def document(self) -> dict[str, Any]:
        """Return the figures as JSON."""
        return {**self.costs.document(), "lost": [asdict(each) for each in self.lost]}


def measure(*, rounds: int, seconds: float = 1.0) -> EndpointFigures:
    """Measure everything in one run."""
    return EndpointFigures(_costs(rounds=rounds, seconds=seconds), lost_endpoints.measure())


def _costs(*, rounds: int, seconds: float) -> ComparedFigures:
    with tempfile.TemporaryDirectory() as text:
        directory = Path(text)
        with _targets(directory) as targets:
            costs = measured_costs(directory, targets, rounds=rounds, seconds=seconds)
    return ComparedFigures(rounds, [compared_row(targets, costs, index) for index in range(len(targets))])


@contextmanager
def _targets(directory: Path) -> Iterator[list[Target]]:
    """Start the server with its endpoints and the gateway; yield the ways to call."""
    with ExitStack() as stack:
        upstream = servers.Upstream(directory, addresses=_ENDPOINTS)
        stack.enter_context(ending(upstream.process))
        compile_into(directory / "config", list(_resources(upstream)))
        untraced = {key: value for key, value in os.environ.items() if not key.startswith("OTEL_")}
        gateway, port = start_gateway(directory, "endpoints", directory / "config", env=untraced)
        stack.enter_context(ending(gateway))
        targets = [Target(way, gateway, f"http://127.0.0.1:{port}/{way.path}/mcp") for way in _WAYS]
        for each in targets:
            _check(each)
        yield targets


_WAYS: Final = (
    ComparedWay(_ONE, "one", _CALL),
    ComparedWay("a call, eight endpoints", "eight", _CALL, _ONE, 1.05),
    ComparedWay("a call, with a circuit breaker that is closed", "closed", _CALL, _ONE),
    ComparedWay(_OPEN, "open", _CALL, _ONE, 0.5),
    ComparedWay("a call of an OpenAPI tool", "rest", _CALL, _ONE, 1.5),
)


def _check(target: Target) -> None:
    """Check that a target answers as it should: an open circuit breaker with its refusal, once it is open.

    Raises:
        ToolError: it answers otherwise.
    """
    if target.way.name != _OPEN:
        require_result(target.url, target.way.load)
        return
    text = b""
    for _ in range(2):
        text = _posted(target)
    if b"CircuitOpen" not in text:
        raise ToolError(f"{target.url} did not refuse the call: {text[:300]!r}")


def _posted(target: Target) -> bytes:
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    request = urllib.request.Request(target.url, data=target.way.load.body, headers=headers)  # noqa: S310  our own URL
    with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310  our own URL
        found: bytes = response.read()
    return found


def _resources(upstream: servers.Upstream) -> Iterator[dict[str, Any]]:
    """Yield a proxy for each way to call, and what they name."""
    url = upstream.url("call-json")
    places = [{"address": f"127.0.0.{number + 1}", "port": upstream.port} for number in range(_ENDPOINTS)]
    yield proxy("one", url)
    yield _with(proxy("eight", url), {"endpoints": places})
    yield _with(proxy("closed", url), {"circuitBreaker": {}})
    opens_at_once = {"errorPercent": 1, "minimumRequests": 1, "openFor": "1h"}
    # Its revision is known, as that of a server that has answered before.
    opens = {"circuitBreaker": opens_at_once, "protocolVersion": "2025-11-25"}
    yield _with(proxy("open", f"http://127.0.0.1:{reserve_port()}/mcp"), opens)
    yield _with(proxy("rest", f"http://127.0.0.1:{upstream.port}"), {"openapi": {"configMapRef": _REFERENCE}})
    yield {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": _REFERENCE["name"], "namespace": "bench"},
        "data": {_REFERENCE["key"]: yaml.safe_dump(_OPENAPI)},
    }


def _with(resource: dict[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    resource["spec"]["servers"][0] |= more
    return resource


_REFERENCE: Final = {"name": "users", "key": "openapi.yaml"}
#: The REST service that answers with the text of the MCP server's result.
_OPENAPI: Final = {
    "openapi": "3.1.0",
    "info": {"title": "Users", "version": "1"},
    "paths": {
        "/users": {
            "get": {
                "operationId": messages.TOOL,
                "parameters": [{"name": "limit", "in": "query", "schema": {"type": "integer"}}],
                "responses": {
                    "200": {
                        "description": "The users",
                        "content": {"application/json": {"schema": {"type": "object"}}},
                    }
                },
            }
        }
    },
}


def section(found: EndpointFigures, *, at: str, machine: str) -> str:
    """Return the section of the page."""
    costs = found.costs
    table = "\n".join(line(each).rpartition(" |")[0].rpartition(" |")[0] + " |" for each in costs.rows)
    text = _SECTION.format(title=TITLE, at=at, machine=machine, rounds=costs.rounds, table=table)
    return text + lost_endpoints.section(found.lost)
