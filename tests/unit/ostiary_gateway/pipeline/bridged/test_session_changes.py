"""What a session announces reaches each listener once, however often it is said, and takes bounded memory."""

from typing import Any

from ostiary_gateway.pipeline.bridged.session_changes import MOST_WAITING, ChangeListener, SessionChanges

TOOLS = {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}


def updated(uri: str) -> dict[str, Any]:
    """An announcement that a resource changed."""
    return {"jsonrpc": "2.0", "method": "notifications/resources/updated", "params": {"uri": uri}}


async def all_of(listener: ChangeListener) -> list[Any]:
    """What a listener gets until the end."""
    listener.end()
    return [message async for message in listener.taken()]


async def test_the_same_said_again_is_told_once() -> None:
    listener = ChangeListener()
    for message in (TOOLS, updated("a:b"), TOOLS, updated("a:c"), updated("a:b")):
        listener.put(message)
    assert await all_of(listener) == [TOOLS, updated("a:b"), updated("a:c")]


async def test_a_storm_takes_bounded_memory_and_the_latest_are_kept() -> None:
    listener = ChangeListener()
    for number in range(10 * MOST_WAITING):
        listener.put(updated(f"a:{number}"))
    found = await all_of(listener)
    assert len(found) == MOST_WAITING
    assert found[-1] == updated(f"a:{10 * MOST_WAITING - 1}")


def test_only_the_first_subscription_and_the_last_end_concern_the_server() -> None:
    changes = SessionChanges()
    one, two = ChangeListener(), ChangeListener()
    assert changes.subscribe("a:b")
    assert not changes.subscribe("a:b")
    assert changes.subscribe("a:c")
    assert changes.leave(one, ["a:b", "a:c"]) == ["a:c"]
    assert changes.leave(two, ["a:b"]) == ["a:b"]
    assert changes.subscribe("a:b")


def test_a_subscription_that_the_server_refused_is_not_counted() -> None:
    changes = SessionChanges()
    assert changes.subscribe("a:b")
    changes.forget("a:b")
    assert changes.subscribe("a:b")


def test_what_announces_no_change_is_told_to_no_one() -> None:
    changes = SessionChanges()
    listener = ChangeListener()
    changes._listeners.add(listener)
    for message in ({"method": "notifications/message"}, {"method": "ping", "id": 1}, {**TOOLS, "id": 2}):
        changes.tell(message)
    assert not listener._waiting
