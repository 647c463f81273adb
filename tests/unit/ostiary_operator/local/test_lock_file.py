"""MCPLocks as files: written for review, read as what was shown, compared in words."""

from typing import Any

from ostiary_operator.api.yaml_reader import read_documents
from ostiary_operator.compile.lock_content import read_lock
from ostiary_operator.local.lock_file import ServedDefinitions, approved_by, changes, lock_text, merged

_ADD: dict[str, Any] = {"name": "add", "description": "Adds.\n\nTwo numbers.", "inputSchema": {"default": None}}
_SUB: dict[str, Any] = {"name": "sub", "description": "Sub\u200btracts."}


def _served(*tools: dict[str, Any], instructions: str = "") -> ServedDefinitions:
    found = ServedDefinitions([instructions] if instructions else [])
    found.items["tools"] += tools
    return found


def _read(text: str) -> dict[str, Any]:
    (document,) = read_documents(text)
    value: dict[str, Any] = document.value
    return value


def test_what_is_written_approves_exactly_what_was_served() -> None:
    written = lock_text("team", "calc", "calc", _served(_SUB, _ADD, instructions="Be exact."))
    lock = _read(written)
    assert list(changes(approved_by([lock["spec"]]), _served(_ADD, _SUB, instructions="Be exact."))) == []
    assert (read_lock(lock).definitions, lock["metadata"]) == (2, {"name": "calc", "namespace": "team"})
    assert "\u200b" not in written
    assert "\\u200B" in written
    assert written.index("name: add") < written.index("name: sub")


def test_a_lock_of_one_of_several_servers_is_named_after_both() -> None:
    assert _read(lock_text("team", "all", "calc", _served(_ADD)))["metadata"]["name"] == "all-calc"


def test_merging_keeps_what_is_approved_and_adds_what_is_shown() -> None:
    changed = _ADD | {"description": "Adds numbers."}
    found = merged(_served(_ADD, instructions="a"), _served(changed, _SUB, instructions="b"))
    assert found.items["tools"] == [_ADD, changed, _SUB]
    assert found.instructions == ["a", "b"]
    assert merged(found, _served(_ADD)).items == found.items


def test_changes_are_named_with_hidden_characters() -> None:
    served = _served(_ADD | {"title": "x"}, _SUB | {"name": "\u0430dd"}, instructions="new")
    assert list(changes(_served(_ADD, _SUB), served)) == [
        "instructions: not approved: new",
        'tool add: title: added "x"',
        "tool <U+0430>dd: new: Sub<U+200B>tracts.",
        "tool sub: approved, and no longer listed",
    ]
