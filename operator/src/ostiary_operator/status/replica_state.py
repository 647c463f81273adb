"""The state of gateways and their replicas between two polls."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ostiary_core.contract import key_names, revisions
from ostiary_core.contract.manifest import Manifest
from ostiary_core.secret_bytes import SecretBytes
from ostiary_operator.compile.model import GatewayProblem, ResourceStatus
from ostiary_operator.status.drift_reports import ReportedDrift
from ostiary_operator.status.replica_reports import Report, ReportedEntry
from ostiary_operator.status.replicas import Replica


@dataclass(slots=True)
class ReportChanges:
    """The changes in reports since the last publish: of these proxies, or of all."""

    everything: bool = False
    proxies: set[str] = field(default_factory=set)

    def add(self, before: Report | None, report: Report) -> None:
        """Add the differences between two reports; None for ``before`` means that all changed."""
        if before is None or _apart_from_entries(before) != _apart_from_entries(report):
            self.everything = True
            return
        keys = before.entries.keys() | report.entries.keys()
        self.proxies |= {key for key in keys if before.entries.get(key) != report.entries.get(key)}


def _apart_from_entries(report: Report) -> tuple[object, ...]:
    # Not the revision: only the digest of an active entry matters.
    problems = report.rejected, report.incomplete, report.misplaced_keys, report.missing_workers
    return report.replica, *problems, report.telemetry, report.limit_store, report.audit_trail


@dataclass(slots=True)
class ReplicaState:
    """The state of one replica. Times are monotonic, in seconds."""

    replica: Replica
    first_seen: float
    answered_at: float | None = None
    report: Report | None = None
    problem: str = ""
    """Why the last poll had no response."""
    drifts: dict[str, tuple[ReportedDrift, ...]] = field(default_factory=dict)
    """By proxy, the definitions that drifted."""
    drift_digests: dict[str, str] = field(default_factory=dict)
    """By proxy, what they were when they were read."""
    changes: "ReportChanges" = field(default_factory=lambda: ReportChanges(everything=True))

    def answered(self, report: Report, now: float) -> bool:
        """Record a report; return whether it differs from the last."""
        changed = report != self.report or bool(self.problem)
        if changed:
            self.changes.add(None if self.problem else self.report, report)
        if self.report is not None and report.replica != self.report.replica:
            self.first_seen = now  # a new process at the old address is a new replica
        self.report, self.answered_at, self.problem = report, now, ""
        return changed

    def stale_drifts(self) -> list[str]:
        """Return the proxies whose drift must be read again, and forget that of the others."""
        entries = self.report.entries if self.report is not None else {}
        now = {
            proxy: each.definitions.digest or ""
            for proxy, each in entries.items()
            if each.definitions is not None and each.definitions.drifted
        }
        for proxy in self.drifts.keys() - now.keys():
            del self.drifts[proxy]
            self.drift_digests.pop(proxy, None)
        return [proxy for proxy, digest in now.items() if self.drift_digests.get(proxy) != digest]

    def silent(self, problem: str) -> bool:
        """Record a poll without a response; return whether that is new."""
        changed, self.problem = problem != self.problem, problem
        self.changes.everything |= changed
        return changed

    def silent_since(self) -> float:
        """Return the time of the last response, or else when the replica was first seen."""
        return self.first_seen if self.answered_at is None else max(self.first_seen, self.answered_at)


@dataclass(slots=True)
class GatewayState:
    """The state of one gateway: its config in force, and its replicas by URL."""

    identity: str
    known_since: float
    manifest: Manifest | None = None
    token: SecretBytes | None = None
    written_at: float = 0.0
    """When the manifest was put in force."""
    problem: str = ""
    """Why its config could not be written."""
    prunable: bool = False
    """Documents wait to be pruned until every replica runs the manifest."""
    states: dict[str, ReplicaState] = field(default_factory=dict)
    changed_at: float = 0.0
    """When the set of replicas last changed."""
    is_new: bool = True
    """The set has changed since the last publish."""

    @property
    def proxies(self) -> int:
        """The number of proxies in its config."""
        return len(self.manifest.entries) if self.manifest is not None else 0

    def given(self, manifest: Manifest, token: SecretBytes, now: float) -> bool:
        """Record the manifest in force; return whether its revision is new."""
        is_new = self.manifest is None or manifest.revision != self.manifest.revision
        if is_new:
            self.written_at = now
        self.manifest, self.token, self.problem = manifest, token, ""
        return is_new

    def has(self, replicas: Sequence[Replica], now: float) -> None:
        """Set the ready replicas; known ones keep their state."""
        wanted = {replica.url: replica for replica in replicas}
        if wanted.keys() != self.states.keys():
            self.changed_at, self.is_new = now, True
        self.states = {
            url: self.states.get(url) or ReplicaState(replica, first_seen=now) for url, replica in wanted.items()
        }

    def take_changes(self) -> ReportChanges:
        """Return the changes since the last call."""
        found = ReportChanges(everything=self.is_new)
        self.is_new = False
        for state in self.states.values():
            found = ReportChanges(found.everything or state.changes.everything, found.proxies | state.changes.proxies)
            state.changes = ReportChanges()
        return found

    def current(self) -> int:
        """Return the number of replicas whose last report has the manifest in force."""
        if self.manifest is None:
            return 0
        reports = [state.report for state in self.states.values() if not state.problem]
        return sum(
            report is not None and revisions.has_applied(report.revision, self.manifest.revision) for report in reports
        )

    def acknowledged(self) -> int | None:
        """Return the revision in force, if there are replicas and every one reports it."""
        if self.manifest is None or not self.states or self.current() < len(self.states):
            return None
        return self.manifest.revision


def restrict(gateway_states: dict[str, GatewayState], identities: Iterable[str], now: float) -> None:
    """Keep the states of these gateways, add missing ones, remove the rest."""
    wanted = set(identities)
    for identity in gateway_states.keys() - wanted:
        del gateway_states[identity]
    for identity in wanted - gateway_states.keys():
        gateway_states[identity] = GatewayState(identity, known_since=now)


def reports_of(identities: Iterable[str], gateway_states: Mapping[str, GatewayState]) -> Iterator[tuple[str, Report]]:
    """Yield the gateway and the last report of each replica of these gateways."""
    for identity in identities:
        gateway = gateway_states.get(identity)
        for state in gateway.states.values() if gateway is not None else ():
            if state.report is not None:
                yield identity, state.report


def reports_on(status: ResourceStatus, gateway_states: Mapping[str, GatewayState]) -> Iterator[tuple[str, Report]]:
    """Yield the gateway and the last report of each replica that is to run a resource."""
    return reports_of((identity for identity, entries in status.expected.items() if entries), gateway_states)


def reported_entries(status: ResourceStatus, gateway_states: Mapping[str, GatewayState]) -> Iterator[ReportedEntry]:
    """Yield what each replica reports of a proxy."""
    proxy = f"{status.key.namespace}/{status.key.name}"
    for _, report in reports_on(status, gateway_states):
        if proxy in report.entries:
            yield report.entries[proxy]


def problems(gateway_states: Mapping[str, GatewayState]) -> Iterator[GatewayProblem]:
    """Yield the problems that replicas report with their mounted files."""
    for identity, watch in gateway_states.items():
        for state in watch.states.values():
            if state.report is not None and state.report.misplaced_keys:
                yield GatewayProblem(identity, _misplaced(state.replica, state.report.misplaced_keys))


def _misplaced(replica: Replica, names: Iterable[str]) -> str:
    return (
        f"replica {replica.name} finds {key_names.first_few(tuple(names))} among its ConfigMaps, and uses none: keys "
        "are read from the Secret only; mount it separately as this version's chart does, and check what writes the "
        "ConfigMaps"
    )
