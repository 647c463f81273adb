"""What a verification says about trails, whole and damaged: it names the first bad line."""

from hashlib import sha256

import pytest
from audit_trails import KEY, OTHER_KEY, WrittenTrail, trail, verified

from ostiary_core.audit.chain import Chain, ChainPosition, link_of
from ostiary_core.audit.record_layout import EVENT, GAP, head_of
from ostiary_core.audit.trail_check import Expectations, TrailVerdict
from ostiary_core.audit.trail_findings import TrailFinding, TrailFindingKind, TrailPlace

OPEN = Expectations(keys=frozenset({KEY.public}), is_open=True)

FROM_MIDDLE = Expectations(keys=frozenset({KEY.public}), from_middle=True)


def problems(verdict: TrailVerdict) -> list[tuple[TrailFindingKind, TrailPlace | None]]:
    return [(each.kind, each.place) for each in verdict.findings if each.is_problem]


def warnings(verdict: TrailVerdict) -> list[TrailFindingKind]:
    return [each.kind for each in verdict.findings if not each.is_problem]


def first(verdict: TrailVerdict) -> TrailFinding:
    assert not verdict.is_good
    return next(each for each in verdict.findings if each.is_problem)


def test_a_closed_trail_is_good() -> None:
    verdict = verified(trail().text)
    assert verdict.findings == ()
    assert verdict.is_good
    (chain,) = verdict.chains
    assert (chain.id, chain.records, chain.first_seq, chain.last_seq, chain.end) == ("gw-0/1", 11, 1, 11, "closed")
    assert chain.signed_to == 10
    assert verdict.keys == (KEY.public,)


@pytest.mark.parametrize("chunk", [1, 7, 100, 1 << 20])
def test_the_size_of_chunks_does_not_matter(chunk: int) -> None:
    assert verified(trail().text, chunk=chunk).is_good


def test_a_changed_record_is_named() -> None:
    lines = trail().lines
    lines[3] = lines[3].replace(b'"auditID":"3"', b'"auditID":"9"')
    assert problems(verified(b"".join(lines))) == [(TrailFindingKind.CHANGED, TrailPlace(0, 4))]


def test_a_changed_record_with_its_hash_corrected_does_not_fit_the_next_one() -> None:
    lines = trail().lines
    covered = lines[3].replace(b'"auditID":"3"', b'"auditID":"9"').split(b',"hash":')[0]
    lines[3] = b'%b,"hash":"%b"}}\n' % (covered, sha256(covered).hexdigest().encode())
    verdict = verified(b"".join(lines))
    assert problems(verdict) == [(TrailFindingKind.DOES_NOT_FOLLOW, TrailPlace(0, 5))]
    assert "record 5 of gw-0/1 does not follow record 4" in first(verdict).message


def test_a_chain_that_was_rebuilt_without_the_key_disagrees_with_its_checkpoints() -> None:
    lines, chain = trail().lines, Chain("gw-0/1")
    rebuilt = [
        chain.seal(line.replace(b'"auditID":"2"', b'"auditID":"9"').split(b',"chain":')[0] + b"}") for line in lines
    ]
    verdict = verified(b"".join(rebuilt))
    assert problems(verdict)[0] == (TrailFindingKind.CHECKPOINT_DISAGREES, TrailPlace(0, 6))


def test_a_rebuilt_checkpoint_has_no_valid_signature() -> None:
    lines, chain = trail().lines, Chain("gw-0/1")
    rebuilt = []
    for line in lines:
        record = line.replace(b'"auditID":"2"', b'"auditID":"9"').split(b',"chain":')[0] + b"}"
        link = link_of(line.rstrip())
        assert link is not None
        rebuilt.append(chain.seal(record.replace(link.prev, chain.position.hash.encode())))
    assert problems(verified(b"".join(rebuilt)))[0] == (TrailFindingKind.BAD_SIGNATURE, TrailPlace(0, 6))


def test_removed_records_are_named_where_they_are_missing() -> None:
    lines = trail().lines
    verdict = verified(b"".join(lines[:3] + lines[5:]))
    assert problems(verdict) == [(TrailFindingKind.MISSING, TrailPlace(0, 4))]
    assert "each record from 4 to 5 of gw-0/1 is missing before this line" in first(verdict).message


@pytest.mark.parametrize("kept", [3, 8, 10])
def test_a_cut_tail_fails_unless_the_trail_is_said_to_be_open(kept: int) -> None:
    text = b"".join(trail().lines[:kept])
    verdict = verified(text)
    assert problems(verdict) == [(TrailFindingKind.NOT_CLOSED, TrailPlace(0, kept))]
    assert "--open" in first(verdict).message
    assert verified(text, expected=OPEN).is_good


