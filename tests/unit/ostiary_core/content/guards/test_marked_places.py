from typing import Any

from guard_rules import BOUNDARY, guard

from ostiary_core.content.guards.joined_texts import TextPart
from ostiary_core.content.guards.marked_places import Mark, cut_and_act
from ostiary_core.content.places import ReadablePlace, places_of
from ostiary_core.contract.content import Direction


def response(text: str) -> dict[str, Any]:
    return {"id": 1, "result": {"content": [{"type": "text", "text": text}]}}


def text_place(message: dict[str, Any]) -> ReadablePlace:
    return next(place for place in places_of(message) if place.key == "text" and place.kind.name == "PROSE")


def test_what_a_guard_strips_is_cut_and_the_rest_is_wrapped() -> None:
    message = response("one two three")
    place = text_place(message)
    marks = [
        Mark(guard("Override", action="Strip"), "Override", TextPart(place, 4, 7)),
        Mark(guard("Override", action="Wrap"), "Override", TextPart(place, 0, 3)),
    ]
    acted = cut_and_act(message, marks, Direction.RESULTS, lambda: BOUNDARY)
    assert (acted.is_changed, acted.is_blocked) == (True, False)
    text = message["result"]["content"][0]["text"]
    assert text.splitlines()[1:] == ["one [removed] three", BOUNDARY]


def test_nothing_is_changed_of_a_message_that_must_not_pass() -> None:
    message = response("one two three")
    place = text_place(message)
    marks = [
        Mark(guard("Override", action="Strip"), "Override", TextPart(place, 4, 7)),
        Mark(guard("Override", action="Block"), "Override", TextPart(place, 0, 3)),
    ]
    assert cut_and_act(message, marks, Direction.RESULTS, lambda: BOUNDARY).is_blocked
    assert message == response("one two three")


def test_overlapping_parts_are_cut_once() -> None:
    message = response("one two three")
    place = text_place(message)
    strip = guard("Override", action="Strip")
    marks = [Mark(strip, "Override", TextPart(place, *span)) for span in ((0, 7), (4, 13))]
    cut_and_act(message, marks, Direction.RESULTS, lambda: BOUNDARY)
    assert message["result"]["content"][0]["text"] == "[removed]"
