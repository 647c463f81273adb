"""What callers read of a message, under the masks of a policy."""

import base64
from typing import Any

import orjson
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


def test_json_in_a_text_is_masked_as_json_behind_its_escapes() -> None:
    text = (
        r'{"a": "\u0034111 1111 1111 1111", "4111111111111111": 4111111111111111, "n": 1.50, "e": 4.111111111111111e15}'
    )
    message = result(text)
    masked(mask_set(mask(CARD)), message)
    name = "[masked: CardNumber]"
    assert orjson.loads(text_of(message)) == {"a": name, name: name, "n": 1.5, "e": name}


def test_json_in_json_in_a_text_is_masked() -> None:
    inner = orjson.dumps({"card": "4111\u00a01111\u00a01111\u00a01111"}).decode()
    message = result(orjson.dumps([orjson.dumps({"inner": inner}).decode()]).decode())
    masked(mask_set(mask(CARD)), message)
    assert orjson.loads(orjson.loads(orjson.loads(text_of(message))[0])["inner"]) == {"card": "[masked: CardNumber]"}


def test_text_that_is_almost_json_is_masked_as_text() -> None:
    message = result('{"card": "4111111111111111"')
    masked(mask_set(mask(CARD)), message)
    assert text_of(message) == '{"card": "[masked: CardNumber]"'


def test_json_without_a_hit_keeps_its_spelling() -> None:
    text = '{ "a" :  "\\u0041", "n": 1.50 }'
    message = result(text + "", structuredContent={"card": 4111111111111111})
    masked(mask_set(mask(CARD)), message)
    assert text_of(message) == text


def test_a_field_of_structured_content_is_masked_in_its_text_of_json_too() -> None:
    message = result('{"ssn": "secret", "n": 1}', structuredContent={"ssn": "secret", "n": 1})
    masked(mask_set(mask({"field": ["structuredContent", "ssn"]})), message)
    assert "secret" not in repr(message)
    assert orjson.loads(text_of(message))["n"] == 1


def blocks(*texts: str) -> dict[str, Any]:
    """A result with several text blocks."""
    return {"result": {"content": [{"type": "text", "text": text} for text in texts]}}


@pytest.mark.parametrize(
    "parts", [("4111 1111 ", "1111 1111"), ("a 4111", "1111", "11111111 b"), ("41111111", "", "11111111")]
)
def test_a_value_that_is_spread_over_text_blocks_is_masked(parts: tuple[str, ...]) -> None:
    message = blocks(*parts)
    masked(mask_set(mask(CARD)), message)
    texts = [block["text"] for block in message["result"]["content"]]
    assert "".join(texts).replace("a ", "").replace(" b", "") == "[masked: CardNumber]"


def test_a_value_over_two_blocks_keeps_its_last_characters() -> None:
    message = blocks("4111 1111 ", "1111 1111 tail")
    masked(mask_set(mask(CARD, keep_last=4)), message)
    assert [block["text"] for block in message["result"]["content"]] == ["**** **** ", "**** 1111 tail"]


def test_a_value_over_two_messages_of_a_prompt_is_masked() -> None:
    texts = ({"role": "user", "content": {"type": "text", "text": text}} for text in ("4111 1111 ", "1111 1111"))
    message: dict[str, Any] = {"result": {"messages": list(texts)}}
    assert masked(mask_set(mask(CARD)), message).is_changed


def test_blocks_with_another_block_between_are_not_one_text() -> None:
    message = blocks("4111 1111 ", "1111 1111")
    message["result"]["content"].insert(1, {"type": "image", "mimeType": "image/png", "data": "AAAA"})
    assert not masked(mask_set(mask(CARD)), message).is_changed


def test_text_in_base64_is_masked() -> None:
    blob = base64.b64encode(b"name,card\nAda,4111111111111111\n").decode()
    message = {"result": {"contents": [{"uri": "a:b", "mimeType": "text/csv", "blob": blob}]}}
    masked(mask_set(mask(CARD)), message)
    assert base64.b64decode(str(message["result"]["contents"][0]["blob"])) == b"name,card\nAda,[masked: CardNumber]\n"


