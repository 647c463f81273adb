"""Responses keep their bytes unless a rule hides something from the caller."""

import json
from typing import Any

import pytest
from gateways import policy
from visibilities import visibility_by_rules, visibility_of

from ostiary_core.mcp.methods import METHODS, Primitive
from ostiary_core.policy.principal import ANONYMOUS
from ostiary_core.policy.visibility import Visibility
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.pipeline import jsonrpc
from ostiary_gateway.pipeline.list_filter import Shaped, read_for, shape_result, shape_streamed, shaping

OPEN = visibility_of()
USERS = visibility_by_rules(
    {"name": "users", "effect": "Allow", "tools": {"names": ["get_*"]}, "resources": {"names": ["doc://*"]}}
)
LISTS = [
    ("tools/list", "tools", "name", "get_users", "delete_user"),
    ("resources/list", "resources", "uri", "doc://a", "mock://a"),
    ("resources/templates/list", "resourceTemplates", "uriTemplate", "doc://{id}", "mock://{id}"),
    ("prompts/list", "prompts", "name", None, "hello"),
]


def shaped(method: str, text: bytes, visibility: Visibility) -> bytes:
    row = METHODS[method]
    return shape_result(row, text, read_for(row, text, visibility), visibility).body


def streamed(message: Any, visibility: Visibility) -> bytes | None:
    text = json.dumps(message).encode()
    found = shape_streamed(text, jsonrpc.read(text), visibility)
    return found.body if found is not None else None


def page(key: str, items: list[Any], **more: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "result": {key: items, **more}}).encode()


@pytest.mark.parametrize(("method", "key", "item", "shown", "hidden"), LISTS)
def test_a_list_loses_what_is_hidden_and_nothing_else(
    method: str, key: str, item: str, shown: str | None, hidden: str
) -> None:
    items = [{item: hidden, "x": 1}, *([{item: shown, "title": "T", "x-new": {"deep": [1, None]}}] if shown else [])]
    text = page(key, items, nextCursor="c", ttlMs=5, cacheScope="public", _meta={"a": 1}, extra=True)

    result = json.loads(shaped(method, text, USERS))["result"]

    assert result[key] == items[1:]
    assert {name: result[name] for name in ("nextCursor", "ttlMs", "cacheScope", "_meta", "extra")} == {
        "nextCursor": "c",
        "ttlMs": 5,
        "cacheScope": "private",
        "_meta": {"a": 1},
        "extra": True,
    }
    assert list(result) == list(json.loads(text)["result"])


@pytest.mark.parametrize(("method", "key", "item", "shown", "hidden"), LISTS)
def test_an_ungoverned_list_keeps_its_bytes(method: str, key: str, item: str, shown: str | None, hidden: str) -> None:
    text = (
        b' {"jsonrpc" : "2.0", "id":1, "result":{"' + key.encode() + b'":[{"big": 123456789012345678901234567890}]}}\n'
    )

    assert shaped(method, text, OPEN) is text


def test_the_order_of_what_stays_is_the_servers() -> None:
    names = ["get_b", "x", "get_a", "y", "get_c"]
    text = page("tools", [{"name": name} for name in names])

    assert [tool["name"] for tool in json.loads(shaped("tools/list", text, USERS))["result"]["tools"]] == [
        "get_b",
        "get_a",
        "get_c",
    ]


def test_an_emptied_page_keeps_its_cursor_so_that_the_walk_goes_on() -> None:
    text = page("tools", [{"name": "delete_user"}], nextCursor="")

    assert json.loads(shaped("tools/list", text, USERS))["result"] == {"tools": [], "nextCursor": ""}


def test_a_scope_is_never_invented() -> None:
    assert "cacheScope" not in json.loads(shaped("tools/list", page("tools", []), USERS))["result"]


@pytest.mark.parametrize("item", [{}, {"name": None}, {"name": 1}, {"name": ["get_users"]}, {"Name": "get_users"}])
def test_an_item_without_a_name_is_hidden(item: dict[str, Any]) -> None:
    assert json.loads(shaped("tools/list", page("tools", [item]), USERS))["result"]["tools"] == []