def test_the_unsigned_end_of_an_open_trail_is_a_warning_and_a_long_one_is_none_of_the_gateway() -> None:
    short = WrittenTrail().start().events(20)
    assert warnings(verified(short.text, expected=OPEN)) == [TrailFindingKind.NOT_SIGNED]
    long = WrittenTrail().start().events(5001)
    assert problems(verified(long.text, expected=OPEN)) == [(TrailFindingKind.NOT_SIGNED, TrailPlace(0, 5003))]


def test_an_open_trail_without_any_signature_fails() -> None:
    assert problems(verified(trail().lines[0], expected=OPEN)) == [(TrailFindingKind.NOT_SIGNED, TrailPlace(0, 1))]


def test_a_record_that_occurs_twice_is_named() -> None:
    lines = trail().lines
    verdict = verified(b"".join([*lines[:4], lines[3], *lines[4:]]))
    assert problems(verdict) == [(TrailFindingKind.DUPLICATE, TrailPlace(0, 5))]


def test_reordered_records_are_named() -> None:
    lines = trail().lines
    lines[3], lines[4] = lines[4], lines[3]
    assert problems(verified(b"".join(lines))) == [(TrailFindingKind.MOVED, TrailPlace(0, 5))]


def test_a_record_after_the_closing_one_is_named() -> None:
    written = trail()
    assert problems(verified(written.events(2).text)) == [(TrailFindingKind.AFTER_CLOSING, TrailPlace(0, 12))]


def test_chains_of_several_replicas_in_one_stream_are_told_apart() -> None:
    one, two = trail("gw-0/1", events=9).lines, trail("gw-1/1", events=4).lines
    mixed = [line for pair in zip(one, [*two, *[b""] * 5], strict=True) for line in pair]
    verdict = verified(b"".join(mixed))
    assert verdict.is_good
    assert [(chain.id, chain.records) for chain in verdict.chains] == [("gw-0/1", 14), ("gw-1/1", 9)]
    mixed.remove(two[4])
    assert problems(verified(b"".join(mixed))) == [(TrailFindingKind.MISSING, TrailPlace(0, 11))]


def test_rotated_files_are_one_trail() -> None:
    lines = trail().lines
    files = b"".join(lines[:4]), b"".join(lines[4:8]), b"".join(lines[8:])
    names = ("audit.jsonl.2", "audit.jsonl.1", "audit.jsonl")
    assert verified(*files, names=names).is_good
    missing = verified(files[0], files[2], names=("audit.jsonl.2", "audit.jsonl"))
    assert problems(missing) == [(TrailFindingKind.MISSING, TrailPlace(1, 1))]


def test_swapped_files_of_a_rotated_set_are_named() -> None:
    lines = trail().lines
    files = b"".join(lines[:4]), b"".join(lines[8:]), b"".join(lines[4:8])
    verdict = verified(*files, names=("audit.jsonl.2", "audit.jsonl.1", "audit.jsonl"))
    assert problems(verdict) == [(TrailFindingKind.SWAPPED_FILE, TrailPlace(1, 1))]


def test_a_file_of_another_trail_in_place_of_one_leaves_a_hole() -> None:
    lines, other = trail().lines, trail("gw-0/2").text
    verdict = verified(b"".join(lines[:4]), other, b"".join(lines[8:]))
    assert problems(verdict) == [(TrailFindingKind.MISSING, TrailPlace(2, 1))]


def test_the_oldest_files_may_have_been_deleted_if_the_auditor_grants_it() -> None:
    text = b"".join(trail().lines[4:])
    assert problems(verified(text)) == [(TrailFindingKind.NO_BEGINNING, TrailPlace(0, 1))]
    granted = verified(text, expected=Expectations(keys=frozenset({KEY.public}), from_middle=True))
    assert granted.is_good
    assert warnings(granted) == [TrailFindingKind.NO_BEGINNING]


def test_a_trail_by_another_key_is_forged() -> None:
    verdict = verified(trail(key=OTHER_KEY).text)
    assert problems(verdict) == [(TrailFindingKind.UNKNOWN_KEY, TrailPlace(0, 2))]
    assert verified(trail(key=OTHER_KEY).text, keys=frozenset()).is_good


def test_trust_extends_to_a_key_that_a_trusted_one_hands_over_to() -> None:
    rotated = WrittenTrail().start().events(3).sign(next_key=OTHER_KEY).events(3).close()
    assert verified(rotated.text).is_good
    assert set(verified(rotated.text).keys) == {KEY.public, OTHER_KEY.public}
    later = trail("gw-1/2", key=OTHER_KEY)
    assert verified(later.text, rotated.text).is_good
    assert not verified(later.text).is_good


