"""What a verifier remembers of a trail: runs of lines, and what their chains say."""

from dataclasses import dataclass, field
from typing import NamedTuple

from ostiary_core.audit.chain import ChainPosition, successor_of
from ostiary_core.audit.trail_findings import TrailPlace


@dataclass(slots=True)
class ChainRun:
    """Lines of one chain in one file, of which each follows the one before.

    Lines of other chains may stand between them.
    """

    id: bytes
    first: TrailPlace
    first_seq: int
    first_prev: bytes
    last_line: int = 0
    last_seq: int = 0
    last_hash: bytes = b""
    expects: bytes = b""
    """What the hash of the next line covers at its end."""

    def __post_init__(self) -> None:
        self.last_seq = self.first_seq - 1

    def advance(self, line: int, digest: bytes) -> None:
        """Take the next record, by the number and the hash of its line."""
        self.last_line = line
        self.last_seq += 1
        self.last_hash = digest
        self.expects = successor_of(self.id, self.last_seq, digest)

    @property
    def last(self) -> TrailPlace:
        """Where it ends."""
        return TrailPlace(self.first.file, self.last_line)


class Predecessor(NamedTuple):
    """What a new process found at the end of the file that it appends to."""

    position: ChainPosition
    closed: bool
    torn_bytes: int


class Signed(NamedTuple):
    """A checkpoint with a valid signature: where it is, what it covers, and its keys."""

    place: TrailPlace
    seq: int
    key: str
    next_key: str | None


class LostRange(NamedTuple):
    """Records that did not reach a file.

    They are named by their first and last number, and ``said_by`` is that of the record which says so.
    """

    first: int
    last: int
    said_by: int


@dataclass(slots=True)
class ChainParts:
    """One chain, as far as it was read."""

    id: str
    runs: list[ChainRun] = field(default_factory=list)
    begins: TrailPlace | None = None
    key: str | None = None
    previous: Predecessor | None = None
    stopped: TrailPlace | None = None
    closed: ChainPosition | None = None
    """The closing checkpoint."""
    gaps: list[LostRange] = field(default_factory=list)
    """The records that were lost, by the chain's own word."""
    signed_to: int = 0
    """The highest number that a valid signature covers."""
    signatures: list[Signed] = field(default_factory=list)
    """The first checkpoint of each key, and each that names another key."""

    @property
    def records(self) -> int:
        """The number of lines."""
        return sum(run.last_seq - run.first_seq + 1 for run in self.runs)

    @property
    def last_seq(self) -> int:
        """The highest number."""
        return max((run.last_seq for run in self.runs), default=0)
