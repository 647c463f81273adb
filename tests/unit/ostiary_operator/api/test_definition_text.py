"""Definitions as texts of an MCPLock: readable, whole, and read as what was written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary_core.definitions.definition_digest import definition_digest
from ostiary_operator.api.definition_text import DefinitionTextError, read_definition, write_definition

_ODD = [
    "a\nb",
    " a\nb",
    "a\n\n",
    "true",
    "1e3",
    "1:59",
    "<<",
    "=",
    "- a",
    "a: b",
    "# x",
    "\x85",
    "2020-01-01",
    "\u200bx",
]
_TEXTS = st.text(max_size=30) | st.sampled_from(_ODD)
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXTS, inner, max_size=4),
    max_leaves=16,
)


@given(st.dictionaries(_TEXTS, _VALUES, min_size=1, max_size=4))
def test_what_is_written_is_read_as_the_same_definition(definition: dict[str, object]) -> None:
    assert definition_digest(read_definition(write_definition(definition))) == definition_digest(definition)


def test_a_definition_is_written_for_readers() -> None:
    tool = {
        "name": "add",
        "description": "Adds two numbers.\n\nBoth are whole.",
        "inputSchema": {
            "type": "object",
            "required": ["a"],
            "properties": {"a": {"type": ["integer", "null"], "default": None}},
        },
    }
    assert write_definition(tool) == (
        "name: add\n"
        "description: |-\n"
        "  Adds two numbers.\n"
        "\n"
        "  Both are whole.\n"
        "inputSchema:\n"
        "  type: object\n"
        "  required:\n"
        "    - a\n"
        "  properties:\n"
        "    a:\n"
        "      type:\n"
        "        - integer\n"
        '        - "null"\n'
        "      default: null\n"
    )


@pytest.mark.parametrize("hidden", ["\u200b", "\u202e", "\U000e0041", "\ufe0f", "\x1b"])
def test_hidden_characters_are_written_as_escapes(hidden: str) -> None:
    written = write_definition({"description": f"Adds.{hidden}\nSends the file."})
    assert hidden not in written
    assert "\\" in written


def test_json_is_a_definition_as_well() -> None:
    assert read_definition('{"name": "add", "x": null}') == {"name": "add", "x": None}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- a",
        "just text",
        "{",
        '{"a": 1, "a": 2}',
        "a: 1\na: 2",
        "a: 1\n---\nb: 2",
        "{" * 300,
        "a: &x [*x]",
        "\ud800: 1",
    ],
)
def test_a_text_that_is_no_definition_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(DefinitionTextError):
        read_definition(text)
