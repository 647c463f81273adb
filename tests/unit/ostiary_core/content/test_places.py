"""Which strings, numbers and keys of a message its receiver can read."""

import base64
from typing import Any

import pytest

from ostiary_core.content.places import PlaceKind, places_of, values_of


def read(message: dict[str, Any]) -> set[str]:
    """All that can be read in a message, without keys."""
    return {place.text for place in places_of(message) if place.kind is not PlaceKind.KEY}


def kinds(message: dict[str, Any]) -> dict[str, PlaceKind]:
    """The kind of each text."""
    return {place.text: place.kind for place in places_of(message)}


@pytest.mark.parametrize(
    "message",
    [
        {"result": {"content": [{"type": "text", "text": "CANARY"}]}},
        {"result": {"content": [{"type": "resource", "resource": {"uri": "a:b", "text": "CANARY"}}]}},
        {"result": {"content": [{"type": "resource_link", "uri": "CANARY", "name": "n"}]}},
        {"result": {"content": [{"type": "resource_link", "uri": "a:b", "description": "CANARY"}]}},
        {"result": {"content": [{"type": "text", "text": "", "_meta": {"deep": [{"er": "CANARY"}]}}]}},
        {"result": {"structuredContent": {"rows": [["CANARY"]]}}},
        {"result": {"structuredContent": ["CANARY"]}},
        {"result": {"structuredContent": "CANARY"}},
        {"result": {"contents": [{"uri": "a:b", "text": "CANARY"}]}},
        {"result": {"contents": [{"uri": "a:b", "blob": base64.b64encode(b"CANARY").decode()}]}},
        {"result": {"messages": [{"role": "user", "content": {"type": "text", "text": "CANARY"}}]}},
        {"result": {"completion": {"values": ["CANARY"]}}},
        {"result": {"instructions": "CANARY"}},
        {"result": {"tools": [{"name": "t", "inputSchema": {"properties": {"a": {"default": "CANARY"}}}}]}},
        {"result": {"inputRequests": {"1": {"method": "elicitation/create", "params": {"message": "CANARY"}}}}},
        {"result": {"task": {"taskId": "1", "statusMessage": "CANARY"}}},
        {"result": {"nextCursor": {"hidden": "CANARY"}}},
        {"error": {"code": -1, "message": "CANARY"}},
        {"error": {"code": -1, "message": "m", "data": "CANARY"}},
        {"error": {"code": -1, "message": "m", "data": {"a": ["CANARY"]}}},
        {"error": "CANARY"},
        {"method": "notifications/message", "params": {"level": "info", "data": "CANARY"}},
        {"method": "notifications/progress", "params": {"progressToken": 1, "message": "CANARY"}},
        {"method": "elicitation/create", "params": {"requestedSchema": {"properties": {"a": {"title": "CANARY"}}}}},
        {"method": "sampling/createMessage", "params": {"messages": [], "systemPrompt": "CANARY"}},
        {"method": "tools/call", "params": {"name": "t", "arguments": {"cursor": "CANARY"}}},
        {"method": "tools/call", "params": {"name": "t", "inputResponses": {"1": {"content": {"a": "CANARY"}}}}},
        {"method": "completion/complete", "params": {"argument": {"name": "a", "value": "CANARY"}}},
        {"method": "completion/complete", "params": {"context": {"arguments": {"a": "CANARY"}}}},
        {"result": {"unknown": [[[{"member": "CANARY"}]]]}},
    ],
)
def test_a_text_can_be_read_at_every_place(message: dict[str, Any]) -> None:
    assert "CANARY" in read(message)


@pytest.mark.parametrize(
    "message",
    [
        {"id": "CANARY", "result": {}},
        {"result": {"nextCursor": "CANARY"}},
        {"result": {"requestState": "CANARY"}},
        {"result": {"task": {"taskId": "CANARY"}}},
        {"result": {"tasks": [{"taskId": "CANARY"}]}},
        {"result": {"_meta": {"io.modelcontextprotocol/related-task": {"taskId": "CANARY"}}}},
        {"method": "notifications/progress", "params": {"progressToken": "CANARY"}},
        {"method": "tools/call", "params": {"name": "t", "_meta": {"progressToken": "CANARY"}}},
        {"method": "notifications/cancelled", "params": {"requestId": "CANARY"}},
    ],
)
def test_a_handle_is_left_alone(message: dict[str, Any]) -> None:
    assert "CANARY" not in read(message)


def test_a_member_that_is_named_like_a_handle_is_read_where_names_are_free() -> None:
    assert read({"result": {"structuredContent": {"nextCursor": "a", "taskId": 7}}}) == {"a", "7"}


def test_keys_and_numbers_are_read() -> None:
    message = {"result": {"structuredContent": {"4111": 42, "a": 1.5, "b": 1e20, "c": None, "d": True}}}
    assert {place.text for place in places_of(message) if place.kind is PlaceKind.KEY} >= {"4111", "a"}
    assert {place.text for place in places_of(message) if place.kind is PlaceKind.NUMBER} == {
        "42",
        "1.5",
        "100000000000000000000",
    }


def test_kinds_say_how_a_place_can_be_changed() -> None:
    found = kinds(
        {
            "result": {
                "tools": [{"name": "tool", "description": "words"}],
                "resources": [{"name": "shown", "uri": "file:a"}],
                "structuredContent": {"value": "data"},
            }
        }
    )
    assert found["tool"] is PlaceKind.NAME
    assert found["words"] is found["shown"] is PlaceKind.PROSE
    assert found["file:a"] is PlaceKind.URI
    assert found["data"] is PlaceKind.VALUE


def test_what_is_put_stands_in_the_message() -> None:
    blob = base64.b64encode(b"old").decode()
    message = {"result": {"contents": [{"uri": "a:b", "mimeType": "text/plain", "blob": blob}]}}
    (place,) = [each for each in places_of(message) if each.kind is PlaceKind.BLOB]
    place.put("new")
    assert base64.b64decode(message["result"]["contents"][0]["blob"]) == b"new"


def test_a_picture_is_not_read() -> None:
    block = {"type": "image", "mimeType": "image/png", "data": base64.b64encode(b"\x89PNG CANARY").decode()}
    assert read({"result": {"content": [block]}}) == {"image", "image/png"}


def test_base64_that_is_none_is_read_as_it_is() -> None:
    assert "not base64: CANARY" in read({"result": {"contents": [{"uri": "a:b", "blob": "not base64: CANARY"}]}})


def test_a_key_is_renamed_where_it_stands_and_never_hides_another() -> None:
    value = {"a": 1, "secret": 2, "[masked]": 3, "z": 4}
    (place,) = [each for each in values_of(value) if each.text == "secret"]
    place.put("[masked]")
    assert list(value.items()) == [("a", 1), ("[masked] 2", 2), ("[masked]", 3), ("z", 4)]


def test_nesting_costs_no_recursion() -> None:
    value: Any = "CANARY"
    for _ in range(5000):
        value = [value]
    assert [place.text for place in values_of(value)] == ["CANARY"]


def test_a_trail_leads_from_the_root_to_the_value() -> None:
    message = {"result": {"structuredContent": {"rows": [{"a": "CANARY"}]}}}
    (place,) = [each for each in places_of(message) if each.text == "CANARY"]
    assert place.full_trail == ("result", "structuredContent", "rows", 0, "a")
    assert place.near == "a"
