"""What a verification finds: problems, and what an auditor should know without being one."""

from enum import StrEnum
from typing import Final, NamedTuple

#: The most findings that are kept; more are counted.
MOST_FINDINGS: Final = 1000


class TrailFindingKind(StrEnum):
    """Why a trail, or a line of it, is not as a gateway wrote it."""

    MALFORMED = "Malformed"
    CHANGED = "Changed"
    DOES_NOT_FOLLOW = "DoesNotFollow"
    MISSING = "Missing"
    DUPLICATE = "Duplicate"
    MOVED = "Moved"
    NO_BEGINNING = "NoBeginning"
    NOT_CLOSED = "NotClosed"
    AFTER_CLOSING = "AfterClosing"
    BAD_SIGNATURE = "BadSignature"
    UNKNOWN_KEY = "UnknownKey"
    NOT_SIGNED = "NotSigned"
    CHECKPOINT_DISAGREES = "CheckpointDisagrees"
    SWAPPED_FILE = "SwappedFile"
    GAP = "Gap"
    INTERRUPTED = "Interrupted"
    TRUST = "Trust"
    TOO_MANY = "TooMany"


class TrailPlace(NamedTuple):
    """A line of a file: the number of the file in the order given, and of the line from 1."""

    file: int
    line: int


class TrailFinding(NamedTuple):
    """One finding.

    ``is_problem`` is False for a warning. Without a place it is about the whole trail.
    """

    kind: TrailFindingKind
    message: str
    place: TrailPlace | None = None
    is_problem: bool = True


class TrailFindings:
    """Collects findings: all are counted, the first :data:`MOST_FINDINGS` are kept."""

    __slots__ = ("_kept", "problems", "warnings")

    def __init__(self) -> None:
        self._kept: list[TrailFinding] = []
        self.problems = 0
        self.warnings = 0

    def problem(self, kind: TrailFindingKind, message: str, place: TrailPlace | None = None) -> None:
        """Add a problem: the trail is not as a gateway wrote it."""
        self.problems += 1
        self._keep(TrailFinding(kind, message, place))

    def warning(self, kind: TrailFindingKind, message: str, place: TrailPlace | None = None) -> None:
        """Add what an auditor should know, although the trail is as a gateway wrote it."""
        self.warnings += 1
        self._keep(TrailFinding(kind, message, place, is_problem=False))

    def excuse(self, kind: TrailFindingKind, place: TrailPlace, reason: TrailFindingKind, message: str) -> None:
        """Turn the problem of a kind at a place into a warning."""
        for index, each in enumerate(self._kept):
            if each.kind == kind and each.place == place and each.is_problem:
                self._kept[index] = TrailFinding(reason, message, place, is_problem=False)
                self.problems -= 1
                self.warnings += 1
                return

    def in_order(self) -> tuple[TrailFinding, ...]:
        """Return the findings by their place; those of the whole trail come last."""
        return tuple(sorted(self._kept, key=lambda each: (each.place is None, each.place or (0, 0))))

    def _keep(self, finding: TrailFinding) -> None:
        if len(self._kept) < MOST_FINDINGS:
            self._kept.append(finding)
