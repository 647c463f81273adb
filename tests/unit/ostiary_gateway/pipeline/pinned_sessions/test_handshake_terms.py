"""What a client was promised when its session began is what another endpoint must offer."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary_gateway.pipeline.merged_sessions.session_vector import TERMS_BYTES
from ostiary_gateway.pipeline.pinned_sessions.handshake_terms import are_kept, terms_of

PROMISED: dict[str, Any] = {"tools": {"listChanged": True}, "logging": {}, "resources": {"subscribe": False}}


def kept(offered: dict[str, Any], promised: dict[str, Any] = PROMISED) -> bool:
    return are_kept(terms_of({"capabilities": promised}), terms_of({"capabilities": offered}))


@pytest.mark.parametrize(
    "offered",
    [
        PROMISED,
        {**PROMISED, "prompts": {}},
        {**PROMISED, "resources": {"subscribe": True}},
        {**PROMISED, "extensions": {"io.modelcontextprotocol/ui": {}}},
    ],
)
def test_an_endpoint_that_offers_as_much_or_more_keeps_what_was_promised(offered: dict[str, Any]) -> None:
    assert kept(offered)


@pytest.mark.parametrize(
    "offered",
    [
        {},
        {**PROMISED, "tools": {}},
        {**PROMISED, "tools": {"listChanged": False}},
        {**PROMISED, "tools": None},
        {"tools": {"listChanged": True}, "logging": {}},
    ],
)
def test_an_endpoint_that_offers_less_does_not(offered: dict[str, Any]) -> None:
    assert not kept(offered)


def test_extensions_that_were_promised_must_be_the_same_in_whichever_order_they_are_written() -> None:
    promised = {"extensions": {"a": {"x": 1, "y": 2}, "b": [1, 2]}}

    assert kept({"extensions": {"b": [1, 2], "a": {"y": 2, "x": 1}}, "tools": {}}, promised)
    assert not kept({"extensions": {"a": {"x": 1, "y": 2}, "b": [2, 1]}}, promised)
    assert not kept({}, promised)


json = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from(["tools", "prompts", "resources", "logging", "completions", "tasks", "experimental"])


@given(st.dictionaries(names, json, max_size=5) | json)
def test_whatever_a_server_declares_has_terms_that_it_keeps_itself(capabilities: Any) -> None:
    terms = terms_of({"capabilities": capabilities})

    assert len(terms) == TERMS_BYTES
    assert are_kept(terms, terms)


def test_very_large_capabilities_must_come_in_the_same_order() -> None:
    large = {f"name-{number}": "x" * 100 for number in range(1000)}
    other_order = dict(reversed(large.items()))

    assert kept({"extensions": large}, {"extensions": large})
    assert not kept({"extensions": other_order}, {"extensions": large})
