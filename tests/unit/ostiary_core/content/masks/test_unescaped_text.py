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


def test_a_value_that_shows_does_not_protect_one_behind_escapes() -> None:
    message = {"result": {"content": [{"type": "text", "text": f"{CARD} and {ESCAPED} \\u0041"}]}}
    masked(mask_set(mask({"kind": "CardNumber"})), message)
    assert message["result"]["content"][0]["text"] == "[masked: CardNumber] and [masked: CardNumber] \\u0041"


def test_an_item_with_a_value_percent_encoded_in_its_uri_is_withheld() -> None:
    assert found_in({"content": [{"type": "resource_link", "name": "x", "uri": "crm://c/%34111111111111111"}]})


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


def test_arguments_of_a_tool_in_a_sampled_message_have_no_handles() -> None:
    use = {"type": "tool_use", "id": "1", "name": "pay", "input": {"cursor": CARD}}
    message = {"id": 1, "method": "sampling/createMessage", "params": {"messages": [{"role": "user", "content": use}]}}
    assert masked(mask_set(mask({"kind": "CardNumber"})), message).is_changed
