"""Reads the lines of a trail once: checks each, and sorts them into runs of their chains.

Whether the runs are complete, and whether their keys are trusted, is decided at the end, in
:mod:`ostiary_core.audit.trail_check`. Memory grows with the number of chains and faults, not with that of records.
"""

from typing import Final

import orjson

from ostiary_core.audit.announcements import beginning_of, lost_records_of
from ostiary_core.audit.chain import Link, hash_of_successor, is_intact, link_of
from ostiary_core.audit.checkpoints import Checkpoint, checkpoint_of
from ostiary_core.audit.line_splitter import TOO_LONG, LineSplitter
from ostiary_core.audit.record_layout import (
    API_VERSION,
    CHECKPOINT,
    EVENT,
    GAP,
    GATEWAY_STARTED,
    GATEWAY_STOPPED,
    MAX_LINE_BYTES,
    head_of,
    kind_of,
)
from ostiary_core.audit.trail_findings import TrailFindingKind, TrailFindings, TrailPlace
from ostiary_core.audit.trail_parts import ChainParts, ChainRun, LostRange, Signed

#: The most runs, which bounds memory: each chain has one in each file, and each fault one more.
MOST_RUNS: Final = 200_000
#: The most signatures with another key, and gaps, that are kept of one chain.
_MOST_KEPT: Final = 1000
_EVENT_HEAD: Final = head_of(EVENT)


