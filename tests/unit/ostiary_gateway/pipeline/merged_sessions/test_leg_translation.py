"""What a server sends on its stream, as the caller of several servers gets it."""

import json
from typing import Any

import pytest

from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.pipeline.merged_sessions.event_ids import StreamOf
from ostiary_gateway.pipeline.merged_sessions.leg_translation import LegTranslation
from ostiary_gateway.pipeline.own_request import own_id


def translation(token: Any = None, resumed: StreamOf | None = None) -> LegTranslation:
    return LegTranslation(
        "crm", token=token, names=None, seal_task=lambda own: f"sealed-{own}" if own else None, resumed=resumed
    )


def streamed(message: dict[str, Any], token: Any = None, resumed: StreamOf | None = None) -> dict[str, Any] | None:
    text = translation(token, resumed).streamed(json.dumps(message).encode(), json.loads(json.dumps(message)))
    found: dict[str, Any] | None = json.loads(text) if text is not None else None
    return found


def test_a_question_of_a_server_names_it() -> None:
    found = streamed({"jsonrpc": "2.0", "id": 1, "method": "elicitation/create", "params": {}})

    assert found == {"jsonrpc": "2.0", "id": "crm.1", "method": "elicitation/create", "params": {}}


def test_a_resumed_stream_carries_the_response_to_its_own_request_and_to_no_other() -> None:
    response = {"jsonrpc": "2.0", "id": 1, "result": {"task": {"taskId": "a"}}}

    answered = {"jsonrpc": "2.0", "id": 1, "result": {"task": {"taskId": "sealed-a"}}}
    assert streamed(response, resumed=StreamOf(1)) == answered
    assert streamed(response, resumed=StreamOf(2)) is None
    assert streamed({**response, "id": own_id()}, resumed=StreamOf(1)) is None


def test_a_stream_that_resumes_no_request_carries_no_responses() -> None:
    assert streamed({"jsonrpc": "2.0", "id": 1, "result": {}}) is None


@pytest.mark.parametrize(("token", "passes"), [(7, True), (8, False), ("7", False), (None, False)])
def test_progress_passes_only_on_the_stream_of_its_own_request(token: Any, passes: bool) -> None:
    message = {"method": "notifications/progress", "params": {"progressToken": 7, "progress": 1}}

    assert (streamed(message, token) == message) is passes


def test_a_notification_without_ids_keeps_its_bytes() -> None:
    text = b'{ "method" : "notifications/message", "params": {"data": 1e3} }'

    assert translation().streamed(text, json.loads(text)) == text


def test_tasks_are_sealed_in_results_and_what_only_looks_like_one_is_data() -> None:
    message = {
        "id": 1,
        "result": {"content": [{"type": "text", "text": '"taskId"'}], "structuredContent": {"taskId": "x"}},
    }
    text = json.dumps(message).encode()

    assert translation().response(text, json.loads(text)) == text


def test_a_task_that_cannot_be_sealed_is_the_servers_fault() -> None:
    text = b'{"id": 1, "result": {"taskId": ""}}'

    with pytest.raises(UpstreamFault, match="id of its task"):
        translation().response(text, json.loads(text))


def test_a_message_whose_answer_could_not_find_back_is_dropped() -> None:
    assert streamed({"id": 1.5, "method": "ping"}) is None
    assert streamed({"method": "notifications/tasks/status", "params": {"taskId": ""}}) is None
