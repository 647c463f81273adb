"""Masks of records: everything that is shown is masked, and only that is looked at."""

import copy
import json
from typing import Any

import pytest
from compiled_masks import mask, mask_set
from hypothesis import given, settings
from hypothesis import strategies as st

from ostiary_core.content.record_masks import RecordMasks

CARD = "4111 1111 1111 1111"
MASKS = RecordMasks(mask_set(mask({"kind": "CardNumber"}), mask({"pattern": r"EMP-\d{6}", "name": "employee"})))


def test_texts_values_keys_and_numbers_are_masked_in_a_copy() -> None:
    value = {"text": f"pay {CARD}", "4111111111111111": [4111111111111111, {"who": "EMP-123456"}], "order": 7}
    before = copy.deepcopy(value)

    shown, is_cut = MASKS.value(value, limit=1000)

    assert value == before
    assert not is_cut
    assert "4111" not in json.dumps(shown)
    assert "EMP-" not in json.dumps(shown)
    assert shown["order"] == 7
    assert MASKS.text(f"crm://cards/{CARD.replace(' ', '')}", limit=100) == "crm://cards/[masked: CardNumber]"


@pytest.mark.parametrize("direction", [["Arguments"], ["Results"]])
def test_a_mask_applies_to_records_whatever_its_directions_are(direction: list[str]) -> None:
    masks = RecordMasks(mask_set(mask({"kind": "CardNumber"}, directions=direction)))
    assert masks.value({"card": CARD}, limit=100)[0] == {"card": "[masked: CardNumber]"}


def test_a_value_that_is_nothing_but_a_match_is_masked() -> None:
    assert MASKS.value(CARD, limit=100) == ("[masked: CardNumber]", False)
    assert MASKS.value(4111111111111111, limit=100)[0] == "[masked: CardNumber]"
    assert MASKS.value(None, limit=100) == (None, False)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 60), st.integers(0, 12_000), st.integers(0, 12_000))
def test_no_place_of_a_cut_shows_a_part_of_a_value(limit: int, before: int, after: int) -> None:
    text = "x" * before + " EMP-123456 " * 5 + "y" * after
    for value in (text, [text], {"a": {"b": text}}, {"a": text, "c": text}):
        shown, _ = MASKS.value(value, limit=limit)
        assert "EMP" not in json.dumps(shown)
    assert "EMP" not in MASKS.text(text, limit=limit)
    assert len(MASKS.text(text, limit=limit)) <= limit


def test_a_large_value_is_cut_and_says_so() -> None:
    shown, is_cut = MASKS.value({"rows": ["x" * 1000] * 1000, "last": CARD}, limit=2000)
    assert is_cut
    assert 2000 < len(json.dumps(shown)) < 10_000


def test_a_value_that_is_nested_without_end_is_cut() -> None:
    deep: Any = CARD
    for _ in range(5000):
        deep = [deep]
    shown, is_cut = MASKS.value(deep, limit=1000)
    assert is_cut
    assert "4111" not in json.dumps(shown)


def test_a_text_that_is_written_down_again_is_masked_again() -> None:
    for _ in range(2):
        assert MASKS.text("EMP-123456", limit=100) == "[masked: employee]"
        assert MASKS.text("get_users", limit=100) == "get_users"


def test_many_short_texts_are_masked_like_few() -> None:
    masks = RecordMasks(mask_set(mask({"pattern": r"EMP-\d{6}", "name": "employee"})))
    for number in range(3000):
        assert masks.text(f"tool_{number}", limit=100) == f"tool_{number}"
    assert masks.text("EMP-000123", limit=100) == "[masked: employee]"