def test_a_key_that_takes_over_by_its_own_word_is_not_trusted() -> None:
    taken = WrittenTrail().start().events(3)
    taken.key = OTHER_KEY
    taken.sign(next_key=OTHER_KEY).events(3).close()
    assert problems(verified(taken.text))[0] == (TrailFindingKind.UNKNOWN_KEY, TrailPlace(0, 6))
    assert not verified(taken.text, keys=frozenset()).is_good


def previous(position: ChainPosition, *, closed: bool, torn: int = 0) -> bytes:
    flag = b"true" if closed else b"false"
    members = (position.id.encode(), position.seq, position.hash.encode(), flag, torn)
    return b',"previous":{"id":"%b","seq":%d,"hash":"%b","closed":%b,"tornBytes":%d}' % members


def test_a_killed_process_is_a_warning_if_the_next_start_says_where_it_ended() -> None:
    killed = WrittenTrail("gw-0/1").start().events(5)
    torn = b'{"apiVersion":"audit.ostiary.dev/v1","kind":"Ev'
    after = WrittenTrail("gw-0/2").start(previous(killed.chain.position, closed=False, torn=len(torn))).close()
    verdict = verified(killed.text + torn + b"\n" + after.text)
    assert verdict.is_good
    assert warnings(verdict) == [TrailFindingKind.INTERRUPTED, TrailFindingKind.INTERRUPTED]
    assert [chain.end for chain in verdict.chains] == ["interrupted", "closed"]
    assert "its process was killed" in verdict.findings[1].message
    cut = verified(b"".join(killed.lines[:-1]) + torn + b"\n" + after.text)
    assert (TrailFindingKind.CHECKPOINT_DISAGREES, TrailPlace(0, 8)) in problems(cut)


def test_an_unsigned_start_does_not_excuse_a_cut_tail() -> None:
    cut = WrittenTrail("gw-0/1").start().events(5)
    forged = WrittenTrail("gw-0/2", OTHER_KEY).start(previous(cut.chain.position, closed=False)).lines[0]
    assert problems(verified(cut.text + forged))[0] == (TrailFindingKind.NOT_CLOSED, TrailPlace(0, 7))


def test_the_chain_before_that_was_closed_must_still_end_there() -> None:
    before = trail("gw-0/1")
    after = WrittenTrail("gw-0/2").start(previous(before.chain.position, closed=True)).close()
    assert verified(before.text + after.text).findings == ()
    assert problems(verified(after.text)) == [(TrailFindingKind.MISSING, TrailPlace(0, 1))]
    granted = verified(after.text, expected=FROM_MIDDLE)
    assert granted.is_good
    assert warnings(granted) == [TrailFindingKind.MISSING]
    assert not verified(b"".join(before.lines[:-2]) + after.text).is_good


def test_a_whole_chain_that_was_removed_between_two_others_is_named() -> None:
    first_chain = trail("gw-0/1")
    second = WrittenTrail("gw-0/2").start(previous(first_chain.chain.position, closed=True)).close()
    third = WrittenTrail("gw-0/3").start(previous(second.chain.position, closed=True)).close()
    for expected in (None, FROM_MIDDLE):
        verdict = verified(first_chain.text + third.text, expected=expected)
        assert problems(verdict) == [(TrailFindingKind.MISSING, TrailPlace(0, 12))]
        assert "each of the 4 records of gw-0/2" in first(verdict).message


def test_more_unsigned_records_than_a_gateway_leaves_are_a_problem_after_a_kill_too() -> None:
    killed = WrittenTrail("gw-0/1").start().events(5001)
    after = WrittenTrail("gw-0/2").start(previous(killed.chain.position, closed=False)).close()
    verdict = verified(killed.text + after.text)
    assert problems(verdict) == [(TrailFindingKind.NOT_SIGNED, TrailPlace(0, 5003))]


def test_an_unsigned_record_does_not_excuse_a_hole() -> None:
    written = WrittenTrail().start().events(8).sign()
    written.add(GAP, b',"gap":{"reason":"SinkFailed","sink":"file","fromSeq":5,"toSeq":7}')
    verdict = verified(b"".join(written.lines[:4] + written.lines[7:]), expected=OPEN)
    assert problems(verdict) == [(TrailFindingKind.MISSING, TrailPlace(0, 5))]
    assert "no signature covers that one" in first(verdict).message


