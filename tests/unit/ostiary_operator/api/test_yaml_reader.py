import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary_operator.api.yaml_reader import YamlError, read_documents

TEXT = """\
# two proxies
kind: A
spec:
  servers:
  - name: a
    url: x
  list: [1,
    2]
---
---
kind: B
"""


def test_every_field_has_its_line() -> None:
    first, second = read_documents(TEXT)
    assert first.value == {"kind": "A", "spec": {"servers": [{"name": "a", "url": "x"}], "list": [1, 2]}}
    assert [first.line_of(f) for f in ("kind", "spec.servers[0]", "spec.servers[0].url", "spec.list[1]")] == [
        2,
        5,
        6,
        8,
    ]
    assert (second.value, second.line, second.line_of("kind")) == ({"kind": "B"}, 11, 11)


def test_a_missing_field_has_the_position_of_the_field_around_it() -> None:
    (document,) = read_documents("spec:\n  servers:\n  - name: a\n")
    assert document.line_of("spec.servers[0].url") == 3
    assert document.line_of("spec.servers[7].url") == 2
    assert document.line_of("metadata.name") == 1
    assert document.line_of("") == 1


def test_a_date_stays_text() -> None:
    (document,) = read_documents("a: 2026-11-21\nb: 2026-11-21T08:00:00Z")
    assert document.value == {"a": "2026-11-21", "b": "2026-11-21T08:00:00Z"}


def test_an_anchor_can_be_merged_and_overridden() -> None:
    (document,) = read_documents("base: &b {x: 1, y: 2}\nreal: {<<: *b, y: 3}")
    assert document.value["real"] == {"x": 1, "y": 3}


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("a: 1\nb:\n  c: 1\n  c: 2\n", "has the duplicate key 'c'", 4),
        ("a: [1\nb: 2", "did not find expected", 2),
        ("a: 1\n  b: 2", "mapping values are not allowed", 2),
        ("a: *missing", "undefined alias", 1),
        ("\n1: one", "has a key that is not text", 2),
        ("? [a]\n: b", "has a key that is not text", 1),
        ("a: !!python/object:os.system {}", "has the tag", 1),
        ("a: !secret x", "could not determine a constructor", 1),
        ("a: &a\n  b: *a", "nests deeper", 1),
        ("a: &a {x: 1}\nb: {<<: [*a, *a]}", "merges something other than one mapping", 2),
        ("a: &a {b: {<<: *a}}", "nests deeper", 1),
        ("a: 1" + ":59" * 300_000, "is a number of more than 4300 characters", 1),
        ("a: 1" + ":59" * 300_000 + ".5", "is a number of more than 4300 characters", 1),
        ("[" * 100_000 + "]" * 100_000, "nests deeper", 1),
        ("- " * 100_000 + "a", "nests deeper", 1),
    ],
)
def test_text_that_could_mislead_or_hurt_is_refused_with_its_line(text: str, message: str, line: int) -> None:
    with pytest.raises(YamlError, match=message) as refused:
        list(read_documents(text))
    assert refused.value.line == line


def test_aliases_cannot_blow_a_small_text_up() -> None:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 9)]
    with pytest.raises(YamlError, match="holds more than"):
        list(read_documents("\n".join(levels)))


def test_control_characters_are_refused() -> None:
    with pytest.raises(YamlError, match="control characters"):
        list(read_documents("a: \x00"))


@given(st.text())
def test_no_text_crashes_the_reader(text: str) -> None:
    with contextlib.suppress(YamlError):
        assert all(document.line >= 1 for document in read_documents(text))
