"""Decides at the end of a verification whether each chain is complete, closed and signed."""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from ostiary_core.audit.chain import NO_HASH, ChainPosition
from ostiary_core.audit.rotated_files import check_names
from ostiary_core.audit.trail_findings import TrailFinding, TrailFindingKind, TrailFindings, TrailPlace
from ostiary_core.audit.trail_keys import check_keys
from ostiary_core.audit.trail_parts import ChainParts, ChainRun
from ostiary_core.audit.trail_reader import TrailReader

#: A gateway signs every 1,000 records or more often. More unsigned ones at the end of a chain are not its own work.
MOST_UNSIGNED: Final = 5_000


@dataclass(frozen=True, slots=True)
class Expectations:
    """What an auditor knows or grants.

    ``keys`` are trusted public keys; without any, those that the trail itself names are. ``published`` are checkpoints
    from outside of the trail, with an empty id where the chain is not known. ``is_open``: the trail may lack closing
    records. ``from_middle``: its oldest files may have been deleted.
    """

    keys: frozenset[str] = frozenset()
    published: tuple[ChainPosition, ...] = ()
    is_open: bool = False
    from_middle: bool = False


class ChainVerdict(NamedTuple):
    """What is known of one chain.

    ``end`` is ``closed``, ``open``, or ``interrupted`` where the next process says that this one did not close it.
    ``signed_to`` is the highest number that a signature covers, trusted or not.
    """

    id: str
    records: int
    first_seq: int
    last_seq: int
    signed_to: int
    end: str


@dataclass(frozen=True, slots=True)
class TrailVerdict:
    """The result of a verification: findings by place, and every chain."""

    findings: tuple[TrailFinding, ...]
    problems: int
    warnings: int
    chains: tuple[ChainVerdict, ...]
    records: int
    skipped: int = 0
    keys: tuple[str, ...] = field(default=())
    """The public keys that signed."""

    @property
    def is_good(self) -> bool:
        """Whether there is no problem."""
        return self.problems == 0


def conclude(reader: TrailReader, expected: Expectations, paths: Sequence[str] = ()) -> TrailVerdict:
    """Return what a reader that read all files found. To be called once.

    ``paths`` are the names of the files in the order in which they were read, if they have names.
    """
    findings, chains = reader.findings, {chain.id: chain for chain in reader.chains.values()}
    # Only a signed beginning counts: anyone can write one.
    named = {chain.previous.position.id for chain in chains.values() if chain.previous and chain.signed_to}
    ends = {chain.id: _end_of(chain, named) for chain in chains.values()}
    for chain in chains.values():
        _check_order(chain, findings)
        _check_completeness(chain, expected, findings)
        _check_end(chain, ends[chain.id], expected, findings)
        _check_previous(chain, chains, expected, findings)
    if paths:
        check_names(paths, chains.values(), findings)
    keys = check_keys(chains.values(), expected.keys, findings)
    _check_published(chains, reader.found, expected.published, findings)
    verdicts = tuple(
        ChainVerdict(
            chain.id,
            chain.records,
            min(run.first_seq for run in chain.runs),
            chain.last_seq,
            chain.signed_to,
            ends[chain.id],
        )
        for chain in sorted(chains.values(), key=lambda each: each.runs[0].first)
    )
    if not verdicts:
        findings.problem(TrailFindingKind.NO_BEGINNING, "there is no audit record at all")
    records = sum(chain.records for chain in verdicts)
    return TrailVerdict(
        findings.in_order(), findings.problems, findings.warnings, verdicts, records, reader.skipped, keys
    )


def _end_of(chain: ChainParts, named: Container[str]) -> str:
    if chain.closed is not None:
        return "closed"
    return "interrupted" if chain.id in named else "open"