@pytest.mark.parametrize(
    "text",
    [
        b'{"jsonrpc":"2.0","id":1,"result":{"tools":{}}}',
        b'{"jsonrpc":"2.0","id":1,"result":{"tools":["get_users"]}}',
        b'{"jsonrpc":"2.0","id":1,"result":{"tools":null}}',
        b'{"jsonrpc":"2.0","id":1,"result":{}}',
        b'{"jsonrpc":"2.0","id":1,"result":[]}',
        b'{"jsonrpc":"2.0","id":1,"result":{"tools":[],"tools":[{"name":"delete_user"}]}}',
        b'{"jsonrpc":"2.0","id":1,"result":{"tools":[]},"r\\u0065sult":{"tools":[{"name":"delete_user"}]}}',
        b'{"jsonrpc":"2.0","id":1,"result":{"tools":[]}} {"x":1}',
        b'{"jsonrpc":"2.0","id":1,"result":{"tools":[],"n":NaN}}',
        b'{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"get_users","x":"\xff"}]}}',
        b'{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"get_users","x":1.}]}}',
    ],
)
def test_a_list_that_could_be_read_in_two_ways_is_no_list(text: bytes) -> None:
    with pytest.raises(UpstreamFault) as fault:
        shaped("tools/list", text, USERS)
    assert fault.value.kind == "UpstreamInvalidAnswer"


