"""What clients and servers declare, in the other era."""

from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary_gateway.bridge.declarations import client_capabilities, server_capabilities

OWN: Final = "io.modelcontextprotocol/"
NAMES: Final = ["roots", "sampling", "elicitation", "tools", "prompts", "tasks", "extensions", "odd"]
values = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3))
declarations = st.dictionaries(st.sampled_from(NAMES), values | st.dictionaries(st.text(), values, max_size=3))


@given(declarations)
@pytest.mark.parametrize("bridged", [client_capabilities, server_capabilities])
def test_nothing_is_added_and_what_is_no_object_is_dropped(bridged: Any, declared: dict[str, Any]) -> None:
    found = bridged(declared)

    assert found.keys() <= declared.keys() - {"tasks", "odd"}
    assert all(isinstance(each, dict) for each in found.values())
    assert all(each == declared[name] for name, each in found.items() if name != "extensions")


@pytest.mark.parametrize("bridged", [client_capabilities, server_capabilities])
def test_tasks_are_not_bridged_in_either_form(bridged: Any) -> None:
    declared = {"tasks": {"cancel": {}}, "extensions": {OWN + "tasks": {}, OWN + "ui": {}, "a/b": {}, "x": 1}}

    assert bridged(declared) == {"extensions": {OWN + "ui": {}, "a/b": {}}}
    assert bridged({"extensions": {OWN + "tasks": {}}}) == {}


@pytest.mark.parametrize("declared", [None, 7, [], "tools"])
def test_what_is_no_object_declares_nothing(declared: Any) -> None:
    assert client_capabilities(declared) == server_capabilities(declared) == {}