class TrailReader:
    """Reads files one after another: :meth:`begin`, :meth:`feed` with chunks, :meth:`end`.

    ``mixed`` skips lines that are no audit records, as in the log of a container. ``growing`` accepts a last line that
    is not complete. ``wanted`` are hashes to look for.
    """

    def __init__(self, *, mixed: bool = False, growing: bool = False, wanted: frozenset[bytes] = frozenset()) -> None:
        self.findings = TrailFindings()
        self.chains: dict[bytes, ChainParts] = {}
        self.found: set[bytes] = set()
        self.skipped = 0
        self.full = False
        self._mixed = mixed
        self._growing = growing
        self._wanted = wanted
        self._splitter = LineSplitter()
        self._file = -1
        self._line = 0
        self._runs: dict[bytes, ChainRun] = {}
        self._last: ChainRun | None = None
        self._count = 0
        self._torn: tuple[int, int] | None = None

    def begin(self) -> None:
        """Begin with the next file."""
        self._file += 1
        self._line = 0
        self._runs = {}
        self._last = None
        self._torn = None

    def feed(self, chunk: bytes) -> None:
        """Read the next bytes of the file."""
        self._take(self._splitter.feed(chunk))

    def end(self) -> None:
        """End the file."""
        rest = self._splitter.end()
        if not rest:
            return
        if link_of(rest) is None and self._growing and rest != TOO_LONG:
            message = f"the last line is not complete ({len(rest)} bytes): it is being written"
            self.findings.warning(TrailFindingKind.NOT_CLOSED, message, TrailPlace(self._file, self._line + 1))
            return
        self._take([rest])

    def _take(self, lines: list[bytes]) -> None:
        for line in lines:
            self._line += 1
            run = self._last
            if run is not None and (digest := hash_of_successor(line, run.expects)) is not None:
                # Nearly every line, at a third of the cost.
                run.advance(self._line, digest)
                self._read_intact(line, digest)
                continue
            link = link_of(line)
            if link is None:
                self._without_link(line)
                continue
            run = self._runs.get(link.id)
            if run is None or link.seq != run.last_seq + 1 or link.prev != run.last_hash:
                run = self._begin_run(link)
                if run is None:
                    return
            self._last = run
            run.advance(self._line, link.hash)
            if is_intact(line, link):
                self._read_intact(line, link.hash)
            else:
                self._problem(
                    TrailFindingKind.CHANGED, "this record was changed: it does not have the hash that it states"
                )

    def _read_intact(self, line: bytes, digest: bytes) -> None:
        if not line.startswith(_EVENT_HEAD):
            self._read_other(line)
        elif not _is_json(line):
            message = "this record has the hash that it states, but is no JSON: no gateway writes that"
            self._problem(TrailFindingKind.MALFORMED, message)
        if self._wanted and digest in self._wanted:
            self.found.add(digest)

    def _begin_run(self, link: Link) -> ChainRun | None:
        """Begin a run with the current line; None where there are too many."""
        self._count += 1
        if self._count > MOST_RUNS:
            if not self.full:
                self._problem(
                    TrailFindingKind.TOO_MANY, f"more than {MOST_RUNS} chains and faults: the rest is not read"
                )
            self.full = True
            return None
        place = TrailPlace(self._file, self._line)
        run = self._runs[link.id] = ChainRun(link.id, place, link.seq, link.prev)
        chain = self.chains.get(link.id)
        if chain is None:
            chain = self.chains[link.id] = ChainParts(link.id.decode("ascii"))
        chain.runs.append(run)
        return run

    def _without_link(self, line: bytes) -> None:
        if self._mixed and kind_of(line) is None and line != TOO_LONG:
            self.skipped += 1
            return
        self._torn = (self._line, len(line))
        self._problem(TrailFindingKind.MALFORMED, _why_malformed(line))

    def _read_other(self, line: bytes) -> None:
        """Read an intact record that is no event."""
        link = link_of(line)
        if link is None:
            return
        chain = self.chains[link.id]
        match kind_of(line):
            case None:
                self._problem(TrailFindingKind.MALFORMED, f"this record does not begin as one of {API_VERSION}")
            case str(kind) if kind == CHECKPOINT:
                self._read_checkpoint(line, link, chain)
            case str(kind) if kind == GATEWAY_STARTED:
                self._read_beginning(line, link, chain)
            case str(kind) if kind == GATEWAY_STOPPED:
                chain.stopped = TrailPlace(self._file, self._line)
            case str(kind) if kind == GAP:
                lost = lost_records_of(line)
                if lost is not None and len(chain.gaps) < _MOST_KEPT:
                    chain.gaps.append(LostRange(*lost, link.seq))

    def _read_checkpoint(self, line: bytes, link: Link, chain: ChainParts) -> None:
        checkpoint = checkpoint_of(line)
        if checkpoint is None:
            self._problem(TrailFindingKind.MALFORMED, "this checkpoint lacks a member, or has one of another type")
        elif not checkpoint.has_valid_signature():
            self._problem(
                TrailFindingKind.BAD_SIGNATURE, "the signature of this checkpoint is not by the key that it names"
            )
        elif checkpoint.covers != (chain.id, link.seq - 1, link.prev.decode("ascii")):
            seq = checkpoint.covers.seq
            message = f"this checkpoint was signed over another record {seq}: what stands before it was rewritten"
            self._problem(TrailFindingKind.CHECKPOINT_DISAGREES, message)
        else:
            self._keep_checkpoint(checkpoint, link, chain)

    def _keep_checkpoint(self, checkpoint: Checkpoint, link: Link, chain: ChainParts) -> None:
        chain.signed_to = max(chain.signed_to, link.seq - 1)
        if checkpoint.closing:
            chain.closed = link.position
        known = any(each.key == checkpoint.key for each in chain.signatures)
        if (not known or checkpoint.next_key is not None) and len(chain.signatures) < _MOST_KEPT:
            place = TrailPlace(self._file, self._line)
            chain.signatures.append(Signed(place, link.seq - 1, checkpoint.key, checkpoint.next_key))

    def _read_beginning(self, line: bytes, link: Link, chain: ChainParts) -> None:
        beginning = beginning_of(line)
        if beginning is None or link.seq != 1:
            message = "this GatewayStarted record is not the first of its chain, or has a member of another type"
            self._problem(TrailFindingKind.MALFORMED, message)
            return
        chain.begins = TrailPlace(self._file, self._line)
        chain.key, chain.previous = beginning
        if chain.previous is not None and chain.previous.torn_bytes and self._torn is not None:
            self._excuse_torn_line(chain.previous.torn_bytes)

    def _excuse_torn_line(self, torn_bytes: int) -> None:
        """Accept the half line before, if this process found it when it started."""
        if self._torn == (self._line - 1, torn_bytes):
            place = TrailPlace(self._file, self._line - 1)
            message = "this line was never finished: its process was killed, and the next record says so"
            self.findings.excuse(TrailFindingKind.MALFORMED, place, TrailFindingKind.INTERRUPTED, message)

    def _problem(self, kind: TrailFindingKind, message: str) -> None:
        self.findings.problem(kind, message, TrailPlace(self._file, self._line))


def _is_json(line: bytes) -> bool:
    try:
        orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return True


def _why_malformed(line: bytes) -> str:
    if line == TOO_LONG:
        return f"this line is longer than the {MAX_LINE_BYTES} bytes of a record"
    if not line:
        return "this line is empty"
    if kind_of(line) is None:
        return "this line is no audit record"
    if line.endswith(b"\r"):
        return "this record ends with a carriage return: the line breaks of the file were converted"
    return "this record does not end with its place in the chain: it is damaged or cut off"