def test_a_key_says_what_its_value_is() -> None:
    content = {
        "homePhone": "555-123-4567",
        "phones": ["555-123-4568"],
        "api_token": "Zx81kQmT39vbLp02WqRt",
        "n": 5551234567,
    }
    message = result("", structuredContent=content)
    masked(mask_set(mask({"kind": "Phone"}, {"kind": "Secret"})), message)
    assert message["result"]["structuredContent"] == {
        "homePhone": "[masked: Phone]",
        "phones": ["[masked: Phone]"],
        "api_token": "[masked: Secret]",
        "n": 5551234567,
    }


@pytest.mark.parametrize("card", ["\uff14" + 15 * "\uff11", "\u0664" + 15 * "\u0661"])
def test_digits_of_other_scripts_are_digits(card: str) -> None:
    message = result(f"card {card} ü", structuredContent={"a": card})
    assert mask_set(mask(CARD)).may_match(orjson.dumps(message))
    masked(mask_set(mask(CARD)), message)
    assert text_of(message) == "card [masked: CardNumber] ü"
    assert message["result"]["structuredContent"] == {"a": "[masked: CardNumber]"}


LINK = {"type": "resource_link", "uri": "crm://cards/4111111111111111", "name": "a card"}


@pytest.mark.parametrize("action", ["Mask", "Remove", "Hash", "Tokenise"])
def test_an_item_whose_uri_matches_is_withheld(action: str) -> None:
    message = result("kept")
    message["result"]["content"] += [LINK, {"type": "text", "text": "also kept"}]
    found = masked(mask_set(mask(CARD, action=action)), message)
    assert [block["text"] for block in message["result"]["content"]] == ["kept", "also kept"]
    assert found.is_changed


def test_resources_of_a_list_and_contents_are_withheld_by_their_uri() -> None:
    item = {"uri": "crm://cards/4111111111111111", "name": "n"}
    for member in ("resources", "contents"):
        message: dict[str, Any] = {"result": {member: [item, {"uri": "crm://a", "name": "n"}]}}
        masked(mask_set(mask(CARD)), message)
        assert [each["uri"] for each in message["result"][member]] == ["crm://a"]


def test_a_tool_whose_name_matches_is_withheld() -> None:
    message: dict[str, Any] = {"result": {"tools": [{"name": "EMP-123456"}, {"name": "other"}]}}
    masked(mask_set(mask(EMPLOYEE)), message)
    assert message["result"]["tools"] == [{"name": "other"}]


def test_what_names_the_subject_of_a_message_blocks_it() -> None:
    masks = mask_set(mask(CARD))
    update = {"method": "notifications/resources/updated", "params": {"uri": "crm://cards/4111111111111111"}}
    assert masked(masks, update).is_blocked
    read = {"method": "resources/read", "params": {"uri": "crm://cards/4111111111111111"}}
    assert masked(masks, read, Direction.ARGUMENTS).is_blocked
    call = {"method": "tools/call", "params": {"name": "4111111111111111", "arguments": {}}}
    assert masked(masks, call, Direction.ARGUMENTS).is_blocked


def test_a_removed_value_takes_its_member_and_item_along() -> None:
    content = {
        "card": "4111111111111111",
        "cards": [1, 4111111111111111, 2],
        "text": "a 4111111111111111 b",
        "k": {"4111111111111111": 1},
    }
    message = result("only 4111111111111111", structuredContent=content)
    found = masked(mask_set(mask(CARD, action="Remove")), message)
    assert message["result"]["structuredContent"] == {"cards": [1, 2], "text": "a  b", "k": {}}
    assert text_of(message) == "only "
    assert {replaced.trail[2:]: replaced.same_length for replaced in found.replaced} == {
        ("card",): None,
        ("cards", 1): None,
        ("text",): "* **************** *",
        ("k", "4111111111111111"): None,
    }


def test_a_blocked_message_is_not_changed() -> None:
    message = result("4111111111111111", structuredContent={"e": "EMP-123456"})
    assert masked(mask_set(mask(CARD, action="Block"), mask(EMPLOYEE)), message).is_blocked
    assert message["result"]["structuredContent"] == {"e": "EMP-123456"}


def test_an_action_without_keys_masks() -> None:
    for action in ("Hash", "Tokenise"):
        message = result("4111111111111111")
        assert masked(mask_set(mask(CARD, action=action)), message).is_of_caller
        assert text_of(message) == "[masked: CardNumber]"


