import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from json_texts import any_text, mangled, objects, strings, values

from ostiary_core.errors import StrictJSONError
from ostiary_core.json_spans import SpanReader


def read_members(text: bytes) -> dict[str, str]:
    """The members of the object in a text, each as the piece of text that holds it."""
    reader = SpanReader(text)
    found: dict[str, str] = {}

    class Into(dict[str, Any]):
        def __contains__(self, key: object) -> bool:
            return True

        def __missing__(self, key: str) -> Any:
            def note(start: int) -> int:
                end = reader.value(start)[1]
                found[key] = reader.text[start:end]
                return end

            return note

    reader.whole(Into())
    return found


@given(st.dictionaries(any_text, st.integers() | any_text | st.lists(st.none())), st.sampled_from([None, 1]))
def test_each_member_keeps_its_exact_text(members: dict[str, Any], indent: int | None) -> None:
    found = read_members(json.dumps(members, indent=indent).encode())

    assert {key: json.loads(piece) for key, piece in found.items()} == members


@given(mangled(objects(strings(), values)))
def test_what_is_read_as_an_object_the_standard_library_reads_alike(text: bytes) -> None:
    try:
        found = read_members(text)
    except StrictJSONError:
        return
    assert json.dumps({key: as_python(piece) for key, piece in found.items()}) == json.dumps(
        as_python(text.decode("utf-8-sig"))
    )


def as_python(text: str) -> Any:
    return json.loads(text, parse_int=float)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{",
        b'{"a"}',
        b'{"a":}',
        b'{"a":1,}',
        b'{"a":1 "b":2}',
        b"{1:2}",
        b'{"a":1} x',
        b'{"a":1,"\\u0061":2}',
        b'{"a":"\xff"}',
        b'{"a":"\n"}',
        b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
def test_a_document_that_is_no_object_or_has_a_duplicate_key_is_refused(text: bytes) -> None:
    with pytest.raises(StrictJSONError):
        read_members(text)


def test_the_items_of_a_list_keep_details_that_parsed_values_lose() -> None:
    items = ['{"n":' + "9" * 6000 + "}", '{"a":1,"a":2}', '"\\ud800"', "1.50", '{"x":NaN}', "[ ]"]
    reader = SpanReader(f"\ufeff[ {' , '.join(items)} ]".encode())
    found = list(reader.items(0))

    assert [reader.text[item.start : item.end] for item in found] == items
    assert [item.is_json for item in found] == [True, True, True, True, False, True]
    assert found[1].value == (("a", 1.0), ("a", 2.0))
    assert reader.end == len(reader.text)
