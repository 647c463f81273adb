"""Any message: no masked value survives at a place that is read, and where nothing is found nothing changes."""

import base64
import copy
import json
from typing import Any

from compiled_masks import mask, mask_set, masked
from hypothesis import given
from hypothesis import strategies as st

from ostiary_core.content.masks.mask_set import MaskSet
from ostiary_core.contract.content import Direction

#: A value of each kind that can stand anywhere, and what surrounds it.
VALUES = (
    "4111111111111111",
    "4111 1111 1111 1111",
    "4111-1111-1111-1111",
    "DE89370400440532013000",
    "ada.lovelace@example.com",
    "536-90-4399",
    "+4930901820",
    "EMP-104477",
    "ghp_A1b2C3d4E5f6G7h8I9j0K1l2M3n4O52Vq7Tb",
)
KINDS = [{"kind": kind} for kind in ("CardNumber", "IBAN", "Email", "USSSN", "Phone")]
OWN = [{"pattern": r"EMP-\d{6}", "name": "employee"}, {"pattern": r"ghp_\w{36}", "name": "token"}]
ACTIONS = ("Mask", "Remove", "Block")
MASKS = {action: mask_set(mask(*KINDS, *OWN, action=action)) for action in ACTIONS}
BEFORE = st.sampled_from(
    ["", " ", "\n", ": ", "(", ") ", "{", '"', "\\\\", "\u200b", "card ", '{"a": "', "[ ", "\u201c"]
)
AFTER = st.sampled_from(["", " ", "\n", ": ", ") ", "}", '"', "\\", "\u200b", '"}', " ]", ", and"])
LEAVES = (
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.sampled_from(["", "plain", "100%", "\\u00", "{", "[]"])
)


def spelled(value: str, way: str) -> Any:
    """A value as a server may write it."""
    if way == "escaped":
        return '{{"a": "{}"}}'.format("".join(f"\\u{ord(each):04x}" for each in value))
    if way == "nested":
        return json.dumps({"a": [json.dumps({value: value})]})
    if way == "number" and value.isdigit():
        return int(value)
    if way == "wide":
        return "".join(chr(ord(each) + 0xFEE0) if each.isdigit() else each for each in value)
    texts = {"split": f"{value[:5]}\u200b{value[5:]}", "behind an escape": f"see \\n{value}"}
    return texts.get(way, value)


HIDDEN = st.tuples(
    st.sampled_from(VALUES),
    st.sampled_from(["plain", "escaped", "nested", "number", "wide", "split", "behind an escape"]),
).map(lambda pair: spelled(*pair))


def encoded(text: str) -> str:
    """Base64."""
    return base64.b64encode(text.encode()).decode()


TEXTS = st.tuples(BEFORE, st.sampled_from(VALUES), AFTER).map("".join)
KEYS = st.sampled_from([*VALUES, "a", "text", "requestState", "cursor", "taskId", "data"])
VALUE = st.recursive(
    LEAVES | HIDDEN | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
BLOCKS = st.one_of(
    TEXTS.map(lambda text: {"type": "text", "text": text}),
    VALUE.map(lambda value: {"type": "text", "text": json.dumps(value)}),
    TEXTS.map(lambda text: {"type": "resource", "resource": {"uri": "c://1", "blob": encoded(text)}}),
    VALUE.map(lambda value: {"type": "text", "text": "ok", "_meta": {"example.com/x": value}}),
    TEXTS.map(lambda text: {"type": "resource_link", "uri": "c://1", "name": text, "description": text}),
)
MESSAGES = st.one_of(
    st.builds(
        lambda content, value, more: {"result": {"content": content, "structuredContent": {"v": value}, "more": more}},
        st.lists(BLOCKS, max_size=4),
        VALUE,
        VALUE,
    ),
    st.builds(lambda text, value: {"error": {"code": -1, "message": text, "data": value}}, TEXTS, VALUE),
    st.builds(lambda value: {"method": "notifications/message", "params": {"level": "info", "data": value}}, VALUE),
    st.builds(lambda value: {"result": {"foo": value, "_meta": {"x/y": value}}}, VALUE),
)


def read(value: Any) -> list[str]:
    """All that a reader sees: keys, texts, numbers, JSON in texts, base64."""
    if isinstance(value, dict):
        found = [text for key, item in value.items() for text in (key, *read(item))]
        if isinstance(value.get("blob"), str):
            found.append(base64.b64decode(value["blob"]).decode("utf-8", "replace"))
        return found
    if isinstance(value, list):
        return [text for item in value for text in read(item)]
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return [value, *read(json.loads(value))]
        except ValueError:
            pass
    return [str(value)]


def plain(text: str) -> str:
    """A text with the digits of ASCII, without what does not print."""
    text = text.replace("\u200b", "")
    return "".join(chr(ord(each) - 0xFEE0) if "\uff10" <= each <= "\uff19" else each for each in text)


def survivors(message: Any) -> list[str]:
    """The values that a reader sees."""
    texts = [plain(text) for text in read(message)]
    return [value for value in VALUES if any(value in text for text in texts)]


def apply(masks: MaskSet, message: dict[str, Any]) -> Any:
    """What a gateway does: nothing where the search in the bytes finds nothing."""
    if not masks.may_match(json.dumps(message).encode()):
        return None
    return masked(masks, message, Direction.RESULTS)


@given(MESSAGES, st.sampled_from(ACTIONS))
def test_no_value_survives_in_what_is_read(message: dict[str, Any], action: str) -> None:
    before = copy.deepcopy(message)
    found = apply(MASKS[action], message)
    if found is None or not (found.is_changed or found.is_blocked):
        assert message == before
    if found is None or not found.is_blocked:
        assert survivors(message) == []


@given(MESSAGES)
def test_what_masks_leave_they_leave_again(message: dict[str, Any]) -> None:
    apply(MASKS["Mask"], message)
    once = copy.deepcopy(message)
    apply(MASKS["Mask"], message)
    assert message == once


@given(st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=4), inner), max_leaves=20))
def test_a_message_without_values_is_not_changed(value: Any) -> None:
    message = {"result": {"content": [{"type": "text", "text": json.dumps(value)}], "structuredContent": {"v": value}}}
    before = copy.deepcopy(message)
    found = masked(MASKS["Mask"], message, Direction.RESULTS)
    assert not found.is_changed
    assert message == before
