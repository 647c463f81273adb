"""Events split and joined: no byte lost, no second view of a stream (HTML specification, Server-sent events)."""

import re
from collections.abc import Iterator

import pytest
from byte_pieces import split_at
from hypothesis import given
from hypothesis import strategies as st

from ostiary_gateway.sse import (
    KEEP_ALIVE,
    BlockSplitter,
    BlockTooLargeError,
    clean,
    data_of,
    event,
    is_message,
    read,
    value_of,
    with_data,
)

LIMIT = 1 << 16
BOM = b"\xef\xbb\xbf"

line_ends = st.sampled_from([b"\n", b"\r\n", b"\r"])
texts = st.text(alphabet=st.characters(exclude_characters="\r\n", codec="utf-8"), max_size=12).map(str.encode)
fields = st.one_of(
    st.tuples(st.sampled_from([b"data: ", b"data:", b"event: ", b"id: ", b"retry: ", b": ", b""]), texts).map(b"".join),
    st.just(b"data"),
)
lines = st.tuples(fields, line_ends).map(b"".join)
#: Anything a server might send, often with blank lines, in any mixture of line ends.
streams = st.lists(st.one_of(lines, line_ends), max_size=20).map(b"".join)


def split(*chunks: bytes, limit: int = LIMIT) -> tuple[list[bytes], bytes]:
    splitter = BlockSplitter(limit=limit)
    blocks = [block for chunk in chunks for block in splitter.feed(chunk)]
    return blocks, splitter.rest()


def meaning(blocks: list[bytes]) -> list[tuple[bytes | None, bytes | None, bytes | None]]:
    """What a client dispatches of each block that has data."""
    return [(value_of(b, b"event"), value_of(b, b"id"), data_of(b)) for b in blocks if data_of(b) is not None]


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
#: Some of many lines, some of few, and some where CR never follows CR.
mixtures = st.one_of(
    st.lists(st.sampled_from([b"\n", b"\r", b"\r\n", b"data: x", b"x"]), max_size=60).map(b"".join),
    st.lists(st.sampled_from([b"data: x\n", b"data: x\r\n", b"id: 1\n", b"x\r\n", b"\n"]), max_size=60).map(b"".join),
)


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


@given(mixtures)
def test_the_data_are_what_the_data_lines_say_whether_they_are_few_or_many(block: bytes) -> None:
    lines = re.split(rb"\r\n|\n|\r", block)
    data = [line.removeprefix(b"data:").removeprefix(b" ") for line in lines if line.startswith(b"data:")]

    assert data_of(block) == (b"\n".join(data) if b"\n".join(data).strip() else None)


@given(mixtures)
def test_a_block_is_read_alike_whether_its_lines_are_few_or_many(block: bytes) -> None:
    found, cleaned = read(block), clean(block)

    assert (found.block, found.data) == (cleaned, data_of(cleaned))
    assert (found.id, found.is_message) == (value_of(cleaned, b"id"), is_message(cleaned))


@given(mixtures)
def test_a_clean_block_contains_fields_and_comments_only(block: bytes) -> None:
    lines = re.split(rb"\r\n|\n|\r", block)
    stray = any(line and line.partition(b":")[0] not in {b"", b"data", b"event", b"id", b"retry"} for line in lines)

    assert (clean(block) is not block) is stray


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


@pytest.mark.parametrize(
    ("block", "data"),
    [
        (b'data: {"a":1}\n\n', b'{"a":1}'),
        (b'data:{"a":1}\n\n', b'{"a":1}'),
        (b'data: {"a":\ndata: 1}\n\n', b'{"a":\n1}'),
        (b'event: message\r\nid: 7\r\ndata: {"a":1}\r\n\r\n', b'{"a":1}'),
        (b"data:  two spaces\n\n", b" two spaces"),
        (b"id: 7\ndata:\n\n", None),
        (b"data\ndata:\n\n", None),
        (b": data: none\n\n", None),
        (b"dataset: none\n\n", None),
        (b"retry: 3000\n\n", None),
    ],
)
def test_the_data_of_a_block_are_its_data_lines_joined(block: bytes, data: bytes | None) -> None:
    assert data_of(block) == data


def test_other_data_keep_the_other_fields_and_write_the_type_out() -> None:
    block = b": hello\r\nid: 7\r\nretry: 5\r\ndata: {\r\ndata: }\r\ndata\r\n\r\n"

    assert with_data(block, b"[]") == b"event: message\n: hello\nid: 7\nretry: 5\ndata: []\n\n"
    assert with_data(b"event: message\ndata: 1\n\n", b"2") == b"event: message\ndata: 2\n\n"
    assert with_data(b"event\ndata: 1\n\n", b"2") == b"event: message\ndata: 2\n\n"


@given(streams, st.binary(min_size=1, max_size=20).filter(lambda b: not set(b) & set(b"\r\n") and b.strip() != b""))
def test_other_data_are_all_the_data_that_a_client_sees(stream: bytes, data: bytes) -> None:
    for block in split(stream)[0]:
        written = with_data(block, data)
        assert split(written) == ([written], b"")
        assert data_of(written) == data
        assert value_of(written, b"id") == value_of(block, b"id")


@pytest.mark.parametrize(
    "block",
    [b"data: x\n\n", b"id\n\n", b"event:a\r\ndata:b\r\n\r\n", b"\n", b"\r\n\r\n", b": note\n\n", b"data\n\n", b":\r\r"],
)
def test_a_block_of_fields_and_comments_is_clean(block: bytes) -> None:
    assert clean(block) is block


@pytest.mark.parametrize(
    ("block", "kept"),
    [
        (b'{"jsonrpc":"2.0"}\n\n', b""),
        (b" data: 1\n\n", b""),
        (b"identity: 1\ndata: 2\n\n", b"data: 2\n\n"),
        (b'data: 2\r\n{"x":1}\r\n\r\n', b"data: 2\n\n"),
        (b"Data: 1\rdata: 2\r\r", b"data: 2\n\n"),
    ],
)
def test_lines_that_are_no_fields_are_removed(block: bytes, kept: bytes) -> None:
    assert clean(block) == kept


@given(streams)
def test_cleaning_changes_nothing_for_a_client_that_keeps_the_specification(stream: bytes) -> None:
    blocks = split(stream)[0]
    cleaned = [clean(block) for block in blocks]

    assert meaning(cleaned) == meaning(blocks)
    assert all(clean(block) == block for block in cleaned)


@pytest.mark.parametrize(
    ("block", "whether"),
    [
        (b"data: 1\n\n", True),
        (b"event: message\ndata: 1\n\n", True),
        (b"event:\ndata: 1\n\n", True),
        (b"event: message\nevent: ping\ndata: 1\n\n", False),
        (b"event: ping\ndata: 1\n\n", False),
        (b'data: {"event": "ping"}\n\n', True),
    ],
)
def test_only_the_default_type_is_that_of_messages(block: bytes, whether: bool) -> None:
    assert is_message(block) is whether


def test_our_own_events_are_whole_blocks() -> None:
    assert split(event(b"{}") + KEEP_ALIVE) == ([event(b"{}"), KEEP_ALIVE], b"")
    assert data_of(event(b"{}")) == b"{}"
    assert data_of(KEEP_ALIVE) is None
