"""A template of a response, filled with an id and a time, is that response in which only these two differ."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary_core import strict_json
from ostiary_gateway.pipeline.lists.page_template import template_of

IDS = st.one_of(st.integers(-(2**53), 2**53), st.text(max_size=8))
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.text(max_size=6)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "ttlMs", "result", "é"]), inner),
    max_leaves=8,
)


def response(identifier: Any, ttl: int | None, value: Any, *, order: list[str]) -> bytes:
    result = {"tools": [value], **({"ttlMs": ttl} if ttl is not None else {}), "x": value}
    members = {"jsonrpc": "2.0", "id": identifier, "result": result}
    return json.dumps({name: members[name] for name in order}, ensure_ascii=False).encode()


@given(
    identifier=IDS,
    other=IDS,
    ttl=st.none() | st.integers(0, 10**6),
    remaining=st.integers(0, 10**6),
    value=VALUES,
    order=st.permutations(["jsonrpc", "id", "result"]),
)
def test_only_the_id_and_the_time_are_replaced(
    identifier: Any, other: Any, ttl: int | None, remaining: int, value: Any, order: list[str]
) -> None:
    template = template_of(response(identifier, ttl, value, order=order))
    assert template is not None
    filled = template.filled(strict_json.dumps(other), remaining)
    assert b"".join(template.filled_pieces(strict_json.dumps(other), remaining)) == filled
    expected = response(other, ttl if ttl is None else min(ttl, remaining), value, order=order)
    assert json.loads(filled) == json.loads(expected)
    assert template.most_ttl == ttl


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"jsonrpc":"2.0","result":{}}',
        b'{"id":1,"id":2,"result":{}}',
        b'{"id":1,"result":{"ttlMs":1,"ttlMs":2}}',
        b'{"id":1,"result":[]}',
        b'{"id":1,"result":{}} {}',
        b"\xff",
    ],
)
def test_what_readers_could_take_differently_has_no_template(body: bytes) -> None:
    assert template_of(body) is None


@pytest.mark.parametrize("ttl", ["-1", '"5"', "null", "1e999", "NaN"])
def test_a_time_that_is_none_keeps_its_place(ttl: str) -> None:
    template = template_of(b'{"id":1,"result":{"ttlMs":%b}}' % ttl.encode())
    assert template is None or template.most_ttl is None
