"""Any text and any damage: a verifier of audit trails neither crashes nor accepts what was not written."""

from itertools import pairwise

from audit_trails import KEY, trail, verified
from hypothesis import given
from hypothesis import strategies as st

from ostiary_core.audit.chain import Chain, is_intact, link_of
from ostiary_core.audit.record_layout import EVENT, head_of
from ostiary_core.audit.trail_check import Expectations

LINES = trail().lines
TEXT = b"".join(LINES)
OPEN = Expectations(keys=frozenset({KEY.public}), is_open=True)


@given(st.lists(st.binary(max_size=200), max_size=5), st.integers(1, 300), st.booleans())
def test_any_files_have_a_verdict(files: list[bytes], chunk: int, mixed: bool) -> None:
    verdict = verified(*files, chunk=chunk, mixed=mixed)
    assert not verdict.is_good


@given(st.integers(0, len(TEXT) - 1), st.integers(1, 255))
def test_no_single_changed_byte_is_accepted(at: int, difference: int) -> None:
    changed = TEXT[:at] + bytes([TEXT[at] ^ difference]) + TEXT[at + 1 :]
    # The last line break is the only byte that no hash and no signature needs.
    assert at == len(TEXT) - 1 or not verified(changed).is_good


@given(st.lists(st.integers(0, len(LINES) - 1), max_size=2 * len(LINES)))
def test_only_the_lines_as_they_were_written_are_accepted(order: list[int]) -> None:
    verdict = verified(b"".join(LINES[number] for number in order))
    assert verdict.is_good == (order == list(range(len(LINES))))


@given(st.integers(0, len(TEXT)))
def test_a_cut_end_is_accepted_only_as_an_open_trail_and_never_invented(at: int) -> None:
    cut = TEXT[:at]
    assert verified(cut).is_good == (at >= len(TEXT) - 1)
    verdict = verified(cut, expected=OPEN)
    assert verdict.records <= len(LINES)


@given(st.lists(st.integers(0, len(TEXT)), min_size=2, max_size=6), st.integers(1, 500))
def test_files_that_share_a_trail_at_any_line_are_one_trail(cuts: list[int], chunk: int) -> None:
    numbers = sorted(min(cut * len(LINES) // len(TEXT), len(LINES)) for cut in cuts)
    edges = [0, *numbers, len(LINES)]
    files = [b"".join(LINES[start:end]) for start, end in pairwise(edges)]
    assert verified(*files, chunk=chunk).is_good


@given(st.text(), st.integers(0, 10**9))
def test_what_a_caller_writes_never_passes_for_the_end_of_a_line(text: str, seq: int) -> None:
    forged = f'{text},"chain":{{"id":"x","seq":{seq},"prev":"{"0" * 64}","hash":"{"1" * 64}"}}}}'
    quoted = forged.encode("utf-8", "replace").replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")
    chain = Chain("gw-0/1")
    line = chain.seal(head_of(EVENT) + b'"name":"%b"}' % quoted).rstrip(b"\n")
    link = link_of(line)
    assert link is not None
    assert link.position == chain.position
    assert is_intact(line, link)
