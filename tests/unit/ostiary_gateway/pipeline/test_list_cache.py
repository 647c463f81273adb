"""A list that was judged before comes from the cache: always as if judged again, and only for the same visibility."""

import gc
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from visibilities import visibility_by_rules, visibility_of

from ostiary_core import strict_json
from ostiary_core.errors import StrictJSONError
from ostiary_core.mcp.methods import METHODS
from ostiary_core.policy.visibility import Visibility
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.pipeline import jsonrpc
from ostiary_gateway.pipeline.list_cache import ListMemo, ListResponse, around_id
from ostiary_gateway.pipeline.list_filter import read_for, shape_result

Id = str | int

OPEN = visibility_of()
USERS = visibility_by_rules({"name": "users", "effect": "Allow", "tools": {"names": ["get_*"]}})
NOT_USERS = visibility_by_rules({"name": "users", "effect": "Deny", "tools": {"names": ["get_*"]}})
VISIBILITIES = [OPEN, USERS, NOT_USERS]
TOOLS = "tools/list"
LISTED = {"tools": [{"name": "get_users"}, {"name": "delete_user", "id": 1}]}


def read_uncached(method: str, text: bytes, visibility: Visibility, request_id: Id) -> ListResponse | None:
    """What becomes of an answer that was never seen; None where it is none."""
    row = METHODS[method]
    try:
        reading = read_for(row, text, visibility)
        if not jsonrpc.is_response_to(reading.message, request_id):
            return None
        return ListResponse(shape_result(row, text, reading, visibility).body, jsonrpc.outcome(reading.message))
    except UpstreamFault:
        return None


def with_memo(memo: ListMemo, method: str, text: bytes, visibility: Visibility, request_id: Id) -> ListResponse | None:
    known = memo.recall(METHODS[method], text, visibility, request_id)
    if known is None:
        known = read_uncached(method, text, visibility, request_id)
        if known is not None:
            memo.keep(METHODS[method], text, known, visibility, request_id)
    return known


def recalled(
    memo: ListMemo, text: bytes, visibility: Visibility = USERS, request_id: Id = 1, method: str = TOOLS
) -> bool:
    return memo.recall(METHODS[method], text, visibility, request_id) is not None


def page(number: int = 0, *, request_id: Id = 1, padding: int = 0, key: str = "tools") -> bytes:
    """One of many answers that differ; with ``padding`` more bytes that no filter takes away."""
    result = {key: [{"name": f"get_{number:06}"}, {"name": "delete"}], "x": "x" * padding}
    return strict_json.dumps({"jsonrpc": "2.0", "id": request_id, "result": result})


# -- the place of the id

IDS: list[Id] = [
    0,
    1,
    11,
    -1,
    2**63 - 1,
    -(2**63),
    2**64 - 1,
    "",
    "1",
    "id",
    '"id"',
    ',"id":1}',
    "\\",
    "\\\\",
    'é"\n\x00',
]
ids: st.SearchStrategy[Id] = st.sampled_from(IDS) | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=8)
#: The placeholder of the id: each occurrence becomes the id, as JSON or within a string.
SLOT = "\ufffc"
members = st.sampled_from(
    [
        f'"id":{SLOT}',
        f'"id":{SLOT}',
        f'"id" : {SLOT}',
        f'"\\u0069d":{SLOT}',
        f'"id":{SLOT}.0',
        '"id":1',
        '"jsonrpc":"2.0"',
        f'"x":{{"id":{SLOT}}}',
        f'"x":"{{\\"id\\":{SLOT}}}"',
        f'"x":[{SLOT},{{"id":1,"y":{SLOT}}}]',
        f'"x\\"id":{SLOT}',
        f'"x,{{\\"id":{SLOT}',
        '"y":",\\"id\\":"',
        '"result":{"tools":[{"name":"get_users"},{"name":"delete_user"}]}',
        f'"result":{{"tools":[{{"name":"get_users","id":{SLOT}}}]}}',
        f'"result":{{"tools":[{{"name":{SLOT}}}]}}',
        f'"result":{{"tools":[],"id":{SLOT}}}',
        '"result":{"tools":[],"isError":true}',
        '"method":"x"',
        '"error":{"code":1,"message":"no"}',
    ]
)
spaces = st.sampled_from(["", "", "", " ", "\n", "\r\n\t"])


