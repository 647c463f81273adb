"""An answer that several replicas gave together, and why some of them did not."""

import enum
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")
U = TypeVar("U")

#: Replicas that a sentence names; the others are counted.
_NAMED: Final = 3


class ProblemKind(enum.StrEnum):
    """Why a replica, or a whole gateway, gave no usable answer."""

    UNREACHABLE = "Unreachable"
    """No connection, or none in time."""
    REFUSED = "Refused"
    """It does not accept the token: it has another Secret."""
    MALFORMED = "Malformed"
    """It answered with something else than this document."""
    NOT_SERVED = "NotServed"
    """It does not have this document: it is of an earlier version, or does not serve the proxy."""
    NO_RIGHT = "NoRight"
    """The reader may not look for its replicas, read its token, or ask them through the API server."""
    NO_REPLICA = "NoReplica"
    """No replica of the gateway is ready, or it has no token yet."""
    PARTIAL = "Partial"
    """It answered, but some of its workers did not: what they served is missing."""


@dataclass(frozen=True, slots=True, order=True)
class ReplicaProblem:
    """A replica that gave no usable answer.

    ``replica`` is empty where a whole gateway could not be asked.
    """

    gateway: str
    replica: str
    kind: ProblemKind
    why: str

    @property
    def is_unanswered(self) -> bool:
        """Whether it is a replica that was asked, and nothing of its answer is here."""
        return bool(self.replica) and self.kind is not ProblemKind.PARTIAL

    @property
    def text(self) -> str:
        """One line for people."""
        return f"{f'replica {self.replica}' if self.replica else f'gateway {self.gateway}'}: {self.why}"

    def as_object(self) -> dict[str, str]:
        """Return it for programs."""
        return {"gateway": self.gateway, "replica": self.replica, "kind": self.kind.value, "why": self.why}


@dataclass(frozen=True, slots=True)
class Gathered(Generic[T]):
    """What the replicas said together.

    ``asked`` replicas got the request, ``answered`` of them gave a usable answer; ``problems`` says what is missing.
    ``since`` (epoch milliseconds) is when all that answered had begun to record, 0 where none answered. ``recording``
    is false where a replica that answered records nothing, since the settings of its gateway say so.
    """

    value: T
    asked: int = 0
    answered: int = 0
    problems: tuple[ReplicaProblem, ...] = ()
    since: int = 0
    recording: bool = True

    @property
    def is_complete(self) -> bool:
        """Whether every replica that was looked for answered."""
        return not self.problems

    def with_problems_of(self, *others: "Gathered[Any]") -> "Gathered[T]":
        """Return this answer, as incomplete as all of them: they are shown together."""
        problems = {each for gathered in (self, *others) for each in gathered.problems}
        missing = len({(each.gateway, each.replica) for each in problems if each.is_unanswered})
        asked = max(gathered.asked for gathered in (self, *others))
        return replace(
            self,
            asked=asked,
            answered=max(0, asked - missing),
            problems=tuple(sorted(problems)),
            recording=all(gathered.recording for gathered in (self, *others)),
        )

    def map(self, change: Callable[[T], U]) -> "Gathered[U]":
        """Return the same answer with another value."""
        return replace(self, value=change(self.value))  # type: ignore[arg-type,return-value]  # the value's type changes

    def sentence(self) -> str:
        """Return what is missing, for people; empty if nothing is.

        For example ``2 of 3 replicas answered; gw-abc: it took too long``.
        """
        if self.is_complete:
            return ""
        named = [f"{each.replica or f'gateway {each.gateway}'}: {each.why}" for each in self.problems[:_NAMED]]
        more = len(self.problems) - len(named)
        return "; ".join([f"{self.answered} of {self.asked} replicas answered", *named, *_counted(more)])

    def unrecorded(self) -> str:
        """Return that a replica which answered records nothing, for people; empty if all record."""
        if self.recording:
            return ""
        return "A gateway's settings switch the recording off (evidence.recording): what it served is not counted here"

    def as_object(self) -> dict[str, Any]:
        """Return everything but the value, for programs."""
        return {
            "asked": self.asked,
            "answered": self.answered,
            "problems": [each.as_object() for each in self.problems],
            "since": self.since or None,
            "recording": self.recording,
        }


def _counted(more: int) -> list[str]:
    return [f"and {more} more"] if more > 0 else []


@dataclass(frozen=True, slots=True)
class ReplicaAnswer(Generic[T]):
    """What one replica said, with the header of its document.

    ``missing_workers`` did not answer, where it has several.
    """

    gateway: str
    replica: str
    since: int
    recording: bool
    value: T
    missing_workers: tuple[int, ...] = ()

    def problems(self) -> Iterable[ReplicaProblem]:
        """Yield what is missing in it."""
        if self.missing_workers:
            named = ", ".join(map(str, self.missing_workers))
            why = f"worker {named} does not answer; what it served is missing"
            yield ReplicaProblem(self.gateway, self.replica, ProblemKind.PARTIAL, why)


def gather(
    answers: Iterable[ReplicaAnswer[T]],
    problems: Iterable[ReplicaProblem],
    join: Callable[[Mapping[str, T]], U],
) -> Gathered[U]:
    """Join answers, by ``gateway/replica``, into one.

    Problems of whole gateways do not count as replicas that were asked.
    """
    found = sorted(answers, key=lambda each: (each.gateway, each.replica))
    missing = tuple(sorted([*problems, *(problem for each in found for problem in each.problems())]))
    return Gathered(
        join({f"{each.gateway}/{each.replica}": each.value for each in found}),
        asked=len(found) + sum(each.is_unanswered for each in missing),
        answered=len(found),
        problems=missing,
        since=max((each.since for each in found), default=0),
        recording=all(each.recording for each in found),
    )
