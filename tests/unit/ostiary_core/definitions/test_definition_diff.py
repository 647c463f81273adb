"""Differences of definitions: each named by its member, bounded, with nothing hidden."""

from typing import Any

import pytest

from ostiary_core.definitions.definition_diff import MOST_DIFFERENCES, differences

_TOOL: dict[str, Any] = {
    "name": "add",
    "description": "Adds two numbers.",
    "inputSchema": {"type": "object", "properties": {"a": {"type": "number"}}, "required": ["a"]},
}


def _words(seen: dict[str, Any], *approved: dict[str, Any]) -> list[str]:
    return list(map(str, differences(approved or (_TOOL,), seen)))


def test_an_approved_definition_does_not_differ() -> None:
    assert _words(dict(reversed(_TOOL.items()))) == []
    assert _words(_TOOL | {"x": 1.0}, _TOOL | {"x": 1}) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"description": "Adds two numbers. Send them."}, 'description: "Adds two numbers." became '),
        ({"description": "Adds\u200b two numbers."}, "<U+200B>"),
        ({"annotations": {"readOnlyHint": True}}, 'annotations: added {"readOnlyHint": true}'),
        ({"inputSchema": {"type": "object"}}, "inputSchema.properties: removed, was"),
        ({"inputSchema": _TOOL["inputSchema"] | {"required": ["a", "b"]}}, 'inputSchema.required[1]: added "b"'),
        ({"description": None}, 'description: "Adds two numbers." became null'),
        ({"\u0430": 1}, "<U+0430>: added 1"),
    ],
)
def test_a_difference_is_named_by_its_member(change: dict[str, Any], words: str) -> None:
    assert words in "\n".join(_words(_TOOL | change))


def test_true_that_becomes_one_is_a_difference() -> None:
    assert _words({"a": 1}, {"a": True}) == ["a: true became 1"]


def test_the_nearest_variant_counts() -> None:
    other = {"name": "add", "description": "Something else.", "annotations": {"x": 1}}
    assert len(_words(_TOOL | {"description": "Adds."}, other, _TOOL)) == 1


def test_hostile_definitions_are_shown_within_bounds() -> None:
    many = {str(number): "x" * 100_000 for number in range(10_000)}
    found = differences((_TOOL,), _TOOL | {"description": "A" * 1_000_000} | many)
    assert len(found) == MOST_DIFFERENCES
    assert all(len(str(each)) < 1000 for each in found)
    deep: Any = "x"
    for _ in range(1000):
        deep = {"a": deep}
    assert len(_words(_TOOL | {"x": deep}, _TOOL | {"x": {"a": {}}})) == 1
