"""The queue of audit records: bounded, and what finds no room is counted and said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary_gateway.audit.audit_events import GatewayEvent
from ostiary_gateway.audit.audit_queue import AuditQueue

ITEM = GatewayEvent("Event", 1, {})


def test_what_finds_no_room_is_counted_once_with_its_times() -> None:
    queue = AuditQueue(capacity=3)
    assert [queue.put(ITEM) for _ in range(5)] == [True] * 3 + [False] * 2
    lost = queue.take_lost()
    assert lost is not None
    assert (lost.reason, lost.dropped) == ("QueueFull", 2)
    assert 0 < lost.since_ns <= lost.until_ns
    assert queue.take_lost() is None
    assert len(queue.take(10)) == 3
    assert queue.put(ITEM)


def test_a_request_that_reserved_a_place_always_has_its_last_record() -> None:
    queue = AuditQueue(capacity=4)
    queue.reserve()
    assert [queue.put(ITEM) for _ in range(4)] == [True] * 3 + [False]
    assert not queue.has_room
    assert queue.put(ITEM, reserved=True)
    assert len(queue) == 4


def test_records_that_are_encoded_in_the_loop_keep_their_order() -> None:
    queue = AuditQueue()
    queue.encode_in_loop(lambda item: b"encoded" if isinstance(item, GatewayEvent) and item.at_ns % 2 else None)
    items = [GatewayEvent("Event", number, {}) for number in range(100)]
    for item in items:
        queue.put(item)
    queue.put(b"was encoded before")
    encoded = [b"encoded" if item.at_ns % 2 else item for item in items]
    assert queue.take(200) == [*encoded, b"was encoded before"]
    assert (queue.accepted, queue.dropped, len(queue)) == (101, 0, 0)


def test_content_of_messages_is_left_to_the_thread_and_omitted_beyond_the_bound() -> None:
    queue = AuditQueue(content_bytes=100)
    queue.encode_in_loop(lambda _: b"encoded")
    assert queue.put(ITEM, size=5)
    assert queue.put(ITEM, size=5)
    assert queue.take(1) == [ITEM]
    assert queue.put(ITEM, size=6)
    assert queue.take(5) == [ITEM, ITEM]


def test_a_record_that_cannot_be_encoded_fails_no_request(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: object) -> bytes:
        raise ZeroDivisionError

    queue = AuditQueue()
    queue.encode_in_loop(fail)
    assert queue.put(ITEM)
    assert queue.take(1) == [ITEM]
    assert caplog.messages == ["an audit record could not be encoded: this is a bug"]


@given(st.lists(st.sampled_from(["put", "begin", "end", "give up", "take"]), max_size=100))
def test_the_queue_never_holds_more_than_it_may_and_drops_no_reserved_record(steps: list[str]) -> None:
    queue = AuditQueue(capacity=5)
    begun = 0
    for step in steps:
        if step == "begin" and queue.has_room:
            queue.reserve()
            begun += 1
            queue.put(ITEM)
        elif step == "end" and begun:
            assert queue.put(ITEM, reserved=True)
            begun -= 1
        elif step == "give up" and begun:
            queue.unreserve()
            begun -= 1
        elif step == "put":
            queue.put(ITEM)
        elif step == "take":
            queue.take(2)
        assert len(queue) + begun <= queue.capacity
