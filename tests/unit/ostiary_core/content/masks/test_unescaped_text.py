"""Values behind escapes and in lenient base64, which a reader decodes where a parser of JSON does not."""

import base64
from typing import Any

import orjson
import pytest
from compiled_masks import mask, mask_set, masked

CARD = "4111111111111111"
ESCAPED = "\\u0034111111111111111"


def found_in(result: dict[str, Any]) -> bool:
    """Whether a mask changes a result, and both its searches say so."""
    message = {"jsonrpc": "2.0", "id": 1, "result": result}
    masks = mask_set(mask({"kind": "CardNumber"}))
    return masks.may_match(orjson.dumps(message)) and masked(masks, message).is_changed


@pytest.mark.parametrize(
    "text",
    [
        f'here: {{"a":"{ESCAPED}"}}',
        f'{{"b":1}}\n{{"a":"{ESCAPED}"}}',
        f'{{"a":"{ESCAPED}","a":1}}',
        f'{{"a":"{ESCAPED}","b":NaN}}',
        f'"{ESCAPED}"',
        f"\\\\\\\\{ESCAPED}",
    ],
)
def test_an_escape_in_a_text_that_is_no_json_hides_nothing(text: str) -> None:
    assert found_in({"content": [{"type": "text", "text": text}]})


SPLIT = {
    "a line break that no parser undid": r"see \n4111111111111111",
    "an escaped escape": r"see \\n4111111111111111",
    "a quotation mark": r"{\"card\": \"4111111111111111\"",
    "an escaped zero-width space": r"411111\u200b1111111111",
    "a zero-width space": "411111\u200b1111111111",
    "several of them": "411111\u200b\u2060\u00ad1111111111 ",
    "one between a space and a digit": "4111 \u200b1111 1111 1111",
    "thin spaces": "4111\u20091111\u20091111\u20091111",
    "thin spaces next to others": "4111 \u20091111\u2009 1111 \u2009 1111",
    "wide spaces": "4111\u30001111\u30001111\u30001111",
    "two spaces": "4111\u2009\u200a1111 1111 1111",
    "a minus": "4111\u22121111\u22121111\u22121111",
    "a control": "411111\x001111111111",
    "a deletion": "411111\x7f1111111111",
    "tags": "4111\U000e00201111\U000e007f11111111",
}


@pytest.mark.parametrize("text", SPLIT.values(), ids=SPLIT)
def test_what_does_not_print_and_spaces_of_any_width_hide_no_card(text: str) -> None:
    message = {"result": {"content": [{"type": "text", "text": f"a {text} b" + " filled" * 100}]}}
    masks = mask_set(mask({"kind": "CardNumber"}))
    assert masks.may_match(orjson.dumps(message))
    found = masked(masks, message)
    assert "[masked: CardNumber]" in message["result"]["content"][0]["text"]
    assert "1111" not in message["result"]["content"][0]["text"]
    assert [each.count for each in found.findings] == [1]
    assert found_in({"structuredContent": {"a": text}})


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("USSSN", "536\u200990\u20094399"),
        ("IBAN", "DE89\u20053704\u20050044\u20050532\u20050130\u200500"),
        ("IBAN", "D\u200bE89370400440532013000"),
        ("Email", "ada\u200b@exam\u00adple.com"),
        ("Phone", "+49\u205f30\u205f901820"),
        ("IPAddress", "203.0\u200d.113.7"),
        ("Secret", "AK\u200bIAIOSFODNN7EXAMPLE"),
        ("Secret", "pass\u200bword\u00a0:\u00a0Tr0ub4dor&3x"),
    ],
)
def test_no_kind_is_hidden_by_what_does_not_print(kind: str, text: str) -> None:
    message = {"result": {"content": [{"type": "text", "text": f"a {text} b"}]}}
    masks = mask_set(mask({"kind": kind}))
    assert masks.may_match(orjson.dumps(message))
    masked(masks, message)
    left = message["result"]["content"][0]["text"]
    assert left.endswith(f"[masked: {kind}] b")


def test_a_key_says_what_its_value_is_through_what_does_not_print() -> None:
    assert mask_set(mask({"kind": "Secret"})).value({"to\u200bken": "aB3dE5fG7hJ9kL1mN3pQ"}) == {
        "to\u200bken": "[masked: Secret]"
    }


def test_dashes_and_spaces_between_words_are_not_looked_through() -> None:
    text = "Caf\u00e9 \u2013 10 \u201cpages\u201d of prose, \u2714\ufe0f and \U0001f469\u200d\U0001f4bb \u2026 "
    assert not mask_set(mask({"kind": "CardNumber"})).may_match(orjson.dumps({"result": {"a": text}}))


