"""What a modern server asks in mid-call, put to a legacy client."""

from collections.abc import Mapping
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary_gateway.bridge.client_input import (
    InputRefusedError,
    client_requests,
    input_required,
    input_response,
    missing_capability,
    repeated_params,
)
from ostiary_gateway.errors import UpstreamFault

FORM: Final[dict[str, Any]] = {
    "method": "elicitation/create",
    "params": {"mode": "form", "message": "Your name?", "requestedSchema": {"type": "object", "properties": {}}},
}
URL_PARAMS: Final[dict[str, Any]] = {"mode": "url", "message": "Go", "url": "https://a"}
URL: Final[dict[str, Any]] = {"method": "elicitation/create", "params": URL_PARAMS}
SAMPLE: Final[dict[str, Any]] = {"method": "sampling/createMessage", "params": {"messages": [], "maxTokens": 5}}
ROOTS: Final[dict[str, Any]] = {"method": "roots/list"}
ALL: Final[dict[str, Any]] = {"elicitation": {"form": {}, "url": {}}, "sampling": {"tools": {}}, "roots": {}}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
requests = st.builds(
    lambda method, params: {"method": method, "params": params},
    st.sampled_from(["elicitation/create", "sampling/createMessage", "roots/list"]) | json_values,
    st.dictionaries(st.sampled_from(["mode", "tools", "message"]), json_values) | json_values,
)


def asked_of(
    asked: Mapping[str, Any], capabilities: Mapping[str, Any] = ALL, revision: str = "2025-11-25"
) -> dict[str, dict[str, Any]]:
    found = input_required({"resultType": "input_required", "inputRequests": asked})
    return client_requests(found, capabilities=capabilities, revision=revision, new_id=lambda: "minted")


def test_each_input_becomes_a_request_of_the_server() -> None:
    found = asked_of({"a": FORM, "b": SAMPLE, "c": ROOTS, "d": URL})

    with_id = {"method": "elicitation/create", "params": {**URL_PARAMS, "elicitationId": "minted"}}
    assert found == {"a": FORM, "b": SAMPLE, "c": ROOTS, "d": with_id}


def test_a_client_without_modes_gets_a_form_without_mode() -> None:
    found = asked_of({"a": FORM}, {"elicitation": {}}, "2025-06-18")

    assert "mode" not in found["a"]["params"]


@pytest.mark.parametrize(
    ("asked", "declared", "missing"),
    [
        (FORM, {}, "elicitation"),
        (FORM, {"elicitation": {"url": {}}}, "elicitation.form"),
        (URL, {"elicitation": {}}, "elicitation.url"),
        (SAMPLE, {"elicitation": {}}, "sampling"),
        ({**SAMPLE, "params": {"tools": []}}, {"sampling": {}}, "sampling.tools"),
        (ROOTS, {"roots": None}, "roots"),
    ],
)
def test_a_client_is_not_asked_for_what_it_did_not_declare(
    asked: Mapping[str, Any], declared: Mapping[str, Any], missing: str
) -> None:
    assert missing_capability(asked["method"], asked.get("params") or {}, declared) == missing
    with pytest.raises(InputRefusedError, match=missing):
        asked_of({"a": asked}, declared)


@pytest.mark.parametrize(
    "result",
    [
        {},
        {"inputRequests": []},
        {"inputRequests": None, "requestState": 7},
        {"requestState": "x" * (1024 * 1024 + 1)},
        {"inputRequests": {"a": {"method": "tools/call", "params": {}}}},
        {"inputRequests": {"a": {"method": ["roots/list"], "params": {}}}},
        {"inputRequests": {"a": {"method": "sampling/createMessage"}}},
        {"inputRequests": {str(number): ROOTS for number in range(17)}},
        {"inputRequests": {"x" * 257: ROOTS}},
    ],
)
def test_a_server_may_not_ask_for_anything_else(result: Mapping[str, Any]) -> None:
    with pytest.raises(UpstreamFault):
        input_required(result)


@given(st.dictionaries(st.text(max_size=3), requests | json_values, max_size=3), st.just(ALL) | st.just({}))
def test_whatever_a_server_asks_it_is_asked_or_refused(asked: Mapping[str, Any], declared: Mapping[str, Any]) -> None:
    try:
        found = asked_of(asked, declared)
    except (UpstreamFault, InputRefusedError):
        return
    assert found.keys() == asked.keys()
    assert not declared or all(each["method"].partition("/")[0] in declared for each in found.values())
    assert declared or not found


def test_the_response_of_the_client_is_the_answer() -> None:
    answer = {"action": "accept", "content": {"name": "me"}}

    assert input_response("elicitation/create", {"jsonrpc": "2.0", "id": 1, "result": answer}) == answer
    with pytest.raises(InputRefusedError, match="User rejected"):
        input_response("sampling/createMessage", {"id": 1, "error": {"code": -1, "message": "User rejected"}})


@given(st.dictionaries(st.text(max_size=3), json_values), json_values, st.none() | st.text())
def test_a_round_repeats_the_params_with_answers_and_the_state_as_it_was_sent(
    params: dict[str, Any], answer: Any, state: str | None
) -> None:
    first = repeated_params(params, {"a": {"roots": answer}}, "earlier")

    second = repeated_params(first, {}, state)

    assert first["inputResponses"] == {"a": {"roots": answer}}
    assert first["requestState"] == "earlier"
    assert second == {**params, **({} if state is None else {"requestState": state})}
