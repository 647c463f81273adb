"""What is remembered of a gateway's replicas between two questions."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ostiary_core.contract import key_names, revisions
from ostiary_core.contract.manifest import Manifest
from ostiary_operator.compile.model import GatewayProblem
from ostiary_operator.delivery.secret_bytes import SecretBytes
from ostiary_operator.status.replicas import Replica
from ostiary_operator.status.reports import Report


@dataclass(slots=True)
class ReportChanges:
    """What was heard since somebody last judged: of these proxies, or something that concerns every one."""

    everything: bool = False
    proxies: set[str] = field(default_factory=set)

    def add(self, before: Report | None, report: Report) -> None:
        """Compare an answer with the one before it; None where that counts for nothing."""
        if before is None or _apart_from_entries(before) != _apart_from_entries(report):
            self.everything = True
            return
        keys = before.entries.keys() | report.entries.keys()
        self.proxies |= {key for key in keys if before.entries.get(key) != report.entries.get(key)}


def _apart_from_entries(report: Report) -> tuple[object, ...]:
    # Not the revision: an entry that runs is judged by its digest alone.
    return report.replica, report.rejected, report.incomplete, report.misplaced_keys


@dataclass(slots=True)
class ReplicaState:
    """One replica. Moments are monotonic, in seconds."""

    replica: Replica
    first_seen: float
    answered_at: float | None = None
    report: Report | None = None
    problem: str = ""
    """Why the last question had no answer."""
    news: "ReportChanges" = field(default_factory=lambda: ReportChanges(everything=True))

    def answered(self, report: Report, now: float) -> bool:
        """Remember an answer; say whether it is another one than before."""
        changed = report != self.report or bool(self.problem)
        if changed:
            self.news.add(None if self.problem else self.report, report)
        if self.report is not None and report.replica != self.report.replica:
            self.first_seen = now  # a new process at the old address is a new replica
        self.report, self.answered_at, self.problem = report, now, ""
        return changed

    def silent(self, problem: str) -> bool:
        """Remember that there was no answer; say whether that is new."""
        changed, self.problem = problem != self.problem, problem
        self.news.everything |= changed
        return changed

    def silent_since(self) -> float:
        """Return the moment of the last answer, or else of its first sight."""
        return self.first_seen if self.answered_at is None else max(self.first_seen, self.answered_at)


@dataclass(slots=True)
class GatewayState:
    """One gateway: what it was given, and what its replicas say."""

    identity: str
    known_since: float
    manifest: Manifest | None = None
    token: SecretBytes | None = None
    written_at: float = 0.0
    """When the manifest was put in force."""
    problem: str = ""
    """Why its config could not be written."""
    prunable: bool = False
    """Something waits to be pruned until every replica runs the manifest."""
    states: dict[str, ReplicaState] = field(default_factory=dict)
    changed_at: float = 0.0
    """When the set of replicas changed last."""
    is_new: bool = True
    """That set is another one than when somebody last judged."""

    @property
    def proxies(self) -> int:
        """How many proxies it was given."""
        return len(self.manifest.entries) if self.manifest is not None else 0

    def given(self, manifest: Manifest, token: SecretBytes, now: float) -> bool:
        """Remember what is in force; say whether that is news to the replicas."""
        news = self.manifest is None or manifest.revision != self.manifest.revision
        if news:
            self.written_at = now
        self.manifest, self.token, self.problem = manifest, token, ""
        return news

    def has(self, replicas: Sequence[Replica], now: float) -> None:
        """Take over the list of ready replicas; those that were known keep what they said."""
        wanted = {replica.url: replica for replica in replicas}
        if wanted.keys() != self.states.keys():
            self.changed_at, self.is_new = now, True
        self.states = {
            url: self.states.get(url) or ReplicaState(replica, first_seen=now) for url, replica in wanted.items()
        }

    def heard(self) -> ReportChanges:
        """Return what is new since this was last asked."""
        told = ReportChanges(everything=self.is_new)
        self.is_new = False
        for state in self.states.values():
            told = ReportChanges(told.everything or state.news.everything, told.proxies | state.news.proxies)
            state.news = ReportChanges()
        return told

    def current(self) -> int:
        """Return how many replicas said last that they run the manifest in force."""
        if self.manifest is None:
            return 0
        reports = [state.report for state in self.states.values() if not state.problem]
        return sum(
            report is not None and revisions.has_applied(report.revision, self.manifest.revision) for report in reports
        )

    def acknowledged(self) -> int | None:
        """Return the revision in force, if there are replicas and every one says that it runs it."""
        if self.manifest is None or not self.states or self.current() < len(self.states):
            return None
        return self.manifest.revision


def restrict(gateway_states: dict[str, GatewayState], identities: Iterable[str], now: float) -> None:
    """Keep the watches of these gateways, begin those that are missing, forget the rest."""
    wanted = set(identities)
    for identity in gateway_states.keys() - wanted:
        del gateway_states[identity]
    for identity in wanted - gateway_states.keys():
        gateway_states[identity] = GatewayState(identity, known_since=now)


def problems(gateway_states: Mapping[str, GatewayState]) -> Iterator[GatewayProblem]:
    """Yield what replicas say is wrong with what was mounted for them, although they may run what they should."""
    for identity, watch in gateway_states.items():
        for state in watch.states.values():
            if state.report is not None and state.report.misplaced_keys:
                yield GatewayProblem(identity, _misplaced(state.replica, state.report.misplaced_keys))


def _misplaced(replica: Replica, names: Iterable[str]) -> str:
    return (
        f"replica {replica.name} finds {key_names.first_few(tuple(names))} among its ConfigMaps, and uses none: keys "
        "are read from the Secret alone; mount it apart as this version's chart does, and see who writes the ConfigMaps"
    )
