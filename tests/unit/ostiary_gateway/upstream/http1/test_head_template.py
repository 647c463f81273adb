"""A template recognises a head but for the values that change, and nothing else."""

import pytest

from ostiary_gateway.upstream.http1.head_template import template_of

HEAD = b"HTTP/1.1 200 OK\r\nDate: Mon, 30 Nov 2026 12:00:00 GMT\r\nContent-Length: 2\r\nX: y\r\n\r\n"
VALUES = {b"content-length": b"2", b"date": b"Mon, 30 Nov 2026 12:00:00 GMT"}


def test_the_same_head_has_the_same_values_in_the_same_mapping() -> None:
    template = template_of(HEAD + b"{}", VALUES)
    assert template is not None
    first = template.read(HEAD + b"[]")
    again = template.read(HEAD + b"{}")
    assert first == (VALUES, len(HEAD))
    assert first is not None
    assert again is not None
    assert again[0] is first[0]


def test_values_of_one_head_are_not_those_of_the_next() -> None:
    template = template_of(HEAD + b"{}", VALUES)
    assert template is not None
    first = template.read(HEAD + b"[]")
    later = HEAD.replace(b"12:00:00", b"12:00:01")
    assert template.read(later + b"{}") == ({**VALUES, b"date": b"Mon, 30 Nov 2026 12:00:01 GMT"}, len(HEAD))
    assert template.read(HEAD + b"{}") == first == (VALUES, len(HEAD))


def test_a_value_of_256_bytes_is_read_and_one_byte_more_is_not() -> None:
    template = template_of(HEAD + b"{}", VALUES)
    assert template is not None
    for size, is_read in ((256, True), (257, False)):
        found = template.read(HEAD.replace(VALUES[b"date"], b"x" * size) + b"{}")
        assert (found is not None) is is_read


def test_other_values_are_read_and_the_body_is_what_follows() -> None:
    template = template_of(HEAD + b"{}", VALUES)
    later = HEAD.replace(b"12:00:00", b"12:00:01").replace(b"Length: 2", b"Length: 12")
    assert template is not None
    changed = {b"content-length": b"12", b"date": b"Mon, 30 Nov 2026 12:00:01 GMT"}
    assert template.read(later + b"x" * 12) == (changed, len(later))


@pytest.mark.parametrize(
    "other",
    [
        HEAD + b"{}x",
        HEAD + b"{",
        HEAD,
        b"",
        HEAD.replace(b"X: y", b"X: z") + b"{}",
        HEAD.replace(b"200", b"201") + b"{}",
        HEAD.replace(b"Length: 2", b"Length: 02") + b"{}x",
        HEAD.replace(b"Length: 2", b"Length: +2") + b"{}",
        HEAD.replace(b"Length: 2", b"Length: ") + b"",
        HEAD.replace(b"Length: 2", b"Length: 2, 2") + b"{}",
        HEAD.replace(b"Length: 2", b"Length: 2\r\nContent-Length: 2") + b"{}",
        HEAD.replace(b"Length: 2", b"Length: 000000002") + b"{}",
        HEAD.replace(b"Length: 2", b"Length: 2 ") + b"{}",
        HEAD.replace(b"Length: 2", "Length: \u0662".encode()) + b"{}",
        HEAD.replace(b" GMT", b" GMT ") + b"{}",
        HEAD.replace(VALUES[b"date"], b"") + b"{}",
        HEAD.replace(b"Mon,", b"\tMon,") + b"{}",
        HEAD.replace(b"Mon,", b"M\x80n,") + b"{}",
        HEAD.replace(b"Mon,", b"Mon\n,") + b"{}",
        HEAD.replace(b"Mon,", b"x" * 300) + b"{}",
    ],
)
def test_another_head_is_not_recognised(other: bytes) -> None:
    template = template_of(HEAD + b"{}", VALUES)
    assert template is not None
    assert template.read(other) is None


@pytest.mark.parametrize(
    ("data", "values"),
    [
        (HEAD + b"{}", {b"date": VALUES[b"date"]}),
        (HEAD + b"{}", {**VALUES, b"etag": b"1"}),
        (HEAD + b"{}", {**VALUES, b"date": b"Tue"}),
        (HEAD + b"{}", {**VALUES, b"content-length": b"2 "}),
        (HEAD + b"{}", {**VALUES, b"date": VALUES[b"date"][:3]}),
        (HEAD.replace(b"X: y", b"date: z") + b"{}", VALUES),
        (HEAD + b"{} ", VALUES),
        (HEAD.replace(b"X: y", b"X: " + b"y" * 4000) + b"{}", VALUES),
        (HEAD[:-4], VALUES),
    ],
)
def test_no_template_is_made_where_the_head_is_not_as_it_was_read(data: bytes, values: dict[bytes, bytes]) -> None:
    assert template_of(data, values) is None
