"""Two JSON readers of one text: the core's, and the standard library's in a strict form. They must agree."""

from hypothesis import example, given
from hypothesis import strategies as st
from json_texts import deep_values, identical, mangled, read_strictly, values

from ostiary_core.errors import StrictJSONError
from ostiary_core.strict_json import dumps, loads


def agree(text: bytes) -> None:
    try:
        expected = read_strictly(text)
    except ValueError:
        expected = ...
    try:
        found = loads(text)
    except StrictJSONError:
        found = ...
    assert (found is ...) == (expected is ...), (found, expected)
    if found is not ...:
        assert identical(found, expected)
        assert identical(read_strictly(dumps(found)), expected)


@given(mangled())
def test_every_text_means_the_same_to_both_or_is_refused_by_both(text: bytes) -> None:
    agree(text)


@given(st.binary(max_size=40))
@example(b"")
@example(b"\xef\xbb\xbf1")
@example(b"\xff\xfe1\x00")  # UTF-16, which some readers guess
def test_so_do_any_bytes_at_all(text: bytes) -> None:
    agree(text)


@given(mangled(deep_values))
def test_so_do_texts_at_the_bound_of_nesting(text: bytes) -> None:
    agree(text)


@given(values, st.sampled_from(["{%s}", "[%s]", "%s %s", '{"a":%s', '{"a":%s,"a":%s}', '[{"a":{"b":%s}}]', "\ufeff%s"]))
def test_so_do_texts_within_texts(value: str, frame: str) -> None:
    agree(frame.replace("%s", value).encode("utf-8", "surrogatepass"))
