"""Which digits are the number of a payment card."""

import pytest

from ostiary_core.content.detection.automaton import joined
from ostiary_core.content.detection.card_numbers import CARD_NUMBER, luhn

AUTOMATON = joined([CARD_NUMBER])


def found(text: str) -> list[str]:
    """The card numbers in a text."""
    raw = text.encode()
    hits = AUTOMATON.find(raw)
    assert AUTOMATON.may_match(raw) or not hits
    return [raw[hit.start : hit.end].decode() for hit in hits]


@pytest.mark.parametrize(
    "card",
    [
        "4111111111111111",
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "4111\u00a01111\u00a01111\u00a01111",
        "4111\u20111111\u20111111\u20111111",
        "4111\u200b1111\u200b1111\u200b1111",
        "5555555555554444",
        "2223003122003222",
        "378282246310005",
        "3782 822463 10005",
        "6011111111111117",
        "3530111333300000",
        "30569309025904",
        "3056 930902 5904",
        "6200000000000005",
    ],
)
@pytest.mark.parametrize(
    "around", ["{}", "card {}.", "12 {}", "{} 99", "pan={};", "卡号{}。", "VISA{}", '"{}"', "_{}_"]
)
def test_a_card_is_found_however_it_is_written(card: str, around: str) -> None:
    assert found(around.format(card)) == [card]


@pytest.mark.parametrize(
    "text",
    [
        "4111111111111112",  # the check digit is wrong
        "41111111111111111111111",  # longer than a card
        "a4111111111111111",  # the middle of a digest
        "4111111111111111f",
        "0.4111111111111111",
        "4111111111111111.5",
        "1700000000000000",  # microseconds: no issuer
        "550e8400-e29b-41d4-a716-446655440000",
        "0000 0000 0000 0000",
        "4 111 1111 1111 1111",
        "2026-11-29 12:30:45",
        "",
    ],
)
def test_other_digits_are_no_card(text: str) -> None:
    assert found(text) == []


def test_cards_that_follow_each_other_are_all_found() -> None:
    assert found("4111 1111 1111 1111 5555 5555 5555 4444") == ["4111 1111 1111 1111", "5555 5555 5555 4444"]


def test_the_check_digit_is_that_of_luhn() -> None:
    assert [last for last in range(10) if luhn(b"7992739871%d" % last)] == [3]