def test_a_value_that_is_split_into_two_blocks_by_what_does_not_print_is_one() -> None:
    blocks = [{"type": "text", "text": "411111\u200b"}, {"type": "text", "text": "\u200b1111111111"}]
    message = {"result": {"content": blocks}}
    masked(mask_set(mask({"kind": "CardNumber"})), message)
    assert [block["text"] for block in blocks] == ["[masked: CardNumber]", ""]


def test_a_value_that_crosses_two_texts_is_seen_through_what_does_not_print() -> None:
    masks = mask_set(mask({"kind": "CardNumber"}))
    assert masks.crosses("a\u200b 411111\u200b", "111111\u200b1111 b")
    assert not masks.crosses("a\u200b 411111\u200b1111111111", " b")


def test_a_value_that_shows_does_not_protect_one_behind_escapes() -> None:
    message = {"result": {"content": [{"type": "text", "text": f"{CARD} and {ESCAPED} \\u0041"}]}}
    masked(mask_set(mask({"kind": "CardNumber"})), message)
    assert message["result"]["content"][0]["text"] == "[masked: CardNumber] and [masked: CardNumber] \\u0041"


@pytest.mark.parametrize("value", ["%34111111111111111", "411111%E2%80%8b1111111111", "411111%c2%ad1111111111"])
def test_an_item_with_a_value_percent_encoded_in_its_uri_is_withheld(value: str) -> None:
    assert found_in({"content": [{"type": "resource_link", "name": "x", "uri": f"crm://c/{value}"}]})


@pytest.mark.parametrize(
    ("media_type", "blob"),
    [
        ("text/csv; charset=iso-8859-1", base64.b64encode(f"caf\xe9 {CARD}".encode("latin-1"))),
        ("text/plain; charset=utf-16", base64.b64encode(CARD.encode("utf-16"))),
        ("text/plain; charset=utf-16le", base64.b64encode(CARD.encode("utf-16le"))),
        ("text/csv", base64.encodebytes((CARD + " " * 100).encode())),
        ("text/csv", base64.urlsafe_b64encode(f"\xff??>>~~~ {CARD}".encode())),
        ("text/csv", base64.b64encode(f"{CARD} b".encode()).rstrip(b"=")),
    ],
)
def test_base64_is_read_as_the_most_lenient_client_reads_it(media_type: str, blob: bytes) -> None:
    assert found_in({"contents": [{"uri": "a:b", "mimeType": media_type, "blob": blob.decode()}]})


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "uri",
    [
        f"data:text/plain;base64,{encoded(f'see {CARD}!')}",
        f"data:;base64,{encoded(f'see {CARD}!')}",
        f"DATA:text/csv;charset=utf-8;Base64,{encoded(f'see {CARD}!')}".replace("=", "%3D").replace("t%3D", "t="),
        f"data:application/json;base64,{encoded(chr(34) + ESCAPED + chr(34))}",
        f"data:text/html;base64,{encoded(f'<a href=data:text/plain;base64,{encoded(CARD)}>')}",
    ],
)
def test_a_data_uri_of_a_text_type_is_searched_decoded(uri: str) -> None:
    assert found_in({"content": [{"type": "text", "text": f"before <{uri}> after"}]})
    assert found_in({"structuredContent": {"a": [uri]}})
    link = {"result": {"content": [{"type": "resource_link", "name": "x", "uri": uri}]}}
    assert masked(mask_set(mask({"kind": "CardNumber"})), link).is_changed
    assert link["result"]["content"] == []
    resource = {"result": {"contents": [{"uri": uri, "text": "ok"}]}}
    assert masked(mask_set(mask({"kind": "CardNumber"})), resource).is_changed


def test_a_masked_data_uri_holds_the_masked_text() -> None:
    uri = f"data:text/plain;base64,{encoded(f'see {CARD}!')}"
    message = {"result": {"content": [{"type": "text", "text": f"before {uri}, after"}]}}
    masked(mask_set(mask({"kind": "CardNumber"})), message)
    wanted = encoded("see [masked: CardNumber]!")
    assert message["result"]["content"][0]["text"] == f"before data:text/plain;base64,{wanted}, after"


def test_a_data_uri_of_an_image_and_one_without_a_value_stay_as_they_are() -> None:
    for uri in (f"data:image/png;base64,{encoded(CARD)}", f"data:text/plain;base64,{encoded('hello')}"):
        assert not found_in({"content": [{"type": "text", "text": uri}]})


def test_arguments_of_a_tool_in_a_sampled_message_have_no_handles() -> None:
    use = {"type": "tool_use", "id": "1", "name": "pay", "input": {"cursor": CARD}}
    message = {"id": 1, "method": "sampling/createMessage", "params": {"messages": [{"role": "user", "content": use}]}}
    assert masked(mask_set(mask({"kind": "CardNumber"})), message).is_changed
