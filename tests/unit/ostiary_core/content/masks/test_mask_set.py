"""What callers read of a message, under the masks of a policy."""

from typing import Any

import pytest
from compiled_masks import mask, mask_set, masked

from ostiary_core.content.finding import ContentFinding
from ostiary_core.content.rule_scope import RuleScope
from ostiary_core.contract.content import Direction

CARD = {"kind": "CardNumber"}
EMPLOYEE = {"pattern": r"EMP-\d{6}", "name": "employee"}


def result(text: str, **more: Any) -> dict[str, Any]:
    """A result with one text block."""
    return {"jsonrpc": "2.0", "id": 1, "result": {"content": [{"type": "text", "text": text}], **more}}


def text_of(message: dict[str, Any]) -> Any:
    """The text of its first block."""
    return message["result"]["content"][0]["text"]


def test_a_card_is_masked_in_text_values_numbers_and_keys() -> None:
    message = result("pay 4111 1111 1111 1111 now", structuredContent={"4111111111111111": [4111111111111111]})
    found = masked(mask_set(mask(CARD, keep_last=4)), message)
    assert text_of(message) == "pay **** **** **** 1111 now"
    assert message["result"]["structuredContent"] == {"************1111": ["************1111"]}
    assert found.is_changed
    assert found.findings == (ContentFinding("team/privacy", "mask", "CardNumber", "Mask", Direction.RESULTS, 3),)


def test_without_keep_last_the_kind_stands_in_place_of_the_value() -> None:
    message = result("EMP-123456, 4111111111111111")
    masked(mask_set(mask(CARD, EMPLOYEE)), message)
    assert text_of(message) == "[masked: employee], [masked: CardNumber]"


def test_a_message_without_a_hit_is_unchanged() -> None:
    message = result("nothing here", structuredContent={"order": 4111111111111112})
    found = masked(mask_set(mask(CARD)), message)
    assert not found.is_changed
    assert found.findings == ()


def test_a_field_is_masked_whatever_it_holds() -> None:
    field = {"field": ["structuredContent", "rows", "*", "ssn"]}
    message = result("", structuredContent={"rows": [{"ssn": 1, "n": 1}, {"ssn": {"a": "b"}}, {"ssn": None}]})
    masked(mask_set(mask(field)), message)
    name = "[masked: /structuredContent/rows/*/ssn]"
    assert message["result"]["structuredContent"] == {
        "rows": [{"ssn": name, "n": 1}, {"ssn": {"a": name}}, {"ssn": None}]
    }


def test_the_stronger_action_wins_where_two_masks_find_the_same() -> None:
    message = result("EMP-123456")
    found = masked(mask_set(mask(EMPLOYEE), mask({"pattern": "123456", "name": "n"}, action="Remove")), message)
    assert text_of(message) == ""
    assert len(found.findings) == 2


def test_a_mask_in_shadow_mode_only_counts() -> None:
    message = result("EMP-123456")
    found = masked(mask_set(mask(EMPLOYEE, origin=RuleScope("team/privacy", "mask", is_shadow=True))), message)
    assert text_of(message) == "EMP-123456"
    assert not found.is_changed
    assert [finding.is_shadow for finding in found.findings] == [True]


def test_a_mask_with_block_blocks() -> None:
    assert masked(mask_set(mask(CARD, action="Block")), result("4111111111111111")).is_blocked
    assert not masked(mask_set(mask(CARD, action="Block")), result("4111111111111112")).is_blocked


def test_a_mask_applies_in_its_directions_only() -> None:
    masks = mask_set(mask(CARD, directions=["Arguments"]))
    message = {"method": "tools/call", "params": {"name": "t", "arguments": {"card": "4111111111111111"}}}
    assert masked(masks, message, Direction.ARGUMENTS).is_changed
    assert not masked(masks, result("4111111111111111"), Direction.RESULTS).is_changed


def test_records_are_masked_whatever_the_directions_are() -> None:
    masks = mask_set(mask(CARD, directions=["Arguments"]))
    assert masks.text("a 4111111111111111") == "a [masked: CardNumber]"
    assert masks.value({"a": [4111111111111111]}) == {"a": ["[masked: CardNumber]"]}


@pytest.mark.parametrize("text", [b'{"a":"4111 1111 1111 1111"}', rb'{"a":"\u0034111111111111111"}'])
def test_a_text_of_json_that_may_hold_a_value_is_not_passed_over(text: bytes) -> None:
    assert mask_set(mask(CARD)).may_match(text)


def test_a_text_of_json_without_a_candidate_need_not_be_walked() -> None:
    assert not mask_set(mask(CARD, EMPLOYEE)).may_match(b'{"a":"nothing 411"}')
