"""Ids of servers keep their server, type and spelling on the way to a client and back."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary_gateway.pipeline.merged_sessions.server_message_ids import (
    expose_ids,
    exposed_id,
    is_foreign_progress,
    own_id,
    server_of_progress,
    server_of_response,
)

NUMBERS = st.integers(min_value=-(2**63), max_value=2**64 - 1)


@given(st.sampled_from(["crm", "a", "server-16"]), st.one_of(NUMBERS, st.text(max_size=80), NUMBERS.map(str)))
def test_an_id_comes_back_as_its_server_sent_it(server: str, own: str | int) -> None:
    exposed = exposed_id(server, own)

    assert exposed is not None
    assert own_id(exposed) == (server, own)
    assert type(own_id(exposed)[1]) is type(own)  # type: ignore[index]


@given(st.lists(st.tuples(st.sampled_from(["a", "b"]), st.one_of(NUMBERS, st.text(max_size=8))), unique_by=repr))
def test_no_two_ids_are_exposed_alike(ids: list[tuple[str, str | int]]) -> None:
    assert len({exposed_id(server, own) for server, own in ids}) == len(ids)


def test_usual_ids_are_exposed_as_anyone_would_read_them() -> None:
    assert exposed_id("crm", 7) == "crm.7"
    assert exposed_id("crm", "ask-1") == "crm.ask-1"
    assert exposed_id("crm", "7") == 'crm."7"'


@pytest.mark.parametrize("own", [None, True, 1.5, 2**64, [], "x" * 1025])
def test_what_is_no_id_is_not_exposed(own: Any) -> None:
    assert exposed_id("crm", own) is None


@pytest.mark.parametrize("exposed", [7, None, "", "crm", ".7", 'crm."unclosed', 'crm."1"x'])
def test_what_was_not_exposed_is_nobodys_id(exposed: Any) -> None:
    assert own_id(exposed) is None


def test_a_request_of_a_server_gets_its_id_and_the_token_by_which_it_follows_progress() -> None:
    message: dict[str, Any] = {
        "id": 3,
        "method": "elicitation/create",
        "params": {"_meta": {"progressToken": 3}, "message": "Sure?"},
    }

    assert expose_ids(message, "crm")
    assert message == {
        "id": "crm.3",
        "method": "elicitation/create",
        "params": {"_meta": {"progressToken": "crm.3"}, "message": "Sure?"},
    }


def test_a_server_that_cancels_its_request_names_it_as_the_client_knows_it() -> None:
    message = {"method": "notifications/cancelled", "params": {"requestId": 3}}

    assert expose_ids(message, "crm")
    assert message["params"] == {"requestId": "crm.3"}


def test_the_token_in_a_notification_is_the_clients_and_stays() -> None:
    message = {"method": "notifications/progress", "params": {"progressToken": 3, "_meta": {"progressToken": 4}}}

    assert expose_ids(message, "crm")
    assert message["params"] == {"progressToken": 3, "_meta": {"progressToken": 4}}


@pytest.mark.parametrize(
    "message",
    [
        {"id": None, "method": "ping"},
        {"id": 1.5, "method": "ping"},
        {"id": 1, "method": "ping", "params": {"_meta": {"progressToken": []}}},
        {"method": "notifications/cancelled", "params": {"requestId": {}}},
    ],
)
def test_a_message_whose_answer_could_not_find_back_is_not_passed_on(message: dict[str, Any]) -> None:
    assert not expose_ids(message, "crm")


def test_a_response_names_the_server_that_asked() -> None:
    body: dict[str, Any] = {"jsonrpc": "2.0", "id": "crm.3", "result": {}}

    assert server_of_response(body) == "crm"
    assert body["id"] == 3
    assert server_of_response({"id": 3, "result": {}}) is None


def test_progress_of_a_client_names_the_server_that_follows_it() -> None:
    params = {"progressToken": 'crm."5"', "progress": 1}

    assert server_of_progress(params) == "crm"
    assert params["progressToken"] == "5"
    assert server_of_progress({"progressToken": 5}) is None


@pytest.mark.parametrize(("token", "is_foreign"), [(1, False), ("1", True), (2, True), (None, True)])
def test_progress_passes_only_to_its_own_request(token: Any, is_foreign: bool) -> None:
    message = {"method": "notifications/progress", "params": {"progressToken": 1, "progress": 0.5}}

    assert is_foreign_progress(message, token) is is_foreign


def test_messages_that_are_no_progress_are_never_foreign() -> None:
    assert not is_foreign_progress({"method": "notifications/message", "params": {"progressToken": 9}}, 1)
