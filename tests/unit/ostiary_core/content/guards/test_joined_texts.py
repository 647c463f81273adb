from typing import Any

from ostiary_core.content.guards.joined_texts import JoinedTexts, prose
from ostiary_core.content.places import places_of
from ostiary_core.steps import run_steps


def joined(*texts: str, **members: Any) -> JoinedTexts:
    content = [{"type": "text", "text": text} for text in texts]
    return run_steps(JoinedTexts.joining(places_of({"id": 1, "result": {"content": content, **members}})))


def test_neighbouring_blocks_are_one_text_and_everything_else_stays_apart() -> None:
    text = joined("the first one", "the second one", structuredContent=["a third text", "a fourth text"]).text
    assert "the first one\nthe second one" in text
    assert "a third text\n\x00\na fourth text" in text


def test_a_span_over_two_blocks_is_a_part_of_each() -> None:
    blocks = joined("the first one", "the second one")
    parts = [(part.place.text, part.start, part.end) for part in blocks.parts(4, 24)]
    assert parts == [("the first one", 4, 13), ("the second one", 0, 10)]


def test_short_texts_are_left_out_unless_they_hold_what_does_not_print() -> None:
    assert joined("short", "ok").text == ""
    assert "\x1b" in joined("\x1b[8mhi").text
    assert "\u200b" in joined("a\u200bb").text


def test_every_text_that_a_server_returned_is_prose() -> None:
    message = {"id": 1, "result": {"content": [{"type": "text", "text": "ok"}], "structuredContent": {"text": "no"}}}
    assert [part.place.text for part in prose(places_of(message))] == ["ok"]