@pytest.mark.parametrize("member", [b'"nextKey":"%b"' % OTHER_KEY.public.encode(), b'"closing":true', b'"x":{}'])
def test_a_member_that_was_added_to_a_checkpoint_behind_its_signature_does_not_count(member: bytes) -> None:
    forged = WrittenTrail()
    forged.lines = trail().lines[:5]
    last = link_of(forged.lines[-1].rstrip())
    assert last is not None
    forged.chain.position = last.position
    signed = trail().lines[5].partition(b',"chain":')[0]
    forged.lines.append(forged.chain.seal(signed + b"," + member + b"}"))
    forged.key = OTHER_KEY
    assert problems(verified(forged.events(2).close().text))[0] == (TrailFindingKind.MALFORMED, TrailPlace(0, 6))


def test_a_record_with_the_right_hash_that_is_no_json_is_named() -> None:
    written = WrittenTrail().start()
    written.lines.append(written.chain.seal(head_of(EVENT) + b"no \x00 \xff JSON}"))
    assert problems(verified(written.close().text)) == [(TrailFindingKind.MALFORMED, TrailPlace(0, 3))]


def test_a_record_that_was_added_some_numbers_after_the_closing_one_is_named() -> None:
    written = trail()
    closing = written.chain.position
    written.chain.position = closing._replace(seq=closing.seq + 5)
    assert problems(verified(written.events(1).text)) == [
        (TrailFindingKind.MISSING, TrailPlace(0, 12)),
        (TrailFindingKind.AFTER_CLOSING, TrailPlace(0, 12)),
    ]


def test_records_that_did_not_reach_this_file_are_a_warning_if_the_chain_says_so() -> None:
    written = WrittenTrail().start().events(8)
    written.add(GAP, b',"gap":{"reason":"SinkFailed","sink":"file","fromSeq":5,"toSeq":7}').close()
    verdict = verified(b"".join(written.lines[:4] + written.lines[7:]))
    assert verdict.is_good
    assert warnings(verdict) == [TrailFindingKind.GAP]
    assert not verified(b"".join(written.lines[:4] + written.lines[8:])).is_good


def test_a_published_checkpoint_shows_what_a_signature_cannot() -> None:
    written = WrittenTrail().start().events(3).sign()
    kept = written.chain.position
    written.events(3).close()

    def compared(text: bytes, position: ChainPosition) -> TrailVerdict:
        return verified(text, expected=Expectations(keys=frozenset({KEY.public}), published=(position,), is_open=True))

    assert compared(written.text, kept).findings == ()
    assert compared(written.text, kept._replace(id="")).findings == ()
    cut = compared(b"".join(written.lines[:3]), kept)
    assert "had 6 records when a checkpoint was published, and ends with 3" in first(cut).message
    assert "was rewritten" in first(compared(written.text, kept._replace(hash="a" * 64))).message
    assert "is not in this trail" in first(compared(trail("gw-1/1").text, kept)).message


def test_other_lines_of_a_log_are_skipped_only_on_demand() -> None:
    lines = trail().lines
    text = b"".join([b"INFO started\n", *lines[:4], b"\n", *lines[4:]])
    assert [kind for kind, _ in problems(verified(text))] == [TrailFindingKind.MALFORMED] * 2
    mixed = verified(text, mixed=True)
    assert mixed.is_good
    assert mixed.skipped == 2
    damaged = text.replace(b'"auditID":"3","chain"', b'"auditID":"3","chian"')
    assert not verified(damaged, mixed=True).is_good


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"", "is empty"),
        (b"x" * 20_000, "longer than"),
        (b"no record", "is no audit record"),
        (trail().lines[2][:-30], "damaged or cut off"),
        (trail().lines[2].replace(b"\n", b"\r"), "line breaks of the file were converted"),
    ],
)
def test_a_line_that_is_no_record_is_named(line: bytes, message: str) -> None:
    lines = trail().lines
    verdict = verified(b"".join([*lines[:4], line, b"\n", *lines[4:]]))
    assert problems(verdict) == [(TrailFindingKind.MALFORMED, TrailPlace(0, 5))]
    assert message in first(verdict).message


def test_the_last_line_may_be_half_written_while_the_trail_is_open() -> None:
    text = WrittenTrail().start().events(3).text
    assert verified(text[:-30], expected=OPEN).is_good
    assert not verified(text[:-30]).is_good
    assert verified(trail().text[:-1]).is_good


def test_no_record_at_all_is_a_problem() -> None:
    assert [kind for kind, _ in problems(verified(b""))] == [TrailFindingKind.NO_BEGINNING]
    assert not verified(b"", expected=OPEN).is_good
