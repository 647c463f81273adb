"""Memory of one gateway by policies, by callers, and by workers, as the kernel accounts for it."""

import http.client
import json
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ostiary_bench import gateways_under_test, meters, scale_resources
from ostiary_bench.access_resources import SigningIssuer
from ostiary_bench.governed_resources import LIMITS
from ostiary_tools.common.errors import ToolError

POLICIES: Final = (400, 1_000, 2_000, 4_000)
CALLERS: Final = (1_000, 5_000, 10_000, 20_000)
WORKERS: Final = (1, 2, 4, 8)
_PROXIES: Final = 200
_URL: Final = "http://127.0.0.1:9/mcp"
#: Seconds after the config is in force until memory is read: what building it has freed goes back in a pause.
_SETTLED: Final = 2.0
#: No rule allows this tool, so the gateway itself answers.
_CALL: Final = json.dumps(
    {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "hidden", "arguments": {}}}
)
_HEADERS: Final = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}


@dataclass(frozen=True, slots=True)
class ProcessMemory:
    """The memory of a gateway with all its processes, in MiB, where there are so many of something."""

    number: int
    memory: float


def by_policies(numbers: Sequence[int] = POLICIES) -> list[ProcessMemory]:
    """Return the memory of a gateway of 200 MCPProxies by its policies, of 20 rules each."""
    found = []
    for number in numbers:
        _say(f"{number:,} policies")
        with _serving([*_proxies(), *_policies(number)]) as (pid, _):
            found.append(ProcessMemory(number, _settled(pid)))
    return found


def by_callers(numbers: Sequence[int] = CALLERS) -> list[ProcessMemory]:
    """Return the memory of a gateway after calls of so many callers, each with a token and two counters of its own."""
    issuer, found, called = SigningIssuer(), [], 0
    with _serving(list(_governed(issuer))) as (pid, port):
        for number in numbers:
            _say(f"{number:,} callers")
            _call(port, (issuer.token(f"agent-{each}") for each in range(called, number)))
            called = number
            found.append(ProcessMemory(number, _settled(pid)))
    return found


def by_workers(numbers: Sequence[int] = WORKERS) -> list[ProcessMemory]:
    """Return the memory of a gateway of 200 MCPProxies with two policies each by its workers."""
    found = []
    for number in numbers:
        _say(f"{number} workers")
        with _serving([*_proxies(), *_policies(2 * _PROXIES)], {"WORKERS": str(number)}) as (pid, _):
            found.append(ProcessMemory(number, _settled(pid)))
    return found


@contextmanager
def _serving(resources: Sequence[Mapping[str, Any]], env: Mapping[str, str] | None = None) -> Iterator[tuple[int, int]]:
    """Run a gateway; yield its process and its port."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        gateways_under_test.compile_into(directory / "config", resources)
        process, port = gateways_under_test.start_gateway(directory, "gateway", directory / "config", env=env)
        try:
            yield process.pid, port
        finally:
            process.stop(grace=10)


def _settled(pid: int) -> float:
    time.sleep(_SETTLED)
    return meters.resident_mebibytes(pid)


def _proxies() -> Iterator[dict[str, Any]]:
    for number in range(_PROXIES):
        yield _named(scale_resources.proxy(number, _URL))


def _policies(policies: int) -> Iterator[dict[str, Any]]:
    """Yield policies with rules of their own, as many for each MCPProxy."""
    for number in range(policies):
        found = scale_resources.policy(number)
        proxy = scale_resources.proxy(number % _PROXIES, _URL)["metadata"]
        found["metadata"]["namespace"] = proxy["namespace"]
        found["spec"]["targetRefs"] = [{"kind": "MCPProxy", "name": proxy["name"]}]
        yield _named(found)


def _named(resource: dict[str, Any]) -> dict[str, Any]:
    metadata = resource["metadata"]
    uid = f"{resource['kind']}-{metadata['namespace']}-{metadata['name']}"
    return {**resource, "metadata": {**metadata, "uid": uid, "generation": 1}}


def _governed(issuer: SigningIssuer) -> Iterator[dict[str, Any]]:
    """Yield an MCPProxy, and a policy with 100 rules and two limits for each caller of it."""
    yield gateways_under_test.proxy("governed", _URL)
    document = gateways_under_test.policy("governed", ["governed"], 100)
    parts = {"authentication": issuer.authentication, "limits": list(LIMITS)}
    yield {**document, "spec": {**document["spec"], **parts}}


def _call(port: int, tokens: Iterable[str]) -> None:
    """Call once with each token.

    Raises:
        ToolError: a call was not answered with a message.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    for token in tokens:
        connection.request("POST", "/governed/mcp", _CALL, {**_HEADERS, "Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise ToolError(f"a call was answered with {answer.status}: {body[:200]!r}")
    connection.close()


def _say(what: str) -> None:
    print(f"  {what}", file=sys.stderr, flush=True)
