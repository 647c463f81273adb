"""Computes Programmed: whether all ready replicas of the serving gateways run the resource.

The computation is pure. A rollout in progress does not unset the condition: a resource that was programmed at this
generation stays so while a change of another resource rolls out, or while a new replica starts. A rejection, and a
replica that does not respond, do unset it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from ostiary_core.contract import revisions
from ostiary_operator.api.conditions import ConditionStatus, ConditionType
from ostiary_operator.api.reasons import ProgrammedReason
from ostiary_operator.compile.model import ConditionDraft, ResourceStatus
from ostiary_operator.status.replica_state import GatewayState, ReplicaState

#: Seconds without a response after which a replica counts as unreachable.
UNREACHABLE_AFTER: Final = 10.0
#: Seconds that a new replica, or a new gateway, may take before a programmed resource stops being programmed.
GRACE: Final = 30.0
#: Seconds that a changed entry may take to roll out before a programmed resource stops being programmed.
ROLLOUT: Final = 10.0
_NAMED: Final = 3
_NEVER: Final = float("inf")


@dataclass(frozen=True, slots=True)
class GatewayCount:
    """The number of replicas of a gateway that run the resource, and of all its replicas."""

    namespace: str
    name: str
    ready: int
    desired: int


@dataclass(frozen=True, slots=True)
class ProgrammedState:
    """The condition Programmed and the counts behind it.

    ``settled`` is unset during a tolerated rollout: the written condition stays. ``until`` is the time (monotonic) at
    which the result changes without any new report.
    """

    condition: ConditionDraft
    gateways: tuple[GatewayCount, ...] = ()
    settled: bool = True
    until: float = _NEVER

    @property
    def final(self) -> bool:
        """Whether it stays the same until a report or the expected entries change."""
        return self.settled and self.until == _NEVER and self.condition.status == ConditionStatus.TRUE


@dataclass(frozen=True, slots=True)
class _Verdict:
    """The result for one replica, or for a whole gateway. A lower ``rank`` is reported first."""

    rank: int
    status: ConditionStatus
    reason: ProgrammedReason
    message: str
    until: float = _NEVER
    tolerated: bool = False


def evaluate(
    status: ResourceStatus, gateway_states: Mapping[str, GatewayState], *, was_programmed: bool, now: float
) -> ProgrammedState:
    """Compute the condition of one resource.

    ``gateway_states`` is by identity. ``was_programmed`` means that the condition is True for this generation.
    """
    condition = _without_replicas(status)
    if condition is not None:
        return ProgrammedState(condition)
    verdicts: list[_Verdict] = []
    counts: list[GatewayCount] = []
    for identity in sorted(identity for identity, entries in status.expected.items() if entries):
        gateway = gateway_states.get(identity) or GatewayState(identity, known_since=now)
        found = list(_verdicts(gateway, status.expected[identity], was_programmed=was_programmed, now=now))
        verdicts += found
        counts.append(_count(gateway, found))
    return _summary(verdicts, tuple(counts))


def was_programmed(conditions: Iterable[Mapping[str, object]], generation: int) -> bool:
    """Return whether Programmed is True for this generation in a live status."""
    return any(
        each.get("type") == ConditionType.PROGRAMMED
        and each.get("status") == ConditionStatus.TRUE
        and each.get("observedGeneration") == generation
        for each in conditions
    )


def _without_replicas(status: ResourceStatus) -> ConditionDraft | None:
    """Return the condition of a resource whose newest version is in no config."""
    if status.too_large:
        return _false(
            ProgrammedReason.CONFIG_TOO_LARGE,
            "it or its namespace exceeds a budget in a gateway's config; the last good one stays (see Accepted)",
        )
    refused = next((c for c in status.conditions if c.status == ConditionStatus.FALSE), None)
    if status.serves_last_accepted:
        return _false(ProgrammedReason.NOT_ACCEPTED, _held(status, refused))
    if refused is not None and not any(status.expected.values()):
        return _false(ProgrammedReason.NOT_ACCEPTED, f"nothing of it is in force: see the condition {refused.type}")
    if not any(status.expected.values()):
        return ConditionDraft(
            ConditionType.PROGRAMMED,
            ConditionStatus.TRUE,
            ProgrammedReason.PROGRAMMED,
            "no gateway has anything to run for it",
        )
    return None


def _held(status: ResourceStatus, refused: ConditionDraft | None) -> str:
    where = f": see the condition {refused.type}" if refused is not None else ""
    return f"generation {status.generation} is not in force, the last accepted version is{where}"


def _false(reason: ProgrammedReason, message: str) -> ConditionDraft:
    return ConditionDraft(ConditionType.PROGRAMMED, ConditionStatus.FALSE, reason, message)


def _verdicts(
    gateway: GatewayState, expected: Mapping[str, str], *, was_programmed: bool, now: float
) -> Iterator[_Verdict]:
    """Yield one result for each replica; one in total for a gateway without replicas."""
    if not gateway.states:
        yield _blamed(gateway, _without_states(gateway, was_programmed=was_programmed, now=now))
    for state in gateway.states.values():
        yield _blamed(gateway, _of_replica(gateway, state, expected, was_programmed=was_programmed, now=now))


def _blamed(gateway: GatewayState, verdict: _Verdict) -> _Verdict:
    """Report a failed config write as the cause where a replica does not run the resource."""
    if not gateway.problem or verdict.status == ConditionStatus.TRUE:
        return verdict
    message = f"the config of gateway {gateway.identity} could not be written: {gateway.problem}"
    return _Verdict(0, ConditionStatus.FALSE, ProgrammedReason.WRITE_FAILED, message)


def _without_states(gateway: GatewayState, *, was_programmed: bool, now: float) -> _Verdict:
    message = f"gateway {gateway.identity} has no ready replica"
    verdict = _Verdict(2, ConditionStatus.FALSE, ProgrammedReason.NO_REPLICAS, message)
    return _tolerated(verdict, until=gateway.known_since + GRACE if was_programmed else 0.0, now=now)


def _of_replica(
    gateway: GatewayState, state: ReplicaState, expected: Mapping[str, str], *, was_programmed: bool, now: float
) -> _Verdict:
    who = f"replica {state.replica.name} of gateway {gateway.identity}"
    grace = state.first_seen + GRACE if was_programmed else 0.0
    rollout = gateway.written_at + ROLLOUT if was_programmed else 0.0
    silent_until = state.silent_since() + UNREACHABLE_AFTER if state.problem else _NEVER
    if now >= silent_until:
        message = f"{who} does not say what it runs: {state.problem}"
        verdict = _Verdict(3, ConditionStatus.UNKNOWN, ProgrammedReason.UNREACHABLE, message)
        # A replica that has responded before is not starting.
        return _tolerated(verdict, until=grace if state.answered_at is None else 0.0, now=now)
    behind = [proxy for proxy, digest in expected.items() if not _runs(state, proxy, digest)]
    if not behind:
        return _Verdict(9, ConditionStatus.TRUE, ProgrammedReason.PROGRAMMED, "", until=silent_until)
    refused = _rejection(gateway, state, expected, behind)
    if refused is not None:
        return _Verdict(1, ConditionStatus.FALSE, ProgrammedReason.REJECTED, f"{who} {refused}")
    message = f"{who} does not run it yet{_waits_for(gateway, state)}"
    verdict = _Verdict(4, ConditionStatus.UNKNOWN, ProgrammedReason.PENDING, message, until=silent_until)
    return _tolerated(verdict, until=max(grace, rollout), now=now)


def _waits_for(gateway: GatewayState, state: ReplicaState) -> str:
    newest = gateway.manifest.revision if gateway.manifest is not None else 0
    if state.report is not None and state.report.revision > newest + revisions.AHEAD_MS:
        return (
            f": it runs revision {state.report.revision}, more than a day ahead of the newest, {newest}; "
            "correct the operator's clock if that is behind, or else restart the replica"
        )
    if state.report is None:
        return ""
    if missing := state.report.missing_workers:
        return f": {_workers(missing)}"
    return f": {state.report.incomplete.message}" if state.report.incomplete is not None else ""


def _workers(missing: Sequence[int]) -> str:
    if len(missing) == 1:
        return f"its worker {missing[0]} does not answer"
    return f"its workers {', '.join(map(str, missing))} do not answer"


def _tolerated(verdict: _Verdict, *, until: float, now: float) -> _Verdict:
    """Mark a result as tolerated until the given time, if that is in the future."""
    return replace(verdict, tolerated=True, until=min(verdict.until, until)) if now < until else verdict


def _runs(state: ReplicaState, proxy: str, digest: str) -> bool:
    entry = state.report.entries.get(proxy) if state.report is not None else None
    return entry is not None and entry.active == digest


def _rejection(
    gateway: GatewayState, state: ReplicaState, expected: Mapping[str, str], behind: Sequence[str]
) -> str | None:
    """Return what the replica rejected of this resource, with its own message."""
    report = state.report
    if report is None:
        return None
    for proxy in behind:
        entry = report.entries.get(proxy)
        if entry is not None and entry.rejected is not None and entry.rejected.digest == expected[proxy]:
            return f"rejected MCPProxy {proxy}: {entry.rejected.reason}: {entry.rejected.message}"
    whole = report.rejected
    newest = gateway.manifest.revision if gateway.manifest is not None else 0
    if whole is not None and report.revision < newest and whole.revision in {None, newest}:
        return f"rejected the whole config: {whole.reason}: {whole.message}"
    return None


def _count(gateway: GatewayState, verdicts: Iterable[_Verdict]) -> GatewayCount:
    namespace, _, name = gateway.identity.partition("/")
    ready = sum(verdict.status == ConditionStatus.TRUE for verdict in verdicts)
    return GatewayCount(namespace, name, ready, len(gateway.states))


def _summary(verdicts: Sequence[_Verdict], counts: tuple[GatewayCount, ...]) -> ProgrammedState:
    until = min((verdict.until for verdict in verdicts), default=_NEVER)
    bad = [verdict for verdict in verdicts if verdict.status != ConditionStatus.TRUE]
    found = sorted((verdict for verdict in bad if not verdict.tolerated), key=lambda verdict: verdict.rank)
    if found:
        worst = found[0]
        condition = ConditionDraft(ConditionType.PROGRAMMED, worst.status, worst.reason, _joined(found, worst.reason))
        return ProgrammedState(condition, counts, until=until)
    message = "every ready replica runs it"
    condition = ConditionDraft(ConditionType.PROGRAMMED, ConditionStatus.TRUE, ProgrammedReason.PROGRAMMED, message)
    return ProgrammedState(condition, counts, settled=not bad, until=until)


def _joined(verdicts: Iterable[_Verdict], reason: ProgrammedReason) -> str:
    messages = list(dict.fromkeys(verdict.message for verdict in verdicts if verdict.reason == reason))
    more = f" (and {len(messages) - _NAMED} more)" if len(messages) > _NAMED else ""
    return "; ".join(messages[:_NAMED]) + more
