"""A platform with many proxies on a real API server.

Measured are operator start, edits, a burst of edits, memory.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ostiary_bench import scale_probes as probes
from ostiary_bench import scale_resources
from ostiary_bench.scale_probes import ManifestWatch, ReplicaProbe
from ostiary_bench.scale_resources import ScaleWorkload
from ostiary_tools.cluster import port_assignment
from ostiary_tools.cluster.main import LocalCluster

REPLICAS: Final = 3
_BURST: Final = 500
#: Seconds between edits, so that each has a pass of its own, as a user's edit has.
_PAUSE: Final = 0.5


@dataclass(frozen=True, slots=True)
class LatencySummary:
    """Percentiles of latencies in milliseconds."""

    p50: float
    p99: float
    longest: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> "LatencySummary":
        """Return the percentiles of latencies in seconds."""
        found = sorted(1000 * each for each in seconds)
        return cls(statistics.median(found), found[int((len(found) - 1) * 0.99)], found[-1])


@dataclass(frozen=True, slots=True)
class Platform:
    """The figures of one size: times in seconds, memory in MiB.

    ``first_*``: the operator starts on a platform on which nothing was ever applied: until all replicas run everything,
    and until every status is written. ``start``: it starts where all of that is done, until it has verified that;
    ``start_writes`` are the objects that it wrote, ``start_edit`` the time until an edit at that moment was enforced,
    which requires the initial lists of the watches. ``edit_writes``: objects written for all edits, by kind.
    ``burst_sent`` is the time to send the edits of the burst, ``burst`` from the last of them until all are enforced.
    """

    proxies: int
    policies: int
    replicas: int
    first_in_force: float
    first_statuses: float
    start: float
    start_writes: int
    start_edit: float
    edits: int
    edit_delivered: LatencySummary
    edit_enforced: LatencySummary
    edit_writes: dict[str, float]
    burst_edits: int
    burst_sent: float
    burst: float
    operator_memory: float
    operator_peak: float
    gateway_memory: float


def measure(proxies: int, *, edits: int) -> Platform:
    """Build a platform with ``proxies`` proxies, and measure it."""
    with (
        tempfile.TemporaryDirectory() as directory,
        LocalCluster(Path(directory) / "cluster", ports=port_assignment.free(REPLICAS)) as cluster,
    ):
        return _Run(cluster, ScaleWorkload(proxies, cluster.mock_url)).measure(min(edits, proxies // 4))


class _Run:
    def __init__(self, cluster: LocalCluster, scale: ScaleWorkload) -> None:
        self._cluster = cluster
        self._scale = scale
        self._token = cluster.admin_token()

    def measure(self, edits: int) -> Platform:
        self._cluster.stop_operator()
        self._say("creating them")
        scale_resources.populate(self._cluster.control_plane, self._scale)
        first_in_force, first_statuses = self._first_start()
        self._cluster.stop_operator()
        start, start_writes, start_edit = self._start()
        replicas = [ReplicaProbe(port) for port in self._cluster.ports.data]
        delivered, enforced, written = self._edits(replicas, edits)
        burst_edits = min(_BURST, self._scale.proxies // 2)
        sent, converged = self._burst(burst_edits)
        now, most = probes.memory(self._cluster.processes["operator"].pid)
        gateways = [probes.memory(self._cluster.processes[f"gateway-{n}"].pid)[0] for n in self._cluster.replicas]
        return Platform(
            proxies=self._scale.proxies,
            policies=self._scale.policies,
            replicas=len(replicas),
            first_in_force=first_in_force,
            first_statuses=first_statuses,
            start=start,
            start_writes=start_writes,
            start_edit=start_edit,
            edits=edits,
            edit_delivered=delivered,
            edit_enforced=enforced,
            edit_writes=written,
            burst_edits=burst_edits,
            burst_sent=sent,
            burst=converged,
            operator_memory=now,
            operator_peak=most,
            gateway_memory=max(gateways),
        )

    def _say(self, what: str) -> None:
        print(
            f"  {self._scale.proxies:,} proxies, {self._scale.policies:,} policies: {what}", file=sys.stderr, flush=True
        )

    def _first_start(self) -> tuple[float, float]:
        self._say("first start")
        began = time.perf_counter()
        self._cluster.start_operator(wait=False)
        whole = self._scale.proxies
        in_force = probes.until(
            lambda: all(len(entries) == whole for entries in probes.active(self._cluster, self._token)),
            what="all replicas to run everything",
        )
        statuses = self._until_applied()
        return in_force - began, statuses - began

    def _until_applied(self) -> float:
        return probes.until(
            lambda: probes.is_applied(probes.metrics(self._cluster)),
            what="all statuses to be written",
            seconds=900,
            poll=0.1,
        )

    def _start(self) -> tuple[float, int, float]:
        self._say("start")
        began = time.perf_counter()
        self._cluster.start_operator(wait=False)
        took = self._until_applied() - began
        written = int(sum(probes.writes(probes.metrics(self._cluster)).values()))
        path, body = _edit(self._scale.proxies // 2)
        self._cluster.control_plane.api.request("PATCH", path, body)
        replicas = [ReplicaProbe(port) for port in self._cluster.ports.data]
        seen = probes.enforced(replicas, self._scale.proxies // 2, refused=True)
        return took, written, seen - began

    def _edits(
        self, replicas: Sequence[ReplicaProbe], edits: int
    ) -> tuple[LatencySummary, LatencySummary, dict[str, float]]:
        self._say(f"{edits} edits")
        self._settle()
        watch = ManifestWatch(self._cluster.control_plane)
        before = probes.writes(probes.metrics(self._cluster))
        delivered, enforced = [], []
        for number in range(self._scale.proxies - edits, self._scale.proxies):
            path, body = _edit(number)
            self._cluster.control_plane.api.request("PATCH", path, body)
            answered = time.perf_counter()
            enforced.append(probes.enforced(replicas, number, refused=True) - answered)
            delivered.append(watch.first_after(answered) - answered)
            time.sleep(_PAUSE)
        self._settle()
        after = probes.writes(probes.metrics(self._cluster))
        written = {kind: value - before.get(kind, 0) for kind, value in after.items() if value != before.get(kind, 0)}
        return LatencySummary.of(delivered), LatencySummary.of(enforced), written

    def _burst(self, edits: int) -> tuple[float, float]:
        self._say(f"a burst of {edits} edits")
        before = probes.active(self._cluster, self._token)[0]
        touched = [scale_resources.path_of(number).removeprefix("/") for number in range(edits)]
        began = time.perf_counter()
        scale_resources.send(self._cluster.control_plane, "PATCH", [_edit(number) for number in range(edits)])
        sent = time.perf_counter()
        converged = probes.until(
            lambda: all(
                all(entries[proxy] != before[proxy] for proxy in touched)
                for entries in probes.active(self._cluster, self._token)
            ),
            what="the burst to be enforced",
            poll=0.05,
        )
        return sent - began, converged - sent

    def _settle(self) -> None:
        """Wait until the operator is idle: no pass for two seconds, no status outstanding."""
        seen = -1.0
        while True:
            self._until_applied()
            found = probes.metrics(self._cluster)
            passes = sum(value for name, value in found.items() if name.startswith("ostiary_operator_passes_total"))
            if passes == seen:
                return
            seen = passes
            time.sleep(2)


def _edit(number: int) -> tuple[str, dict[str, object]]:
    """Return path and body of an edit that makes a proxy's policy deny the tool."""
    edited = scale_resources.policy(number, effect="Deny")
    return f"{scale_resources.resource_path(edited)}/{edited['metadata']['name']}", {"spec": edited["spec"]}