def _check_order(chain: ChainParts, findings: TrailFindings) -> None:
    """Find lines that stand after a later one of the same file."""
    highest: dict[int, ChainRun] = {}
    for run in chain.runs:
        before = highest.get(run.first.file)
        if before is not None and run.last_seq < before.first_seq:
            message = (
                f"{_records(run.first_seq, run.last_seq)} of {chain.id} was moved: it stands after {before.first_seq}"
            )
            findings.problem(TrailFindingKind.MOVED, message, run.first)
        if before is None or run.last_seq > before.last_seq:
            highest[run.first.file] = run


def _check_completeness(chain: ChainParts, expected: Expectations, findings: TrailFindings) -> None:
    """Find records that are missing, that occur twice, or that do not follow the one before."""
    runs = sorted(chain.runs, key=lambda run: run.first_seq)
    _check_beginning(chain, runs[0], expected, findings)
    last = runs[0]
    for run in runs[1:]:
        if run.first_seq <= last.last_seq:
            message = f"{_records(run.first_seq, min(run.last_seq, last.last_seq))} of {chain.id} occurs again"
            findings.problem(TrailFindingKind.DUPLICATE, message, run.first)
        elif run.first_seq > last.last_seq + 1:
            _report_missing(chain, last, run, findings)
        elif run.first_prev != last.last_hash:
            message = f"record {run.first_seq} of {chain.id} does not follow record {last.last_seq}: one was replaced"
            findings.problem(TrailFindingKind.DOES_NOT_FOLLOW, message, run.first)
        if run.last_seq > last.last_seq:
            last = run


def _check_beginning(chain: ChainParts, first: ChainRun, expected: Expectations, findings: TrailFindings) -> None:
    if first.first_seq == 1:
        if chain.begins is None or first.first_prev.decode("ascii") != NO_HASH:
            message = f"the first record of {chain.id} is not the start of a gateway"
            findings.problem(TrailFindingKind.NO_BEGINNING, message, first.first)
        return
    message = f"{_records(1, first.first_seq - 1)} of {chain.id}, before this one, is missing"
    if expected.from_middle:
        findings.warning(TrailFindingKind.NO_BEGINNING, message, first.first)
    else:
        findings.problem(TrailFindingKind.NO_BEGINNING, f"{message}; --from-middle accepts that", first.first)


def _report_missing(chain: ChainParts, last: ChainRun, run: ChainRun, findings: TrailFindings) -> None:
    first_lost, last_lost = last.last_seq + 1, run.first_seq - 1
    what = f"{_records(first_lost, last_lost)} of {chain.id}"
    said = [gap.said_by for gap in chain.gaps if gap.first <= first_lost and last_lost <= gap.last]
    if said and min(said) > chain.signed_to:
        # Anyone can add a record at the unsigned end.
        message = f"{what} is missing before this line. Record {min(said)} says why, but no signature covers that one"
        findings.problem(TrailFindingKind.MISSING, message, run.first)
    elif said:
        message = f"{what} did not reach this file, and a later record of the gateway says so"
        findings.warning(TrailFindingKind.GAP, message, run.first)
    else:
        findings.problem(TrailFindingKind.MISSING, f"{what} is missing before this line", run.first)


def _check_end(chain: ChainParts, end: str, expected: Expectations, findings: TrailFindings) -> None:
    last = max(chain.runs, key=lambda run: run.last_seq)
    unsigned = chain.last_seq - chain.signed_to
    if chain.closed is not None:
        if chain.last_seq > chain.closed.seq:
            message = f"{chain.id} was closed with record {chain.closed.seq}, and this was added after it"
            findings.problem(TrailFindingKind.AFTER_CLOSING, message, _place_of(chain, chain.closed.seq + 1))
    elif end == "open" and not expected.is_open:
        message = f"{chain.id} ends without its closing record: its tail was cut, or the gateway was killed"
        findings.problem(
            TrailFindingKind.NOT_CLOSED, f"{message}; --open accepts a trail that is being written", last.last
        )
    elif unsigned > MOST_UNSIGNED or (end == "open" and (unsigned > 1 or not chain.signed_to)):
        message = f"{_records(chain.signed_to + 1, chain.last_seq)} of {chain.id} has no signature after it"
        # The last checkpoint itself is always without one, and so is what was written since.
        report = findings.problem if unsigned > MOST_UNSIGNED or not chain.signed_to else findings.warning
        report(TrailFindingKind.NOT_SIGNED, f"{message}: anyone could have written that", last.last)


