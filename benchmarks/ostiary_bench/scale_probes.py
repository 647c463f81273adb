"""Probes of a running platform.

They read the operator's metrics, the replicas' configs, and changes of a ConfigMap.
"""

import http.client
import json
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from ostiary_bench import messages
from ostiary_bench.scale_resources import TOOL, path_of
from ostiary_core.mcp.codes import INVALID_PARAMS
from ostiary_tools.cluster.control_plane import ControlPlane
from ostiary_tools.cluster.main import LocalCluster
from ostiary_tools.common.errors import ToolError

_CALL: Final = messages.encoded({**messages.CALL, "params": {"name": TOOL, "arguments": {}}})
_HEADERS: Final = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
_MANIFEST: Final = "/api/v1/namespaces/ostiary-system/configmaps?fieldSelector=metadata.name%3Dostiary-default-0"
_POLL: Final = 0.01


def until(holds: Callable[[], bool], *, what: str, seconds: float = 300.0, poll: float = _POLL) -> float:
    """Wait until a condition holds, ignoring connection errors.

    Return the moment (`time.perf_counter`).

    Raises:
        ToolError: it does not hold in time.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if holds():
                return time.perf_counter()
        except (urllib.error.URLError, OSError, http.client.HTTPException):
            pass  # it is not up yet
        time.sleep(poll)
    raise ToolError(f"{what}: not within {seconds:.0f} s")


def metrics(cluster: LocalCluster) -> dict[str, float]:
    """Return the operator's metrics, by name and labels as they are written."""
    with urllib.request.urlopen(f"{cluster.operator_admin_url}/metrics", timeout=10) as answer:  # noqa: S310  ours
        lines = [line for line in answer.read().decode().splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def writes(found: dict[str, float]) -> dict[str, float]:
    """Return the number of written objects by kind, without Events and Lease renewals."""
    prefix, suffix = 'ostiary_operator_writes_total{kind="', '",outcome="written"}'
    kinds = {name.removeprefix(prefix).removesuffix(suffix): value for name, value in found.items() if prefix in name}
    return {kind: value for kind, value in kinds.items() if kind not in {"Event", "Lease"}}


def is_applied(found: dict[str, float]) -> bool:
    """Return whether a pass has succeeded and no status is outstanding."""
    return (
        found.get('ostiary_operator_passes_total{outcome="succeeded"}', 0) >= 1
        and found.get("ostiary_operator_statuses_outstanding") == 0
    )


def active(cluster: LocalCluster, token: str) -> list[dict[str, str]]:
    """Return, for each replica, the active digest of each proxy."""
    found = []
    for url in cluster.gateway_admin_urls:
        request = urllib.request.Request(f"{url}/config", headers={"Authorization": f"Bearer {token}"})  # noqa: S310  ours
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310  ours
            entries = json.loads(answer.read())["entries"]
        found.append({proxy: entry.get("active", "") for proxy, entry in entries.items()})
    return found


class ReplicaProbe:
    """Calls one replica to see whether a proxy denies the tool that the edits change."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)

    def refuses(self, number: int) -> bool:
        """Return whether the gateway denies a call; the server refuses it with another code."""
        self._connection.request("POST", f"{path_of(number)}/mcp", _CALL, _HEADERS)
        answer = json.loads(self._connection.getresponse().read())
        return bool(answer.get("error", {}).get("code") == INVALID_PARAMS)


def enforced(replicas: Sequence[ReplicaProbe], number: int, *, refused: bool) -> float:
    """Wait until every replica enforces the newest policy; return the moment."""
    return until(
        lambda: all(replica.refuses(number) is refused for replica in replicas),
        what="an edit to be enforced",
        poll=0.001,
    )


class ManifestWatch:
    """Records the changes of the manifest's ConfigMap.

    ``changes`` are moments of `time.perf_counter`.
    """

    def __init__(self, control_plane: ControlPlane) -> None:
        self.changes: list[float] = []
        parts = urlsplit(control_plane.url)
        tls = ssl.create_default_context(cafile=str(control_plane.ca_file))
        self._connection = http.client.HTTPSConnection(parts.hostname or "", parts.port, context=tls, timeout=600)
        headers = {"Authorization": f"Bearer {control_plane.admin_token}"}
        self._connection.request("GET", f"{_MANIFEST}&watch=1&timeoutSeconds=3600", headers=headers)
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def _follow(self) -> None:
        answer = self._connection.getresponse()
        while answer.readline():
            self.changes.append(time.perf_counter())

    def first_after(self, moment: float) -> float:
        """Return the first change since a moment, which must exist."""
        return next(change for change in self.changes if change >= moment)


def memory(pid: int) -> tuple[float, float]:
    """Return the current and the peak memory of a process in MiB."""
    fields: dict[str, Any] = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line
    )
    now, most = (int(fields[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))
    return now, most