@st.composite
def templates(draw: st.DrawFn) -> str:
    """A response that may mislead: often valid, with ids in many places, with a duplicate key."""
    space = draw(spaces)
    good = [f'"id":{SLOT}', draw(members.filter(lambda m: m.startswith('"result"')))]
    more = draw(st.lists(members, max_size=3))
    # Often the id is neither first nor last, with something similar at the end.
    text = f"{space},{space}".join(draw(st.permutations([*good, *more]) | st.just([good[1], good[0], *more])))
    return f"{space}{{{space}{text}{space}}}{draw(st.sampled_from(['', '', '', ' ', '}', '{}', ',', chr(10)]))}"


def filled(template: str, request_id: Id) -> bytes:
    return template.replace(SLOT, strict_json.dumps(request_id).decode()).encode()


@given(templates(), ids, ids)
def test_another_id_in_its_place_changes_the_id_and_nothing_else(template: str, request_id: Id, other: Id) -> None:
    text, identifier = filled(template, request_id), strict_json.dumps(request_id)
    try:
        message = strict_json.loads(text)
    except StrictJSONError:
        return
    if type(message.get("id")) is not type(request_id) or message["id"] != request_id:
        return

    around = around_id(text, identifier)

    if around is not None:
        assert around.joined(identifier) == text
        assert around.is_whole(text, identifier)
        changed = strict_json.loads(around.joined(strict_json.dumps(other)))
        assert changed == {**message, "id": other}
        assert list(changed) == list(message)


@pytest.mark.parametrize(
    "text",
    [
        rb'{"x":0,"id":1,"x\"id":1}',
        rb'{"x":0,"id":1,"x,\"id":1}',
        rb'{"x":0,"id":1,"y":{"id":1}}',
        rb'{"x":0,"id":1,"y":[{"id":1}]}',
        rb'{"x":0,"id":1,"y":",\"id\":1}"}',
        rb'{"x":{"jsonrpc":"2.0","id":1},"id":1,"y":0}',
        rb'{"x":[{"id":1},{"jsonrpc":"2.0","id":1}],"id":1,"y":0}',
        rb'{"x":"{\"jsonrpc\":\"2.0\",\"id\":1,","id":1,"y":0}',
        rb'{"jsonrpc":"2.0","x":{"id":1},"id":1,"jsonrpc":"2.0","y":0}',
        rb'{"x":0,"\u0069d":1}',
    ],
)
def test_what_only_looks_like_the_id_is_not_taken_for_it(text: bytes) -> None:
    assert around_id(text, b"1") is None


@given(st.lists(st.tuples(templates(), ids, st.sampled_from(VISIBILITIES)), min_size=1, max_size=4), st.data())
def test_what_is_recalled_is_what_would_have_been_read(
    seen: list[tuple[str, Id, Visibility]], data: st.DataObject
) -> None:
    memo = ListMemo()
    for template, request_id, visibility in seen:
        with_memo(memo, TOOLS, filled(template, request_id), visibility, request_id)

    for template, _, _ in seen:
        for visibility in VISIBILITIES:
            written, asked = data.draw(ids), data.draw(ids)
            for request_id in {written, asked}:
                text = filled(template, written)
                assert with_memo(memo, TOOLS, text, visibility, request_id) == read_uncached(
                    TOOLS, text, visibility, request_id
                )


@given(st.binary(max_size=3), st.integers(0, 200), st.sampled_from(VISIBILITIES))
def test_a_response_that_differs_in_any_byte_is_parsed_again(change: bytes, place: int, visibility: Visibility) -> None:
    memo = ListMemo()
    text = json.dumps({"jsonrpc": "2.0", "id": 1, "result": LISTED}).encode()
    with_memo(memo, TOOLS, text, visibility, 1)
    changed = text[:place] + change + text[place + len(change) :]

    assert with_memo(memo, TOOLS, changed, visibility, 1) == read_uncached(TOOLS, changed, visibility, 1)
    assert recalled(memo, text, visibility)


