"""Event streams that a server might send, cut into blocks."""

from hypothesis import strategies as st

from ostiary_gateway.sse import data_of, value_of
from ostiary_gateway.sse_splitter import BlockSplitter

LIMIT = 1 << 16

line_ends = st.sampled_from([b"\n", b"\r\n", b"\r"])
texts = st.text(alphabet=st.characters(exclude_characters="\r\n", codec="utf-8"), max_size=12).map(str.encode)
fields = st.one_of(
    st.tuples(st.sampled_from([b"data: ", b"data:", b"event: ", b"id: ", b"retry: ", b": ", b""]), texts).map(b"".join),
    st.just(b"data"),
)
lines = st.tuples(fields, line_ends).map(b"".join)
#: Anything a server might send, often with blank lines, in any mixture of line ends.
streams = st.lists(st.one_of(lines, line_ends), max_size=20).map(b"".join)
#: Some of many lines, some of few, and some where CR never follows CR.
mixtures = st.one_of(
    st.lists(st.sampled_from([b"\n", b"\r", b"\r\n", b"data: x", b"x"]), max_size=60).map(b"".join),
    st.lists(st.sampled_from([b"data: x\n", b"data: x\r\n", b"id: 1\n", b"x\r\n", b"\n"]), max_size=60).map(b"".join),
)


def split(*chunks: bytes, limit: int = LIMIT) -> tuple[list[bytes], bytes]:
    """The blocks of these chunks, and what is left of the last one."""
    splitter = BlockSplitter(limit=limit)
    blocks = [block for chunk in chunks for block in splitter.feed(chunk)]
    return blocks, splitter.rest()


def meaning(blocks: list[bytes]) -> list[tuple[bytes | None, bytes | None, bytes | None]]:
    """What a client dispatches of each block that has data."""
    return [(value_of(b, b"event"), value_of(b, b"id"), data_of(b)) for b in blocks if data_of(b) is not None]
