"""Items of lists under the names of the catalogue."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from ostiary_core.catalogue_names import CatalogueNames
from ostiary_core.mcp.methods import Method, Primitive
from ostiary_gateway.catalogue.drops import Drop, DropReason, drop

#: The members of ``_meta`` that hold the URI of a resource, as paths: MCP Apps, its earlier form, and the Apps SDK.
META_URIS: Final = (("ui", "resourceUri"), ("ui/resourceUri",), ("openai/outputTemplate",))


class ItemExposer:
    """Exposes the items of one server's list; ``server`` is its place in the order of the spec."""

    def __init__(self, names: CatalogueNames, server: int, method: Method) -> None:
        assert method.primitive is not None  # noqa: S101  every list has one
        self._names = names
        self._server = server
        self._key = method.item_key
        self._primitive = method.primitive
        self._seen: set[str] = set()

    def exposed(self, item: dict[str, Any]) -> dict[str, Any] | Drop:
        """Return an item as the catalogue shows it, or why it does not."""
        own = item.get(self._key)
        if not isinstance(own, str) or not own or has_look_alike(item, self._key):
            return drop(DropReason.NO_NAME, own)
        name, problem = self._names.placed(self._primitive, self._server, own)
        if problem is not None:
            return drop(DropReason(problem.value), own)
        if name in self._seen:
            return drop(DropReason.DUPLICATE, own)
        self._seen.add(name)
        meta = item.get("_meta")
        shown = {**item, self._key: name}
        if isinstance(meta, dict):
            shown["_meta"] = with_exposed_uris(meta, self._exposed_uri)
        return shown

    def _exposed_uri(self, uri: str) -> str | None:
        return self._names.exposed(Primitive.RESOURCES, self._server, uri)


def has_look_alike(item: Mapping[str, Any], key: str) -> bool:
    """Return whether a member differs from ``key`` only in case, which some readers ignore."""
    return any(member != key and member.casefold() == key for member in item if len(member) == len(key))


def with_exposed_uris(meta: dict[str, Any], expose: Callable[[str], str | None]) -> dict[str, Any]:
    """Return the ``_meta`` of an item with the URIs of the catalogue.

    One that can have none there is removed.
    """
    for path in META_URIS:
        meta = _replaced(meta, path, expose)
    return meta


def _replaced(members: dict[str, Any], path: tuple[str, ...], expose: Callable[[str], str | None]) -> dict[str, Any]:
    key, *rest = path
    found = members.get(key)
    if rest:
        return {**members, key: _replaced(found, tuple(rest), expose)} if isinstance(found, dict) else members
    if not isinstance(found, str):
        return members
    shown = expose(found)
    return {**members, key: shown} if shown is not None else {k: v for k, v in members.items() if k != key}
