"""Measures the time until every gateway replica enforces a change, on a real API server."""

import http.client
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ostiary_bench import messages
from ostiary_tools.cluster.main import LocalCluster
from ostiary_tools.cluster.stack import EXAMPLE

_POLICY: Final = "/apis/ostiary.dev/v1alpha1/namespaces/default/mcppolicies/bench"
_POLICIES: Final = _POLICY.rpartition("/")[0]
_CALL: Final = messages.encoded(messages.CALL)
_HEADERS: Final = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}


@dataclass(frozen=True, slots=True)
class Change:
    """Milliseconds from the API server's response until the last replica enforces an edit."""

    edits: int
    replicas: int
    p50: float
    p99: float
    longest: float


def measure(edits: int) -> Change:
    """Edit one policy ``edits`` times, each time after the last edit is enforced."""
    with tempfile.TemporaryDirectory() as directory, LocalCluster(Path(directory) / "cluster") as cluster:
        cluster.apply(EXAMPLE)
        cluster.wait_until_ready()
        took = sorted(_edits(cluster, edits))
    last = len(took) - 1
    return Change(edits, len(cluster.replicas), took[last // 2], took[int(last * 0.99)], took[last])


def _edits(cluster: LocalCluster, edits: int) -> Sequence[float]:
    api = cluster.control_plane.api
    api.request("POST", _POLICIES, _policy("Allow"))
    ports = cluster.ports.data
    _wait(ports, refused=False)
    took = []
    for number in range(edits):
        refused = number % 2 == 0
        api.request("PATCH", _POLICY, {"spec": _policy("Deny" if refused else "Allow")["spec"]})
        start = time.perf_counter()
        _wait(ports, refused=refused)
        took.append((time.perf_counter() - start) * 1000)
        time.sleep(0.2)  # so that each edit has a pass of its own, as a user's edit has
    return took


def _policy(effect: str) -> Mapping[str, Any]:
    rule = {"name": "bench", "effect": effect, "tools": {"verbs": ["List", "Call"], "names": [messages.TOOL]}}
    return {
        "apiVersion": "ostiary.dev/v1alpha1",
        "kind": "MCPPolicy",
        "metadata": {"name": "bench", "namespace": "default"},
        "spec": {"targetRefs": [{"kind": "MCPProxy", "name": "mock-mcp-server"}], "access": {"rules": [rule]}},
    }


def _wait(ports: Sequence[int], *, refused: bool) -> None:
    """Call every replica until each enforces the newest policy."""
    waiting = [http.client.HTTPConnection("127.0.0.1", port, timeout=10) for port in ports]
    while waiting:
        waiting = [connection for connection in waiting if _is_refused(connection) is not refused]
        time.sleep(0.001)


def _is_refused(connection: http.client.HTTPConnection) -> bool:
    """Return whether the gateway denies a call; the server refuses it with another code."""
    connection.request("POST", "/mock-mcp-server/mcp", _CALL, _HEADERS)
    reply = json.loads(connection.getresponse().read())
    return bool(reply.get("error", {}).get("code") == -32602)
