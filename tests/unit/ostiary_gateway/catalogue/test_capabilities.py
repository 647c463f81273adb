"""A catalogue can do what one of its servers can, and declares nothing that does not work through it."""

from typing import Any

import pytest

from ostiary_core.mcp.protocol_revisions import LEGACY, MODERN
from ostiary_gateway.catalogue.capabilities import unite

TOOLS: dict[str, Any] = {"tools": {}}
CHANGES = {"listChanged": True}


def test_capabilities_are_united_and_lists_can_always_change() -> None:
    found = unite([TOOLS, {"resources": {"subscribe": True}, "completions": {}}], era=LEGACY, keeps_notes=True)
    assert found == {"tools": CHANGES, "resources": {**CHANGES, "subscribe": True}, "completions": {}}


def test_a_missing_server_may_have_each_list() -> None:
    lists = dict.fromkeys(["tools", "resources", "prompts"], CHANGES)
    assert unite([None, TOOLS], era=LEGACY, keeps_notes=True) == lists
    assert unite([], era=MODERN, keeps_notes=True) == {}


def test_without_notes_nothing_is_declared_that_needs_them() -> None:
    servers: list[dict[str, Any]] = [{"logging": {}, "resources": {"subscribe": True}}]
    assert unite(servers, era=LEGACY, keeps_notes=True)["logging"] == {}
    assert unite(servers, era=LEGACY, keeps_notes=False) == {"resources": CHANGES}
    subscribable = {"resources": {**CHANGES, "subscribe": True}, "logging": {}}
    assert unite(servers, era=MODERN, keeps_notes=False) == subscribable  # a later revision needs no notes for them


def test_unknown_extensions_are_dropped() -> None:
    extensions = {"io.modelcontextprotocol/ui": {"a": 1}, "com.example/x": {}, "io.modelcontextprotocol/tasks": 5}
    servers: list[dict[str, Any]] = [{"extensions": extensions, "experimental": {"x": {}}, "x": {}}, {"extensions": []}]
    assert unite(servers, era=MODERN, keeps_notes=True) == {"extensions": {"io.modelcontextprotocol/ui": {"a": 1}}}


@pytest.mark.parametrize(
    ("tasks", "united"),
    [
        (
            {"list": {}, "cancel": {}, "requests": {"tools": {"call": {}}}},
            {"cancel": {}, "requests": {"tools": {"call": {}}}},
        ),
        ({"list": {}, "cancel": {}}, None),
        ({"requests": {"tools": []}}, None),
        (True, None),
    ],
)
def test_tasks_are_declared_without_their_list(tasks: Any, united: Any) -> None:
    assert unite([{"tasks": tasks}], era=LEGACY, keeps_notes=True).get("tasks") == united
    assert "tasks" not in unite([{"tasks": tasks}], era=MODERN, keeps_notes=True)


@pytest.mark.parametrize("odd", [{"tools": True}, {"tools": None}, {"resources": [1]}, {"logging": "yes"}])
def test_a_capability_of_another_shape_is_none(odd: Any) -> None:
    assert unite([odd], era=LEGACY, keeps_notes=True) == {}
