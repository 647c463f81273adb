"""Titles, descriptions and annotations that are shown instead of those of the server.

They change what callers and models read, never what a tool does. A lock judges the definition of the server, which an
override does not hide from it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ostiary_core.contract.definitions import OverrideConfig, OverridesConfig
from ostiary_core.mcp.methods import LISTS, Primitive


@dataclass(frozen=True, slots=True)
class CompiledOverrides:
    """By the key of a list and the exposed name: what replaces members of the server's."""

    members: Mapping[str, Mapping[str, Mapping[str, Any]]]

    @classmethod
    def of_config(cls, found: OverridesConfig) -> "CompiledOverrides":
        """Compile the overrides of a config entry."""
        return cls({key: _members(found, method.primitive) for key, method in LISTS.items()})

    def has(self, list_key: str) -> bool:
        """Return whether any item of such a list is overridden."""
        return bool(self.members[list_key])

    def applied(self, list_key: str, name: str, item: dict[str, Any]) -> dict[str, Any]:
        """Return an item of a list as callers see it; the item itself where nothing overrides it."""
        changed = self.members[list_key].get(name)
        return item if changed is None else {**item, **_fitting(changed, item)}


def _fitting(changed: Mapping[str, Any], item: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the members, with the title also where older clients read it.

    A title may stand in ``annotations.title`` (2025-03-26). If only the title is overridden, that one is, too.
    """
    annotations = item.get("annotations")
    if "title" not in changed or "annotations" in changed or not isinstance(annotations, dict):
        return changed
    return {**changed, "annotations": {**annotations, "title": changed["title"]}} if "title" in annotations else changed


def _members(found: OverridesConfig, primitive: Primitive | None) -> Mapping[str, Mapping[str, Any]]:
    if primitive is None:
        return {}
    return {each.name: _of(each) for each in found.of(primitive)}


def _of(override: OverrideConfig) -> Mapping[str, Any]:
    return override.model_dump(exclude_none=True, exclude={"name"})
