"""What a legacy server announces, as a modern client subscribes to it."""

import json
from typing import Any, Final

import pytest
from mcp_types import methods

from ostiary_gateway.bridge.legacy_changes import (
    acknowledged,
    change,
    discover_result,
    honoured,
    server_name,
    subscribed_uris,
)

SUBSCRIPTION: Final = "io.modelcontextprotocol/subscriptionId"
HANDSHAKE: Final = {
    "protocolVersion": "2025-11-25",
    "capabilities": {"tools": {"listChanged": True}, "resources": {"subscribe": True}, "tasks": {}, "prompts": 7},
    "serverInfo": {"name": "old", "version": "1"},
    "instructions": "Call me.",
}
CHANGED: Final = {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}


def updated(uri: Any) -> dict[str, Any]:
    """A notification that a resource changed."""
    return {"jsonrpc": "2.0", "method": "notifications/resources/updated", "params": {"uri": uri}}


def told(message: dict[str, Any], filter_: dict[str, Any]) -> dict[str, Any] | None:
    """A notification as a listener gets it."""
    text = change(message, subscription=9, filter_=filter_)
    found: dict[str, Any] | None = None if text is None else json.loads(text)
    return found


def test_discover_says_what_the_handshake_said() -> None:
    result = discover_result(HANDSHAKE)
    methods.validate_server_result("server/discover", "2026-07-28", result)
    assert result["capabilities"] == {"tools": {"listChanged": True}, "resources": {"subscribe": True}}
    assert (result["instructions"], result["ttlMs"], result["cacheScope"]) == ("Call me.", 0, "private")
    assert result["supportedVersions"] == ["2026-07-28"]


def test_a_server_without_a_name_has_one() -> None:
    assert server_name({"serverInfo": {"name": "x"}})["name"] == "unnamed"
    assert discover_result({})["capabilities"] == {}


def test_a_filter_is_honoured_as_far_as_the_server_announces_changes() -> None:
    wanted = {"toolsListChanged": True, "promptsListChanged": True, "resourceSubscriptions": ["a:b", 7], "taskIds": []}
    found = honoured(wanted, HANDSHAKE["capabilities"])  # type: ignore[arg-type]
    assert found == {"toolsListChanged": True, "resourceSubscriptions": ["a:b"]}
    assert subscribed_uris(found) == ("a:b",)
    assert honoured(wanted, {}) == {}


def test_the_acknowledgement_has_the_id_of_the_listen() -> None:
    message = json.loads(acknowledged("x", {"toolsListChanged": True}))
    assert message["params"] == {"notifications": {"toolsListChanged": True}, "_meta": {SUBSCRIPTION: "x"}}


def test_a_change_is_tagged_with_the_subscription() -> None:
    found = told(CHANGED, {"toolsListChanged": True})
    assert found == {**CHANGED, "params": {"_meta": {SUBSCRIPTION: 9}}}
    assert told({**CHANGED, "params": {"_meta": {"own": 1}}}, {"toolsListChanged": True}) is not None


@pytest.mark.parametrize(
    ("uri", "is_told"), [("a://b", True), ("a://b/c", True), ("a://bc", False), ("a://", False), (7, False)]
)
def test_an_update_is_told_for_what_was_subscribed_to_and_what_is_below(uri: Any, is_told: bool) -> None:
    assert (told(updated(uri), {"resourceSubscriptions": ["a://b"]}) is not None) == is_told


@pytest.mark.parametrize(
    ("message", "filter_"),
    [
        (CHANGED, {}),
        (CHANGED, {"promptsListChanged": True}),
        ({**CHANGED, "id": 1}, {"toolsListChanged": True}),
        (updated("a:b"), {"resourcesListChanged": True}),
        ({"method": "notifications/message", "params": {}}, {"toolsListChanged": True}),
        ({"method": ["x"]}, {"toolsListChanged": True}),
    ],
)
def test_what_was_not_asked_for_is_not_told(message: dict[str, Any], filter_: dict[str, Any]) -> None:
    assert told(message, filter_) is None