@pytest.mark.parametrize("visibility", [OPEN, USERS])
@pytest.mark.parametrize(
    "template",
    [
        f'{{"jsonrpc":"2.0","id":{SLOT},"result":{{"tools":[]}}}}',
        f'{{"jsonrpc": "2.0", "id": {SLOT}, "result": {{"tools": [{{"name": "get_x", "id": 1}}]}}}}\n',
        f'{{"id":{SLOT},"jsonrpc":"2.0","result":{{"tools":[]}}}}',
        f'{{"result":{{"tools":[{{"name":"delete"}}]}},"jsonrpc":"2.0","id":{SLOT}}}',
        f'{{"result":{{"tools":[{{"id":1}}]}},"id":{SLOT},"jsonrpc":"2.0"}}',
        f'{{"result":{{"tools":[]}},"id":{SLOT}}}',
        f'{{\n  "jsonrpc" : "2.0",\n  "result": {{"tools": []}},\n  "id": {SLOT}\n}}\n',
    ],
)
@pytest.mark.parametrize("request_id", [1, -7, "a-b", 'with "quotes"', "é\n", ""])
def test_an_answer_as_the_common_servers_write_it_is_known_again(
    template: str, request_id: Id, visibility: Visibility
) -> None:
    memo = ListMemo()
    first, second = with_memo(memo, TOOLS, filled(template, 1), visibility, 1), filled(template, request_id)
    assert first is not None

    known = memo.recall(METHODS[TOOLS], second, visibility, request_id)

    assert known == read_uncached(TOOLS, second, visibility, request_id)
    assert known is not None


def test_an_unfiltered_list_keeps_its_bytes() -> None:
    memo = ListMemo()
    with_memo(memo, TOOLS, page(), OPEN, 1)
    text = page()

    known = memo.recall(METHODS[TOOLS], text, OPEN, 1)

    assert known is not None
    assert known.body is text


# -- whose it is


def test_what_was_filtered_for_one_is_never_shown_to_another() -> None:
    memo = ListMemo()
    for visibility in VISIBILITIES:
        assert not recalled(memo, page(), visibility)
        with_memo(memo, TOOLS, page(), visibility, 1)

    shown = [with_memo(memo, TOOLS, page(), visibility, 1) for visibility in VISIBILITIES]

    assert [_names(known) for known in shown] == [["get_000000", "delete"], ["get_000000"], ["delete"]]


def test_a_reload_empties_the_cache_even_with_the_same_rules() -> None:
    rule = {"name": "users", "effect": "Allow", "tools": {"names": ["get_*"]}}
    memo = ListMemo()
    before, after = visibility_by_rules(rule), visibility_by_rules(rule)
    with_memo(memo, TOOLS, page(), before, 1)

    assert recalled(memo, page(), before)
    assert not recalled(memo, page(), after)


def test_cached_lists_are_freed_with_their_visibility() -> None:
    memo = ListMemo()
    visibility = visibility_by_rules({"name": "users", "effect": "Allow", "tools": {"names": ["get_*"]}})
    with_memo(memo, TOOLS, page(), visibility, 1)
    assert memo.held > 0

    del visibility
    gc.collect()

    assert memo.held == 0


@pytest.mark.parametrize(
    ("method", "key"),
    [
        ("tools/list", "tools"),
        ("resources/list", "resources"),
        ("resources/templates/list", "resourceTemplates"),
        ("prompts/list", "prompts"),
    ],
)
def test_one_kind_of_list_is_never_answered_for_another(method: str, key: str) -> None:
    memo = ListMemo()
    with_memo(memo, method, page(key=key), USERS, 1)

    assert [name for name in METHODS if recalled(memo, page(key=key), method=name)] == [method]


@pytest.mark.parametrize("method", ["tools/call", "initialize", "resources/read", "ping"])
def test_what_is_no_list_is_not_kept(method: str) -> None:
    memo = ListMemo()
    with_memo(memo, method, page(), USERS, 1)

    assert memo.held == 0


def test_neither_an_error_nor_an_answer_without_a_request_is_kept() -> None:
    memo = ListMemo()
    error = b'{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"bad cursor"}}'
    with_memo(memo, TOOLS, error, USERS, 1)
    memo.keep(METHODS[TOOLS], page(), ListResponse(page(), jsonrpc.ResponseSummary()), USERS, None)
    memo.keep(None, page(), ListResponse(page(), jsonrpc.ResponseSummary()), USERS, 1)

    assert memo.held == 0
    assert memo.recall(None, page(), USERS, 1) is None
    assert memo.recall(METHODS[TOOLS], page(), USERS, None) is None


def test_how_a_list_ended_is_remembered() -> None:
    memo = ListMemo()
    text = b'{"jsonrpc":"2.0","id":1,"result":{"tools":[],"isError":true}}'

    for _ in range(2):
        known = with_memo(memo, TOOLS, text, USERS, 1)
        assert known is not None
        assert known.outcome.tool_error


