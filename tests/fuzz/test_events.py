"""Event streams, split anywhere: a client dispatches the same events from the forwarded stream as from the server's.

The reader below is the algorithm of the HTML specification over the whole text, written apart from ours.
"""

import json
from dataclasses import dataclass
from typing import Any

from byte_pieces import split_at
from hypothesis import example, given
from hypothesis import strategies as st

from ostiary_gateway.sse import (
    clean,
    data_of,
    event,
    is_message,
    value_of,
    with_data,
)
from ostiary_gateway.sse_splitter import BlockSplitter, BlockTooLargeError

LIMIT = 1 << 16
MARK = b"\xef\xbb\xbf"  # the byte order mark


@dataclass(frozen=True, slots=True)
class Event:
    type: str
    data: str
    last_id: str


def dispatched(stream: bytes) -> list[Event]:
    """The events of a stream (HTML specification, 9.2.6 Interpreting an event stream)."""
    text = stream.decode("utf-8", "replace")
    text = text[1:] if text.startswith("\ufeff") else text
    events: list[Event] = []
    data, kind, last_id = "", "", ""
    for line in _whole_lines(text):
        if line == "":
            if data:
                events.append(Event(kind or "message", data[:-1], last_id))
            data, kind = "", ""
        elif not line.startswith(":"):
            field, colon, value = line.partition(":")
            value = value[1:] if colon and value.startswith(" ") else value
            if field == "event":
                kind = value
            elif field == "data":
                data += value + "\n"
            elif field == "id" and "\x00" not in value:
                last_id = value
    return events


def within(block: bytes) -> list[Event]:
    """The events of a block that is not at the start of its stream, where a byte order mark would be removed."""
    return dispatched(b"\n" + block)


def _whole_lines(text: str) -> list[str]:
    """Lines up to the last line end; what follows it is discarded with its event."""
    lines, line, at = [], "", 0
    while at < len(text):
        if text[at] in "\r\n":
            at += 1 if text[at : at + 2] == "\r\n" else 0
            lines.append(line)
            line = ""
        else:
            line += text[at]
        at += 1
    return lines


line_ends = st.sampled_from([b"\n", b"\r\n", b"\r"])
contents = st.one_of(
    st.sampled_from(
        [b'{"a":1}', b"{", b"}", b"", b" ", b":", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"message", b"x" * 300]
    ),
    st.binary(max_size=8),
)
_FIELDS = [
    b"data:",
    b"data: ",
    b"data",
    b"data :",
    b"Data:",
    b" data:",
    b"event:",
    b"event: ",
    b"event",
    b"id:",
    b"id: ",
]
_FIELDS += [b"id", b"retry: ", b":", b": ", b"", b"\xef\xbb\xbfdata:", b"dat", b"datax:", b"identity:"]
fields = st.sampled_from(_FIELDS)
lines = st.tuples(fields, contents, line_ends).map(b"".join)
streams = st.builds(
    lambda mark, parts: mark + b"".join(parts),
    st.sampled_from([b"", b"", b"\xef\xbb\xbf", b"\xef\xbb\xbf\xef\xbb\xbf", b"\n", b"\xef\xbb"]),
    st.lists(lines | line_ends | st.binary(max_size=4), max_size=14),
)
cuts = st.lists(st.integers(0, 400), max_size=10)


def split(chunks: list[bytes], limit: int = LIMIT) -> list[bytes]:
    splitter = BlockSplitter(limit=limit)
    blocks = [block for chunk in chunks for block in splitter.feed(chunk)]
    return [*blocks, splitter.rest()]


def one_by_one(stream: bytes) -> list[bytes]:
    return [stream[at : at + 1] for at in range(len(stream))]


@given(streams, cuts)
@example(MARK + MARK + b"data: a\n\n", [1, 4])
@example(b"data: a\r\n\r\ndata: b\r\r\ndata: c\n\r\n\r", [10, 11, 20])
def test_whatever_the_cuts_a_client_dispatches_the_same(stream: bytes, places: list[int]) -> None:
    expected = dispatched(stream)

    for chunks in ([stream], [b"", *split_at(stream, places), b""], one_by_one(stream)):
        *blocks, rest = split(chunks)
        assert b"".join(blocks) + rest == (stream.removeprefix(MARK) if blocks else stream)
        assert dispatched(b"".join(map(clean, blocks)) + rest) == expected


@given(streams, cuts)
def test_a_block_contains_at_most_one_event_as_a_client_reads_it(stream: bytes, places: list[int]) -> None:
    *blocks, _ = split(split_at(stream, places))
    found: list[Event] = []
    for block in blocks:
        events = within(block)
        assert len(events) <= 1
        data = data_of(block)
        for each in events:
            assert is_message(block) == (each.type == "message")
            assert json_or_text(data) == json_or_text(each.data.encode() if each.data.strip(" \t\n\r\v\f") else None)
        if not events:
            assert data is None or not data.strip()
        found += events
    assert [(e.type, e.data) for e in found] == [(e.type, e.data) for e in dispatched(stream)]


def json_or_text(data: bytes | None) -> Any:
    """What a reader of JSON makes of it: white space around is nothing."""
    if data is None:
        return None
    text = data.decode("utf-8", "replace")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text.strip()


ids = st.sampled_from([b"1", b"", b" x", b"a:b", b"\xc3\xbc"])


@given(streams, cuts, ids)
def test_the_id_that_a_client_resumes_from_is_the_one_that_we_note(
    stream: bytes, places: list[int], last: bytes
) -> None:
    *blocks, _ = split(split_at(stream + b"\n\nid: " + last + b"\ndata: x\n\n", places))

    noted = [value for block in blocks if (value := value_of(block, b"id")) is not None and b"\x00" not in value]

    assert noted[-1] == last


@given(streams, cuts, st.sampled_from([b"{}", b'{"a":"\xc3\xbc"}', b"[]"]))
def test_other_data_are_the_only_data_of_their_event(stream: bytes, places: list[int], data: bytes) -> None:
    for block in split(split_at(stream, places))[:-1]:
        before, after = within(block), within(with_data(clean(block), data))
        assert [each.data.encode() for each in after] == [data]
        if before:
            assert (after[0].type, after[0].last_id) == (before[0].type, before[0].last_id)


@given(streams, cuts, st.integers(1, 60))
def test_no_block_beyond_the_bound_is_buffered_or_forwarded_however_it_arrives(
    stream: bytes, places: list[int], limit: int
) -> None:
    whole = split([stream])
    size = max(len(block) for block in whole)
    largest = 0
    splitter = BlockSplitter(limit=limit)
    try:
        for chunk in split_at(stream, places):
            for block in splitter.feed(chunk):
                largest = max(largest, len(block))
    except BlockTooLargeError:
        assert size + len(MARK) > limit
        return
    assert largest <= limit
    assert len(splitter.rest()) <= limit
    # The LF of a CRLF that ends a block is no part of it where it comes late; a mark in front is counted, and dropped.
    assert size <= limit + 1


@given(st.recursive(st.integers() | st.text(alphabet=st.characters(codec="utf-8")), st.lists, max_leaves=4))
def test_our_own_events_are_read_as_they_were_written(value: Any) -> None:
    data = json.dumps(value, ensure_ascii=False).encode()

    assert dispatched(event(data)) == [Event("message", data.decode(), "")]
