"""CompiledOverrides replace what callers read, and nothing else."""

from ostiary_core.contract.definitions import OverrideConfig, OverridesConfig
from ostiary_core.definitions.overrides import CompiledOverrides

_TOOL = {"name": "add", "description": "old", "annotations": {"title": "Old", "readOnlyHint": True}, "inputSchema": {}}


def _applied(override: OverrideConfig) -> dict[str, object]:
    return CompiledOverrides.of_config(OverridesConfig(tools=[override])).applied("tools", "add", dict(_TOOL))


def test_a_description_replaces_that_of_the_server() -> None:
    assert _applied(OverrideConfig(name="add", description="new")) == {**_TOOL, "description": "new"}


def test_annotations_replace_all_those_of_the_server() -> None:
    assert _applied(OverrideConfig(name="add", annotations={"destructiveHint": True}))["annotations"] == {
        "destructiveHint": True
    }


def test_a_title_replaces_the_one_in_annotations_which_older_clients_read() -> None:
    assert _applied(OverrideConfig(name="add", title="New")) == {
        **_TOOL,
        "title": "New",
        "annotations": {"title": "New", "readOnlyHint": True},
    }


def test_other_items_are_the_same_objects() -> None:
    overrides = CompiledOverrides.of_config(OverridesConfig(resources=[OverrideConfig(name="crm://a", title="A")]))
    item = {"name": "add"}
    assert overrides.applied("tools", "add", item) is item
    assert overrides.has("resources")
    assert overrides.has("resourceTemplates")
    assert not overrides.has("tools")