def test_records_show_masked_fields_and_hide_what_other_actions_do() -> None:
    masks = mask_set(
        mask(CARD, action="Remove"), mask({"field": ["structuredContent", "ssn"]}, {"field": ["pin"]}, action="Block")
    )
    assert masks.value({"pin": 1234, "a": 4111111111111111}) == {"pin": "[masked: /pin]", "a": "[masked: CardNumber]"}
    assert masks.value({"structuredContent": {"ssn": "x"}}) == {
        "structuredContent": {"ssn": "[masked: /structuredContent/ssn]"}
    }
    assert masks.value(4111111111111111) == "[masked: CardNumber]"
    assert masks.value(None) is None
    assert masks.value([True, 1.5, {}]) == [True, 1.5, {}]


def test_a_value_that_crosses_two_texts_is_seen() -> None:
    masks = mask_set(mask(CARD))
    assert masks.crosses("progress 4111 1111 ", "1111 1111 done")
    assert not masks.crosses("4111 1111 1111 1111", " done")
    assert not masks.crosses("a", "4111 1111 1111 1111")


def test_a_mask_can_drop_notifications() -> None:
    assert mask_set(mask(CARD, notifications="Drop")).drops_notifications
    assert not mask_set(mask(CARD)).drops_notifications


@pytest.mark.parametrize(
    "text",
    [
        b'{"phone":"555-123-4567"}',
        rb'{"text":"{\"a\":\"4111111111111111\"}"}',
        rb'{"text":"{\"a\":\"\\n4111111111111111\"}"}',
        rb'{"text":"a\n4111111111111111\n"}',
        rb'{"text":"http:\/\/a:s3cr3tpw1@b"}',
        rb'{"text":"\\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"}',
        rb'{"text":"\\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"}',
    ],
)
def test_the_bytes_of_a_message_tell_that_it_may_hold_something(text: bytes) -> None:
    assert mask_set(mask(CARD, {"kind": "Phone"}, {"kind": "Secret"})).may_match(text)


def test_escapes_alone_do_not_make_a_message_suspicious() -> None:
    assert not mask_set(mask(CARD)).may_match(rb'{"text":"line\nline \"quoted\" C:\\new {\"n\":\"\\n\"}"}')


def test_a_first_search_does_not_miss_what_is_encoded_in_base64() -> None:
    encoded = base64.b64encode(b"paid with 4111 1111 1111 1111 today").decode()
    blob = {"uri": "crm://file", "mimeType": "text/plain", "blob": encoded}
    for block in (
        {"type": "resource", "resource": blob},
        {"type": "audio", "mimeType": "text/plain", "data": encoded},
        {"type": "text", "text": orjson.dumps(blob).decode()},
    ):
        message = {"jsonrpc": "2.0", "id": 1, "result": {"content": [block]}}
        assert mask_set(mask(CARD)).may_match(orjson.dumps(message))


@pytest.mark.parametrize("name", ["requestState", "nextCursor", "taskId", "progressToken", "method", "jsonrpc"])
def test_the_name_of_a_handle_hides_nothing_where_no_handle_stands(name: str) -> None:
    message = result("ok", foo={name: "4111111111111111", "deep": {name: 4111111111111111}})
    masked(mask_set(mask(CARD)), message)
    assert message["result"]["foo"] == {name: "[masked: CardNumber]", "deep": {name: "[masked: CardNumber]"}}


@pytest.mark.parametrize(
    "members",
    [
        {"requestState": "4111111111111111"},
        {"task": {"taskId": "4111111111111111"}},
        {"tasks": [{"taskId": "4111111111111111"}]},
        {"_meta": {"io.modelcontextprotocol/related-task": {"taskId": "4111111111111111"}}},
    ],
)
def test_handles_stay_what_they_are(members: dict[str, Any]) -> None:
    message = result("ok", **members)
    assert not masked(mask_set(mask(CARD)), message).is_changed


@pytest.mark.parametrize("cut", [40, 400, 780])
def test_a_long_token_that_is_cut_into_two_blocks_is_one(cut: int) -> None:
    claims = base64.urlsafe_b64encode(orjson.dumps({"sub": "1", "note": "ada" * 180})).decode().rstrip("=")
    token = f"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.{claims}.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c"
    message = result(token[:cut])
    message["result"]["content"].append({"type": "text", "text": token[cut:]})
    masked(mask_set(mask({"kind": "Secret"})), message)
    assert [each["text"] for each in message["result"]["content"]] == ["[masked: Secret]", ""]
