"""Which replicas of its gateways run a proxy, as each replica says itself. Pure."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ostiary_operator.view.evidence.gathered import Gathered
from ostiary_operator.view.evidence.reader import ReplicaDefinitions
from ostiary_operator.view.rows import SHORT


class ReplicaRunState(enum.StrEnum):
    """What a replica runs of a proxy."""

    RUNS = "Runs"
    """The version that was delivered; any version, where it is not known which was."""
    OTHER = "RunsAnother"
    """Another version than the delivered one: it loads the new one soon, or cannot."""
    REJECTED = "Rejected"
    NOTHING = "RunsNothing"
    UNKNOWN = "Unknown"
    """It did not answer, or is of a version that does not tell."""


_WORDS: Final = {
    ReplicaRunState.RUNS: "runs it",
    ReplicaRunState.OTHER: "runs another version",
    ReplicaRunState.REJECTED: "rejected the delivered version",
    ReplicaRunState.NOTHING: "runs nothing of it",
    ReplicaRunState.UNKNOWN: "not known",
}


@dataclass(frozen=True, slots=True)
class ReplicaRun:
    """One replica. ``words`` say what it runs, ``detail`` why it rejected it or did not answer."""

    gateway: str
    replica: str
    state: ReplicaRunState
    words: str
    digest: str
    detail: str

    @property
    def status(self) -> str:
        """True, False or Unknown, as the status of a condition."""
        if self.state is ReplicaRunState.UNKNOWN:
            return "Unknown"
        return "True" if self.state is ReplicaRunState.RUNS else "False"


def replica_runs(
    answers: Gathered[tuple[ReplicaDefinitions, ...]], delivered: Mapping[str, str]
) -> tuple[ReplicaRun, ...]:
    """Return what each replica runs; ``delivered`` is the digest of the proxy, by gateway."""
    found = [_run(each, delivered.get(each.gateway, "")) for each in answers.value]
    found += [
        ReplicaRun(
            each.gateway, each.replica or "-", ReplicaRunState.UNKNOWN, _WORDS[ReplicaRunState.UNKNOWN], "", each.why
        )
        for each in answers.problems
    ]
    return tuple(sorted(found, key=lambda each: (each.gateway, each.replica)))


def _run(answer: ReplicaDefinitions, wanted: str) -> ReplicaRun:
    entry = answer.definitions.entry
    active = (entry.active if entry is not None else None) or ""
    rejected = entry.rejected if entry is not None else None
    state = _state(active, wanted, is_told=entry is not None, is_rejected=rejected is not None)
    detail = (
        f"{rejected.reason}: {rejected.message}" if rejected is not None and state is not ReplicaRunState.RUNS else ""
    )
    return ReplicaRun(answer.gateway, answer.replica, state, _WORDS[state], active[:SHORT], detail)


def _state(active: str, wanted: str, *, is_told: bool, is_rejected: bool) -> ReplicaRunState:
    if not is_told:
        return ReplicaRunState.UNKNOWN
    if active and (active == wanted or (not wanted and not is_rejected)):
        return ReplicaRunState.RUNS
    if is_rejected:
        return ReplicaRunState.REJECTED
    return ReplicaRunState.OTHER if active else ReplicaRunState.NOTHING
