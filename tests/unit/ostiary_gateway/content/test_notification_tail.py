"""What a server splits over notifications is found, and what it tells otherwise is not."""

from typing import Any

import pytest
from compiled_masks import mask, mask_set

from ostiary_core.steps import run_steps
from ostiary_gateway.content.notification_tail import TAIL_CHARACTERS, NotificationTail, is_telling

CARD = "4111111111111111"
MASKS = mask_set(mask({"kind": "CardNumber"}))


def told(tail: NotificationTail, text: str, **members: Any) -> bool:
    """Whether a log message may follow those before it."""
    message = {"method": "notifications/message", "params": {"level": "info", "data": text, **members}}
    return run_steps(tail.following(message, MASKS)) is None


@pytest.mark.parametrize("cut", range(1, len(CARD)))
def test_a_card_number_is_found_at_every_place_where_it_is_cut(cut: int) -> None:
    tail = NotificationTail()
    assert told(tail, f"The card is {CARD[:cut]}")
    assert not told(tail, f"{CARD[cut:]} and no other")


def test_parts_with_a_space_at_the_cut_are_found() -> None:
    tail = NotificationTail()
    assert told(tail, "4111 1111")
    assert not told(tail, "1111 1111")


def test_what_was_dropped_is_no_part_of_what_was_told() -> None:
    tail = NotificationTail()
    assert told(tail, CARD[:8])
    assert not told(tail, CARD[8:])
    assert told(tail, "and on")


def test_names_of_loggers_are_read_one_after_another_as_well() -> None:
    tail = NotificationTail()
    assert told(tail, "a", logger=CARD[:8])
    assert not told(tail, "b", logger=CARD[8:])


def test_only_the_end_of_what_was_told_is_kept() -> None:
    tail = NotificationTail()
    assert told(tail, CARD[:8])
    assert told(tail, "x" * 10_000_000)
    assert told(tail, CARD[8:])
    assert all(len(each) <= TAIL_CHARACTERS for each in tail._shown.values())


def test_a_notification_without_text_of_the_server_tells_nothing() -> None:
    assert not is_telling("notifications/tools/list_changed")
    assert is_telling("notifications/message")
    assert is_telling("notifications/tasks/status")
