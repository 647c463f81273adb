"""What a legacy server asks in the midst of a call, as a modern caller is asked."""

from typing import Any, Final

import pytest

from ostiary_gateway.bridge.server_input import (
    given_inputs,
    input_request,
    input_required_result,
    own_answer,
    server_response,
)

ALL: Final[dict[str, Any]] = {"elicitation": {"form": {}, "url": {}}, "sampling": {"tools": {}}, "roots": {}}
FORM: Final = {"message": "Name?", "requestedSchema": {"type": "object", "properties": {}}}


def asked(method: Any, params: Any = None) -> dict[str, Any]:
    """A request of a server."""
    request = {"jsonrpc": "2.0", "id": 7, "method": method}
    return request if params is None else {**request, "params": params}


@pytest.mark.parametrize(
    ("request_", "becomes"),
    [
        (asked("elicitation/create", FORM), {"method": "elicitation/create", "params": FORM}),
        (
            asked("elicitation/create", {"mode": "url", "url": "u", "message": "m", "elicitationId": "1", "task": {}}),
            {"method": "elicitation/create", "params": {"mode": "url", "url": "u", "message": "m"}},
        ),
        (asked("roots/list"), {"method": "roots/list"}),
        (
            asked("sampling/createMessage", {"messages": [], "_meta": {"progressToken": 1, "own": 2}}),
            {"method": "sampling/createMessage", "params": {"messages": [], "_meta": {"own": 2}}},
        ),
    ],
)
def test_a_request_is_asked_without_what_only_the_legacy_era_has(request_: Any, becomes: Any) -> None:
    assert input_request(request_, method="tools/call", capabilities=ALL) == becomes


@pytest.mark.parametrize(
    ("request_", "capabilities"),
    [
        (asked("elicitation/create", FORM), {}),
        (asked("elicitation/create", {**FORM, "mode": "url"}), {"elicitation": {"form": {}}}),
        (asked("sampling/createMessage", {"tools": []}), {"sampling": {}}),
        (asked("roots/list"), {"elicitation": {}}),
        (asked("tools/call", {}), ALL),
        (asked("elicitation/create", []), ALL),
        (asked(["elicitation/create"], {}), ALL),
    ],
)
def test_a_caller_is_not_asked_what_it_has_not_declared(request_: Any, capabilities: Any) -> None:
    assert input_request(request_, method="tools/call", capabilities=capabilities) is None


@pytest.mark.parametrize("method", ["tools/list", "completion/complete", "subscriptions/listen"])
def test_only_three_methods_may_ask(method: str) -> None:
    assert input_request(asked("roots/list"), method=method, capabilities=ALL) is None


def test_a_ping_is_answered_and_all_else_is_refused() -> None:
    assert own_answer(asked("ping")) == {"jsonrpc": "2.0", "id": 7, "result": {}}
    assert own_answer(asked("roots/list"))["error"]["code"] == -32601


def test_a_result_asks_for_one_input_and_has_the_state() -> None:
    result = input_required_result("1", {"method": "roots/list"}, state="s1.x", info={"name": "a", "version": "1"})
    assert result["inputRequests"] == {"1": {"method": "roots/list"}}
    assert (result["resultType"], result["requestState"]) == ("input_required", "s1.x")


@pytest.mark.parametrize(
    ("given", "method", "becomes"),
    [
        ({"action": "accept", "content": {"a": 1}}, "elicitation/create", {"action": "accept", "content": {"a": 1}}),
        ({"action": "decline", "resultType": "complete"}, "elicitation/create", {"action": "decline"}),
        ({"action": "shout"}, "elicitation/create", {"action": "cancel"}),
        (None, "elicitation/create", {"action": "cancel"}),
        ({"roots": []}, "roots/list", {"roots": []}),
    ],
)
def test_what_a_caller_gives_is_the_response_to_the_server(given: Any, method: str, becomes: Any) -> None:
    assert server_response(7, given, asked=method) == {"jsonrpc": "2.0", "id": 7, "result": becomes}


def test_without_an_answer_other_requests_fail() -> None:
    assert server_response("a", None, asked="sampling/createMessage")["error"]["code"] == -32603


def test_inputs_are_those_of_the_repeated_call() -> None:
    assert given_inputs({"inputResponses": {"1": {}}}) == {"1": {}}
    assert given_inputs({"inputResponses": [1]}) == {}
