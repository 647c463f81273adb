"""Places in JSON: documents are not changed, and nothing that stands elsewhere is."""

from typing import Any

import pytest

from ostiary_core.content.transforms.json_places import concern_the_same, has_value, shown, with_value, without_value
from ostiary_core.errors import TransformError


@pytest.mark.parametrize(
    ("document", "place", "expected"),
    [
        ({}, ["a"], {"a": 1}),
        ({"a": 0, "b": 2}, ["a"], {"a": 1, "b": 2}),
        ({}, ["a", "b"], {"a": {"b": 1}}),
        ({"a": None}, ["a", "b"], {"a": {"b": 1}}),
        ({"l": [0, 0]}, ["l", "1"], {"l": [0, 1]}),
        ({"l": [0]}, ["l", "-"], {"l": [0, 1]}),
        ({"l": [0]}, ["l", "1", "x"], {"l": [0, {"x": 1}]}),
    ],
)
def test_a_value_is_set(document: Any, place: list[str], expected: Any) -> None:
    before = repr(document)
    assert with_value(document, place, 1) == expected
    assert repr(document) == before


@pytest.mark.parametrize(
    ("document", "place"),
    [({"a": "text"}, ["a", "b"]), ({"l": [0]}, ["l", "2"]), ({"l": [0]}, ["l", "01"]), ({"l": []}, ["l", "x"])],
)
def test_what_cannot_be_set_is_an_error(document: Any, place: list[str]) -> None:
    with pytest.raises(TransformError):
        with_value(document, place, 1)


@pytest.mark.parametrize(
    ("document", "place", "expected"),
    [
        ({"a": 1, "b": 2}, ["a"], {"b": 2}),
        ({"a": {"b": 1, "c": 2}}, ["a", "b"], {"a": {"c": 2}}),
        ({"l": [1, 2, 3]}, ["l", "1"], {"l": [1, 3]}),
    ],
)
def test_a_value_is_removed(document: Any, place: list[str], expected: Any) -> None:
    assert without_value(document, place) == expected


@pytest.mark.parametrize("place", [["x"], ["a", "x"], ["l", "9"], ["a", "b", "c", "d"]])
def test_a_document_without_the_place_stays_the_same_object(place: list[str]) -> None:
    document = {"a": {"b": 1}, "l": [1]}
    assert without_value(document, place) is document
    assert not has_value(document, place)


def test_null_is_a_value() -> None:
    assert has_value({"a": None}, ["a"])


def test_a_member_that_looks_like_the_place_to_some_readers_goes() -> None:
    document = {"Tenant": "mine", "tenant": "theirs", "other": 1}
    assert with_value(document, ["tenant"], "acme", drops_variants=True) == {"tenant": "acme", "other": 1}
    assert without_value(document, ["tenant"], drops_variants=True) == {"other": 1}
    assert without_value({"TENANT": 1}, ["tenant"], drops_variants=True) == {}


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (["a"], ["a"], True),
        (["a"], ["a", "b"], True),
        (["a", "b"], ["a"], True),
        (["a", "b"], ["a", "c"], False),
        (["l", "-"], ["l", "3"], True),
        (["l", "-"], ["l", "name"], False),
    ],
)
def test_places_concern_the_same_where_one_leads_to_the_other(
    first: list[str], second: list[str], *, expected: bool
) -> None:
    assert concern_the_same(first, second) is expected


def test_a_place_is_shown_as_a_pointer() -> None:
    assert shown(["a/b", "~x", "0"]) == "/a~1b/~0x/0"
