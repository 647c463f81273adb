"""Ids of tasks are changed at every place where a server or client names them, and at no other."""

from typing import Any

import pytest

from ostiary_gateway.pipeline.merged_sessions.task_ids import (
    LONGEST,
    RELATED_TASK,
    change_in_message,
    change_in_response,
    change_in_result,
    content_of,
    task_of,
)


def sealed(own: str) -> str:
    return f"sealed-{own}"


def refused(_own: str) -> None:
    return None


@pytest.mark.parametrize("own", ["786512e2-9e0d", "a b", "x" * LONGEST])
def test_what_is_sealed_for_a_task_names_its_server(own: str) -> None:
    content = content_of("crm", own)

    assert content is not None
    assert task_of(content) == ("crm", own)


@pytest.mark.parametrize("own", ["x" * (LONGEST + 1), "a\nb"])
def test_an_id_that_could_be_read_in_two_ways_or_is_far_too_long_is_not_sealed(own: str) -> None:
    assert content_of("crm", own) is None


def test_a_result_names_tasks_in_three_places() -> None:
    result: dict[str, Any] = {
        "taskId": "1",
        "task": {"taskId": "2", "status": "working"},
        "_meta": {RELATED_TASK: {"taskId": "3"}, "other": {"taskId": "4"}},
        "structuredContent": {"taskId": "5"},
    }

    assert change_in_result(result, sealed) is True
    assert result == {
        "taskId": "sealed-1",
        "task": {"taskId": "sealed-2", "status": "working"},
        "_meta": {RELATED_TASK: {"taskId": "sealed-3"}, "other": {"taskId": "4"}},
        "structuredContent": {"taskId": "5"},
    }


def test_a_result_without_tasks_stays() -> None:
    result: dict[str, Any] = {"content": [], "_meta": None}

    assert change_in_result(result, refused) is False
    assert result == {"content": [], "_meta": None}


def test_a_status_and_a_related_message_name_the_servers_task_and_a_servers_question_names_the_clients() -> None:
    status = {"method": "notifications/tasks/status", "params": {"taskId": "1"}}
    related = {"method": "elicitation/create", "params": {"_meta": {RELATED_TASK: {"taskId": "1"}}}}
    question = {"id": 1, "method": "tasks/get", "params": {"taskId": "1"}}

    assert [change_in_message(each, sealed) for each in (status, related, question)] == [True, True, False]
    assert status["params"] == {"taskId": "sealed-1"}
    assert related["params"] == {"_meta": {RELATED_TASK: {"taskId": "sealed-1"}}}
    assert question["params"] == {"taskId": "1"}


def test_a_clients_response_names_the_task_that_it_is_about() -> None:
    body = {"id": 1, "result": {"_meta": {RELATED_TASK: {"taskId": "1"}}}}

    assert change_in_response(body, sealed) is True
    assert change_in_response({"id": 1, "error": {}}, refused) is False
    assert body["result"] == {"_meta": {RELATED_TASK: {"taskId": "sealed-1"}}}


def test_an_id_that_cannot_be_changed_is_told() -> None:
    assert change_in_result({"taskId": "1"}, refused) is None
    assert change_in_message({"method": "notifications/tasks", "params": {"taskId": "1"}}, refused) is None