@pytest.mark.parametrize(
    "text",
    [
        b'{"jsonrpc":"2.0","id":1,"result":{"tools":[]},"id":1}',
        b'{"jsonrpc":"2.0","id":1,"result":{"tools":[]},"\\u0069d":1}',
        b'{"jsonrpc":"2.0","id":1,"result":{"tools":[],"x":"\\ud83d"}}',
        b'{"jsonrpc":"2.0","id":1,"result":{"tools":[],"x":1e999}}',
        b'{"jsonrpc":"2.0","x":1,"id":1,"result":{"tools":[]}}',
        b'{"jsonrpc":"2.0","\\u0069d":1,"result":{"tools":[]}}',
    ],
)
def test_an_ambiguous_response_still_passes_unfiltered_proxies_and_is_not_cached(text: bytes) -> None:
    memo = ListMemo()

    assert with_memo(memo, TOOLS, text, OPEN, 1) == ListResponse(text, jsonrpc.ResponseSummary())
    assert memo.held == 0


# -- its bounds


def test_a_server_that_alternates_between_answers_has_both_known() -> None:
    memo = ListMemo()
    for number in (1, 2):
        with_memo(memo, TOOLS, page(number), USERS, 1)

    assert all(recalled(memo, page(number, request_id=n), request_id=n) for n in range(5) for number in (1, 2))


def test_the_pages_of_a_catalogue_are_all_known() -> None:
    memo = ListMemo()
    for _ in range(12):
        for number in range(12):
            with_memo(memo, TOOLS, page(number), USERS, 1)

    assert all(recalled(memo, page(number)) for number in range(12))


def test_of_many_lists_the_last_used_are_kept() -> None:
    memo = ListMemo()
    for number in range(200):
        with_memo(memo, TOOLS, page(number), USERS, 1)
        with_memo(memo, TOOLS, page(number), USERS, 1)
        assert recalled(memo, page(0)) is True

    known = [number for number in range(200) if recalled(memo, page(number))]
    assert known == [0, *range(169, 200)]


def test_one_visibility_caches_at_most_a_megabyte() -> None:
    memo = ListMemo()
    for number in range(40):
        for _ in range(2):
            with_memo(memo, TOOLS, page(number, padding=50_000), USERS, 1)
        assert memo.held <= 1 << 20

    assert memo.held > 900_000
    assert recalled(memo, page(39, padding=50_000))
    assert not recalled(memo, page(0, padding=50_000))


@pytest.mark.parametrize("visibility", [OPEN, USERS])
def test_a_list_that_is_too_large_is_not_kept_and_drives_nothing_out(visibility: Visibility) -> None:
    memo = ListMemo()
    with_memo(memo, TOOLS, page(), visibility, 1)
    for padding in (600_000 if visibility is USERS else 1_100_000, 2_000_000):
        with_memo(memo, TOOLS, page(padding=padding), visibility, 1)
        assert not recalled(memo, page(padding=padding), visibility)

    assert recalled(memo, page(), visibility)


def test_all_together_hold_no_more_than_their_limit_and_the_longest_unused_go_first() -> None:
    memo = ListMemo(limit=300_000)
    rule = {"name": "users", "effect": "Allow", "tools": {"names": ["get_*"]}}
    visibilities = [visibility_by_rules(rule) for _ in range(20)]
    for visibility in visibilities:
        with_memo(memo, TOOLS, page(padding=20_000), visibility, 1)
        assert recalled(memo, page(padding=20_000), visibilities[0])
        assert memo.held <= 300_000

    known = [
        number for number, visibility in enumerate(visibilities) if recalled(memo, page(padding=20_000), visibility)
    ]
    assert known == [0, *range(14, 20)]


def test_what_went_with_its_visibility_makes_room_and_costs_others_nothing() -> None:
    memo = ListMemo(limit=100_000)
    with_memo(memo, TOOLS, page(padding=20_000), USERS, 1)
    for _ in range(50):
        with_memo(memo, TOOLS, page(padding=20_000), visibility_by_rules(), 1)

    assert recalled(memo, page(padding=20_000))


def test_lists_of_a_server_that_never_repeats_one_are_soon_no_longer_cached_and_tried_again() -> None:
    memo = ListMemo()
    kept = []
    for number in range(64):
        with_memo(memo, TOOLS, page(number), OPEN, 1)
        kept.append(_holds(memo, page(number)))

    assert kept == [number < 8 or (number + 1) % 16 == 0 for number in range(64)]


def _holds(memo: ListMemo, text: bytes) -> bool:
    """Whether it is kept, asked without using it."""
    (inner,) = memo._memos.values()
    return any(each.came.is_whole(text, b"1") for each in inner.kept)


def _names(known: ListResponse | None) -> list[Any]:
    assert known is not None
    return [tool["name"] for tool in json.loads(known.body)["result"]["tools"]]