def _check_previous(
    chain: ChainParts, chains: Mapping[str, ChainParts], expected: Expectations, findings: TrailFindings
) -> None:
    """Compare what a process found in its file with what is there now."""
    if chain.previous is None:
        return
    position, closed, _ = chain.previous
    before = chains.get(position.id)
    if before is None:
        _report_missing_chain(position, chain, expected, findings)
        return
    if before.last_seq != position.seq or not _ends_with(before, position):
        message = f"{position.id} had {position.seq} records when {chain.id} began, and has another end now"
        findings.problem(TrailFindingKind.CHECKPOINT_DISAGREES, message, chain.begins)
    elif not closed:
        unsigned = before.last_seq - before.signed_to
        message = (
            f"{position.id} ended without a closing record after {position.seq} records (the last {unsigned} without a "
            "signature of its own): its process was killed, and records that it had not written are lost"
        )
        findings.warning(TrailFindingKind.INTERRUPTED, message, chain.begins)


def _report_missing_chain(
    position: ChainPosition, chain: ChainParts, expected: Expectations, findings: TrailFindings
) -> None:
    """Report that the trail before one is not there.

    It stood in the same file, or in the one that is older.
    """
    message = f"each of the {position.seq} records of {position.id}, which stood before this one, is missing"
    if chain.begins is not None and chain.begins.line > 1:
        findings.problem(TrailFindingKind.MISSING, message, chain.begins)
    elif expected.from_middle:
        findings.warning(TrailFindingKind.MISSING, message, chain.begins)
    else:
        findings.problem(TrailFindingKind.MISSING, f"{message}; --from-middle accepts that", chain.begins)


def _check_published(
    chains: Mapping[str, ChainParts],
    found: set[bytes],
    published: Iterable[ChainPosition],
    findings: TrailFindings,
) -> None:
    """Compare with checkpoints that were kept outside of the trail."""
    for identity, seq, digest in published:
        if digest.encode("ascii", "replace") in found:
            continue
        chain = chains.get(identity)
        if identity and chain is None:
            message = f"{identity}, of which a checkpoint was published, is not in this trail"
            findings.problem(TrailFindingKind.MISSING, message)
        elif chain is not None and chain.last_seq < seq:
            message = f"{identity} had {seq} records when a checkpoint was published, and ends with {chain.last_seq}"
            findings.problem(TrailFindingKind.CHECKPOINT_DISAGREES, message, chain.runs[-1].last)
        else:
            message = (
                f"no record {seq} has the hash {digest[:16]}… of the published checkpoint: the trail was rewritten"
            )
            findings.problem(TrailFindingKind.CHECKPOINT_DISAGREES, message, None)


def _ends_with(chain: ChainParts, position: ChainPosition) -> bool:
    return any(run.last_seq == position.seq and run.last_hash == position.hash.encode() for run in chain.runs)


def _place_of(chain: ChainParts, seq: int) -> TrailPlace:
    """Return the place of a record, or of the next one there is.

    It is the end of its run if other chains are in between.
    """
    run = min((run for run in chain.runs if run.last_seq >= seq), key=lambda run: run.last_seq)
    seq = max(seq, run.first_seq)
    dense = run.last_line - run.first.line == run.last_seq - run.first_seq
    return TrailPlace(run.first.file, run.first.line + seq - run.first_seq if dense else run.last_line)


def _records(first: int, last: int) -> str:
    return f"record {first}" if first == last else f"each record from {first} to {last}"