#: What a strict reader refuses, in an item that can be judged all the same.
ODD = {
    "an integer of eighty digits": '"x":' + "9" * 80,
    "a float beyond all": '"x":1e999',
    "a key that stands twice, not its name": '"description":"a","description":"b"',
    "a key that stands twice in its schema": '"inputSchema":{"type":"object","type":"object"}',
    "half a character, not in its name": '"description":"\\ud83d"',
    "numbers that would be written otherwise": '"x":[1.50, 1E2, -0, 0.10000000000000000001, 18446744073709551616]',
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_an_item_that_no_strict_reader_takes_keeps_its_bytes_where_it_can_be_judged(odd: str) -> None:
    item = '{"name" : "get_a", ' + odd + "}"
    text = f' {{"id":1,"result":{{"tools":[{{"name":"x",{odd}}} , {item}],"n":1.50,"cacheScope":"public"}}}}'

    assert shaped("tools/list", text.encode(), USERS) == (
        f' {{"id":1,"result":{{"tools":[{item}],"n":1.50,"cacheScope":"private"}}}}'.encode()
    )
    assert shape_streamed(text.encode(), jsonrpc.read(text.encode()), USERS) is not None


def test_a_byte_order_mark_is_removed() -> None:
    text = page("tools", [{"name": "get_a"}, {"name": "x"}])

    assert json.loads(shaped("tools/list", b"\xef\xbb\xbf" + text, USERS))["result"]["tools"] == [{"name": "get_a"}]


#: Items that cannot be judged, and the message for each.
UNJUDGED = {
    '{"name":"get_b","name":"get_b"}': 'tools[0]: duplicate "name"',
    '{"name":"get_b","n\\u0061me":"x"}': 'tools[0]: duplicate "name"',
    '{"name":"get_b","Name":"x"}': "tools[0] 'get_b': also a member 'Name'",
    '{"name":"get_b","description":"","description":"","NAME":1}': "tools[0] 'get_b': also a member 'NAME'",
    '{"name":"get_\\ud800"}': "tools[0] 'get_\\ud800': half a surrogate pair in \"name\"",
    '{"name":"get_b","x":NaN}': "tools[0]: contains NaN or an infinity",
    '{"name":"get_b","x":[-Infinity]}': "tools[0]: contains NaN or an infinity",
    '{"name":["get_b"]}': 'tools[0]: no "name"',
    '{"x":1,"x":2}': 'tools[0]: no "name"',
}


@pytest.mark.parametrize(("item", "words"), UNJUDGED.items())
def test_an_item_that_cannot_be_judged_is_dropped_alone_and_reported(item: str, words: str) -> None:
    row = METHODS["tools/list"]
    text = f'{{"jsonrpc":"2.0","id":1,"result":{{"tools":[{item},{{"name":"get_a"}}]}}}}'.encode()
    found = shape_result(row, text, read_for(row, text, USERS), USERS)

    assert json.loads(found.body)["result"]["tools"] == [{"name": "get_a"}]
    assert list(found.dropped) == [words]


def test_a_name_in_a_log_is_shortened_and_escaped() -> None:
    row = METHODS["tools/list"]
    text = page("tools", [{"name": "\n\x1b[31m" + "x" * 9999, "NAME": 1}])
    (words,) = shape_result(row, text, read_for(row, text, USERS), USERS).dropped

    assert words.isprintable()
    assert len(words) < 200


def test_an_error_in_place_of_a_list_passes() -> None:
    text = b'{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"bad cursor"}}'

    assert shaped("tools/list", text, USERS) == text


@pytest.mark.parametrize("method", ["tools/call", "initialize", "server/discover", "resources/read"])
def test_what_is_no_list_keeps_its_bytes_even_where_it_looks_like_one(method: str) -> None:
    text = b'{"jsonrpc":"2.0","id":1, "result":{"tools":[{"name":"delete_user"}]}}'

    assert shaped(method, text, USERS) is text


# -- streams whose requests are not known


def test_a_list_on_a_resumed_stream_is_filtered_by_its_shape() -> None:
    both = {"tools": [{"name": "x"}, {"name": "get_y"}], "prompts": [{"name": "hello"}]}
    shaped = streamed({"jsonrpc": "2.0", "id": 3, "result": both}, USERS)

    assert shaped is not None
    assert json.loads(shaped)["result"] == {"tools": [{"name": "get_y"}], "prompts": []}


def test_a_notice_of_a_resource_is_dropped_where_it_may_not_be_subscribed_to() -> None:
    def notice(uri: Any) -> dict[str, Any]:
        return {"jsonrpc": "2.0", "method": "notifications/resources/updated", "params": {"uri": uri}}

    assert streamed(notice("doc://a"), USERS) is not None
    assert streamed(notice("mock://a"), USERS) is None
    assert streamed(notice(None), USERS) is None
    assert streamed({"jsonrpc": "2.0", "method": "notifications/resources/updated"}, USERS) is None
    assert streamed(notice("mock://a"), OPEN) is not None


def test_a_notice_of_a_resource_passes_where_a_condition_could_allow_a_subscription_to_it() -> None:
    def notice(uri: str) -> dict[str, Any]:
        return {"jsonrpc": "2.0", "method": "notifications/resources/updated", "params": {"uri": uri}}

    def rule(uri: str, *, effect: str = "Allow", when: str = "headers['x-team'] == 'sales'") -> dict[str, Any]:
        return {"name": uri, "effect": effect, "resources": {"names": [uri]}, "when": when}

    deny = rule("doc://c", effect="Deny", when="!authenticated")
    rules = [rule("doc://a"), rule("doc://b", when="authenticated"), rule("doc://c"), deny]
    subject = visibility_by_rules(*rules).for_principal(ANONYMOUS)
    assert [streamed(notice(f"doc://{name}"), subject) is not None for name in "abcd"] == [True, False, False, False]


@pytest.mark.parametrize(
    "message",
    [
        {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"},
        {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progress": 1}},
        {"jsonrpc": "2.0", "id": 1, "method": "sampling/createMessage", "params": {"tools": [{"name": "x"}]}},
        {"jsonrpc": "2.0", "id": 1, "result": {"content": []}},
    ],
)
def test_everything_else_on_a_stream_keeps_its_bytes(message: dict[str, Any]) -> None:
    assert streamed(message, USERS) == json.dumps(message).encode()


def test_two_views_of_a_streamed_message_are_refused_where_a_rule_might_judge_it() -> None:
    text = b'{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"secret"}]},"result":{}}'

    with pytest.raises(UpstreamFault):
        shape_streamed(text, jsonrpc.read(text), USERS)
    assert shape_streamed(text, jsonrpc.read(text), OPEN) == Shaped(text)


def test_a_policy_that_denies_nothing_of_a_primitive_leaves_its_lists_alone() -> None:
    visibility = visibility_of(policy("p", {"name": "d", "effect": "Deny", "prompts": {"names": ["x"]}}))
    text = page("tools", [{"name": "a"}])

    assert shaped("tools/list", text, visibility) is text


# -- answers


@pytest.mark.parametrize(
    ("message", "whether"),
    [
        ({"id": 1, "result": {}}, True),
        ({"id": 1, "error": {"code": 1, "message": ""}}, True),
        ({"id": 1, "error": {}}, False),
        ({"id": 1, "error": None}, False),
        ({"id": 1, "error": {"code": True, "message": ""}}, False),
        ({"id": 1, "result": []}, False),
        ({"id": "1", "result": {}}, True),
        ({"id": 1.0, "result": {}}, True),
        ({"id": "01", "result": {}}, False),
        ({"id": 1.5, "result": {}}, False),
        ({"id": True, "result": {}}, False),
        ({"id": None, "result": {}}, False),
        ({"result": {}}, False),
        ({"id": 2, "result": {}}, False),
        ({"id": 1}, False),
        ({"id": 1, "result": {}, "error": {}}, False),
        ({"id": 1, "method": "x", "result": {}}, False),
    ],
)
def test_a_response_has_the_id_in_some_spelling_and_the_right_shape(message: dict[str, Any], whether: bool) -> None:
    assert jsonrpc.is_response_to(message, 1) is whether


def test_outcomes_are_read_and_never_trusted() -> None:
    assert jsonrpc.outcome({"result": {"isError": True}}).tool_error
    assert not jsonrpc.outcome({"result": {"isError": "yes"}}).tool_error
    assert jsonrpc.outcome({"error": {"code": -5, "message": "m" * 999}}) == jsonrpc.ResponseSummary(-5, "m" * 256)
    assert jsonrpc.outcome({"error": {"code": True, "message": {}}}) == jsonrpc.ResponseSummary(0, "")
    assert jsonrpc.outcome({"error": "no object"}) == jsonrpc.ResponseSummary(0, "")
    assert jsonrpc.outcome({"error": {"code": 1, "message": "\ud800"}}) == jsonrpc.ResponseSummary(1, "?")


def test_half_an_emoji_at_the_end_of_a_cut_text_does_not_cost_the_answer() -> None:
    assert jsonrpc.read(b'{"id":1,"result":{"text":"\\ud83d"}}')["id"] == 1


@pytest.mark.parametrize("text", [b"", b"[]", b"1", b"<html>", b"\xff", b"[" * 100_000, b'{"a":'])
def test_what_is_no_object_is_no_answer(text: bytes) -> None:
    with pytest.raises(UpstreamFault):
        jsonrpc.read(text)


NO_SECRET = visibility_by_rules({"name": "no", "effect": "Deny", "resources": {"names": ["file:///secret/*"]}})
EVASIVE = ["file:///docs/../secret/a", "FILE:/secret/a", "file:///secr%65t/a", "file:///docs/..%2fsecret/a"]


@pytest.mark.parametrize(("method", "key", "item", "end"), [(*LISTS[1][:3], ""), (*LISTS[2][:3], "{id}")])
def test_what_is_listed_under_another_spelling_of_a_hidden_uri_is_hidden(
    method: str, key: str, item: str, end: str
) -> None:
    text = page(key, [{item: uri + end} for uri in [*EVASIVE, "file:///docs/a"]])

    assert json.loads(shaped(method, text, NO_SECRET))["result"][key] == [{item: f"file:///docs/a{end}"}]


@pytest.mark.parametrize("uri", EVASIVE)
def test_a_notice_of_another_spelling_of_a_hidden_uri_is_dropped(uri: str) -> None:
    notice = {"jsonrpc": "2.0", "method": "notifications/resources/updated", "params": {"uri": uri}}

    assert streamed(notice, NO_SECRET) is None


def test_a_list_that_would_cost_too_much_to_judge_is_refused_and_one_of_ordinary_rules_is_not() -> None:
    heavy = visibility_by_rules(
        {"name": "heavy", "effect": "Deny", "tools": {"patterns": [f"{i}[ab]{{0,200}}" for i in range(9)]}}
    )
    light = visibility_by_rules(
        {"name": "light", "effect": "Deny", "tools": {"names": ["x_*"], "patterns": ["(get|set)_[a-z]+_all"]}}
    )
    text = page("tools", [{"name": f"{index:05d}_{'a' * 30}"} for index in range(10_000)])

    assert len(json.loads(shaped("tools/list", text, light))["result"]["tools"]) == 10_000
    with pytest.raises(UpstreamFault, match="more or longer names than the patterns of the policies here can judge"):
        shaped("tools/list", text, heavy)


def test_a_list_that_is_costly_to_judge_is_judged_in_small_steps() -> None:
    heavy = visibility_by_rules(
        {"name": "heavy", "effect": "Deny", "tools": {"patterns": [f"{i}[ab]{{0,200}}" for i in range(9)]}}
    )
    limit = heavy.name_limit(Primitive.TOOLS)
    text = page("tools", [{"name": f"{index:02d}{'a' * (limit - 2)}"} for index in range(30)])
    method = METHODS["tools/list"]

    steps = sum(1 for _ in shaping(method, text, read_for(method, text, heavy), heavy))

    assert steps >= 15  # two decisions that cost as much as any may are the most in one go


@pytest.mark.parametrize(("given", "kept"), [(5, 5), (60_000, 60_000), (60_001, 60_000), (1e12, 60_000), ("x", "x")])
def test_a_filtered_list_may_not_be_kept_for_longer_than_an_edit_may_stay_unseen(given: Any, kept: Any) -> None:
    strict = page("tools", [{"name": "get_users"}], ttlMs=given)
    odd = strict.replace(b'"get_users"', b'"get_users", "x": 1e999')  # read by its places, not as a tree

    for text in (strict, odd):
        assert json.loads(shaped("tools/list", text, USERS))["result"]["ttlMs"] == kept
    assert shaped("tools/list", strict, OPEN) is strict
