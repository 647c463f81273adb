"""What a page says of the source of its numbers: replicas, since when, why there are none."""

from dataclasses import dataclass
from typing import Final, TypeVar

from ostiary_operator.console.empty_states import EmptyReason, EmptyState, empty
from ostiary_operator.local.quantities import utc_time
from ostiary_operator.view.evidence.gathered import Gathered, ProblemKind, ReplicaProblem

T = TypeVar("T")
_NO_RIGHT_REMEDY: Final = (
    "Traffic is shown to those who may read the Secret of the gateway's evidence token and reach its Pods, or may get "
    "pods/proxy in its namespace."
)


@dataclass(frozen=True, slots=True)
class EvidenceSource:
    """Where numbers come from.

    ``title`` names it, ``short`` names it in a chart, ``notice`` says what is missing, empty where nothing is.
    ``since`` is when recording began at all replicas, in epoch milliseconds, 0 where it is not known.
    """

    title: str
    short: str
    notice: str
    asked: int
    answered: int
    since: int
    recording: bool
    problems: tuple[ReplicaProblem, ...]


def evidence_source(gathered: Gathered[T], *, notice: str = "") -> EvidenceSource:
    """Return what a page says of an answer of several replicas.

    ``notice`` is added to what is missing.
    """
    words = [each for each in (gathered.sentence(), gathered.unrecorded(), notice) if each]
    return EvidenceSource(
        title=_title(gathered),
        short=f"from {_replicas(gathered)}",
        notice=". ".join(words),
        asked=gathered.asked,
        answered=gathered.answered,
        since=gathered.since,
        recording=gathered.recording,
        problems=gathered.problems,
    )


def why_empty(gathered: Gathered[T]) -> EmptyState:
    """Return why gateways report nothing.

    They do not answer, may not be asked, do not record, or had no traffic.
    """
    kinds = {each.kind for each in gathered.problems}
    if not gathered.answered:
        if kinds == {ProblemKind.NO_RIGHT}:
            return empty(EmptyReason.NO_RIGHT, words="The gateways' evidence may not be read.", remedy=_NO_RIGHT_REMEDY)
        words = "No replica of a gateway is ready." if kinds <= {ProblemKind.NO_REPLICA} else ""
        return empty(EmptyReason.REPLICA_UNREACHABLE, words=words)
    if not gathered.recording:
        return empty(EmptyReason.NOT_RECORDED)
    return empty(EmptyReason.NO_TRAFFIC)


def _title(gathered: Gathered[T]) -> str:
    """Return the name of the source: how many replicas, and since when they record."""
    since = (
        f", recorded since {utc_time(gathered.since, with_date=True)} UTC"
        if gathered.since and gathered.recording
        else ""
    )
    return f"{_replicas(gathered)}{since}"


def _replicas(gathered: Gathered[T]) -> str:
    return "1 gateway replica" if gathered.answered == 1 else f"{gathered.answered} gateway replicas"
