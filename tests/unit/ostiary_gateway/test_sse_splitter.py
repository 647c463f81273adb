"""Event streams cut into blocks: no byte is lost, however the stream is cut."""

import re
from collections.abc import Iterator

import pytest
from byte_pieces import split_at
from event_streams import LIMIT, meaning, mixtures, split, streams
from hypothesis import given
from hypothesis import strategies as st

from ostiary_gateway.sse import clean, data_of
from ostiary_gateway.sse_splitter import BlockSplitter, BlockTooLargeError

BOM = b"\xef\xbb\xbf"


@given(streams, st.lists(st.integers(0, 300), max_size=12))
def test_any_chunking_gives_the_same_events_and_no_byte_is_lost(stream: bytes, cuts: list[int]) -> None:
    whole, rest = split(stream)
    pieces, pieces_rest = split(b"", *split_at(stream, cuts), b"")

    assert b"".join(whole) + rest == stream
    assert b"".join(pieces) + pieces_rest == stream
    assert meaning(pieces) == meaning(whole)
    # An LF that arrives after its CR is a block of its own; but for that the blocks are the same.
    assert [block.rstrip(b"\n") for block in pieces if block != b"\n"] == [
        block.rstrip(b"\n") for block in whole if block != b"\n"
    ]


@given(streams)
def test_byte_by_byte_is_a_chunking_too(stream: bytes) -> None:
    blocks, rest = split(*(stream[i : i + 1] for i in range(len(stream))))

    assert b"".join(blocks) + rest == stream
    assert meaning(blocks) == meaning(split(stream)[0])


BLANK_LINE = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r(?!\n))")


@given(mixtures)
def test_blocks_end_at_blank_lines_and_nowhere_else_in_any_mixture_of_line_ends(stream: bytes) -> None:
    ends = [match.end() for match in _blank_lines(stream)]
    expected = [stream[a:b] for a, b in zip([0, *ends], ends, strict=False)]

    assert split(stream) == (expected, stream[ends[-1] if ends else 0 :])


def _blank_lines(stream: bytes) -> Iterator[re.Match[bytes]]:
    place = 0
    while match := BLANK_LINE.search(stream, place):
        yield match
        place = match.end()


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_a_block_ends_with_its_blank_line_in_each_form_of_a_line_end(end: bytes) -> None:
    first, second = b"data: 1" + end + end, b"data: 2" + end + end

    assert split(first + second + b"data: 3") == ([first, second], b"data: 3")


@pytest.mark.parametrize("count", [1, 14, 15, 16, 17, 18, 40])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("blank", [b"\n", b"\r\n", b"\r"])
def test_a_block_of_few_or_many_lines_ends_with_its_first_blank_line(count: int, end: bytes, blank: bytes) -> None:
    first = (b"data: 1" + end) * count + b"data: 2" + blank + blank

    assert split(first + b"data: 3\n\n") == ([first, b"data: 3\n\n"], b"")
    assert data_of(first) == b"\n".join([b"1"] * count + [b"2"])
    assert clean(first) is first
    for stray in (b"x" + end + first, first[: -len(blank)] + b"x" + blank + blank):
        assert clean(stray) == b"data: 1\n" * count + b"data: 2\n\n"


def test_a_block_is_there_with_its_last_byte_and_not_only_with_the_next() -> None:
    splitter = BlockSplitter(limit=LIMIT)

    assert list(splitter.feed(b"data: 1\r\n\r")) == [b"data: 1\r\n\r"]
    assert splitter.between_blocks
    assert list(splitter.feed(b"\ndata: 2\r\r")) == [b"\n", b"data: 2\r\r"]
    assert splitter.between_blocks


def test_within_a_block_no_comment_may_be_put() -> None:
    splitter = BlockSplitter(limit=LIMIT)

    assert list(splitter.feed(b"data: 1\n")) == []
    assert not splitter.between_blocks


def test_a_byte_order_mark_does_not_hide_the_first_field() -> None:
    blocks, _ = split(BOM[:2], BOM[2:] + b"data: 1\n\n" + BOM + b"data: 2\n\n")

    assert blocks == [b"data: 1\n\n", BOM + b"data: 2\n\n"]
    assert data_of(blocks[0]) == b"1"


@pytest.mark.parametrize(
    "chunks",
    [(b"data: 123456\n\n",), (b"data: 12", b"3456\n\n"), (b"data: 12345678",), (b"data: 1\n\n", b"data: 12345678")],
)
def test_a_block_over_the_limit_is_refused_however_it_arrives(chunks: tuple[bytes, ...]) -> None:
    with pytest.raises(BlockTooLargeError, match="and may have 13"):
        split(*chunks, limit=13)


def test_a_block_of_exactly_the_limit_passes() -> None:
    assert split(b"data: 12345\n\n", limit=13)[0] == [b"data: 12345\n\n"]


def test_small_events_have_no_limit_together() -> None:
    assert len(split(b"data: 1\n\n" * 100, limit=20)[0]) == 100
