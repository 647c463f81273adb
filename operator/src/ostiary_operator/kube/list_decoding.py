"""Decodes responses of the API server, in particular large lists."""

import gc
import zlib
from collections.abc import Callable
from typing import Any, Final, TypeAlias

import orjson

from ostiary_operator.api.objects import Object, Objects, namespace_of, uid_of
from ostiary_operator.compile.resource_parser import EncodedResource, encode_resource
from ostiary_operator.kube.kinds import LOCK, OURS, POLICY, Kind

#: Bytes of a response below which pausing the garbage collector gains nothing.
_LARGE: Final = 100_000
#: The kinds whose objects are large and many: rules and definitions.
_PACKED: Final = (POLICY, LOCK)
_IDENTIFYING: Final = ("namespace", "name", "uid", "resourceVersion")


def parse(response: bytes) -> Object:
    """Parse a response.

    A list of thousands of objects allocates millions of containers, none of them garbage. The garbage collector would
    traverse them repeatedly meanwhile, which takes five times as long as the parsing itself.
    """
    if len(response) < _LARGE or not gc.isenabled():
        return _parse(response)
    gc.disable()
    try:
        return _parse(response)
    finally:
        gc.enable()


class ObjectCache:
    """Caches the objects of the last lists, so that unchanged ones exist only once."""

    def __init__(self) -> None:
        self._kept: dict[str, dict[str, Object]] = {}

    def exchange(self, items: Objects) -> Objects:
        """Return the items, unchanged ones as the object of the last list. Do not modify them."""
        return [self._kept_if_same(item) for item in items]

    def keep(self, items: Objects, *, namespace: str | None) -> None:
        """Store a complete list, of one namespace or of all, and remove what is not in it."""
        kept: dict[str, dict[str, Object]] = {}
        for item in items:
            if uid_of(item):
                kept.setdefault(namespace_of(item), {})[uid_of(item)] = item
        if namespace is None:
            self._kept = kept
        else:
            self._kept[namespace] = kept.get(namespace, {})

    def _kept_if_same(self, item: Object) -> Object:
        kept = self._kept.get(namespace_of(item), {}).get(uid_of(item))
        if kept is None:
            return item
        if kept["metadata"].get("resourceVersion") == item["metadata"].get("resourceVersion"):
            return kept
        if isinstance(kept, EncodedResource) and isinstance(item, EncodedResource) and kept.content == item.content:
            item.content = kept.content
        return item


def _parse(response: bytes) -> Object:
    parsed: Object = orjson.loads(response)
    return parsed


Pick: TypeAlias = Callable[[Object, Kind], Object]
"""Makes what is kept of an item of a list, which lacks its kind."""


class PackedObject(dict[str, Any]):
    """An object as compressed JSON (``content``), and what identifies it.

    It takes a tenth of the memory.
    """

    __slots__ = ("content",)

    def __init__(self, obj: Object) -> None:
        metadata = {key: obj["metadata"][key] for key in _IDENTIFYING if key in obj["metadata"]}
        super().__init__(apiVersion=obj["apiVersion"], kind=obj["kind"], metadata=metadata)
        self.content = zlib.compress(orjson.dumps(obj), 1)

    def unpacked(self) -> Object:
        """Return the whole object."""
        return _parse(zlib.decompress(self.content))


def whole(item: Object, kind: Kind) -> Object:
    """Return a list item with its kind, without what only field managers read."""
    item["metadata"].pop("managedFields", None)
    return {"apiVersion": kind.api_version, "kind": kind.name, **item}


def packed(item: Object, kind: Kind) -> Object:
    """Return a list item with its kind, packed if such objects are large and many."""
    found = whole(item, kind)
    return PackedObject(found) if kind in _PACKED else found


def lean(item: Object, kind: Kind) -> Object:
    """Return a list item with its kind and without unused fields; our own kinds are encoded.

    Items of built-in kinds lack ``kind``. ``managedFields`` are most of an object's bytes where it has long lists.
    """
    if kind in OURS:
        return encode_resource(kind.name, item)
    item["metadata"].pop("managedFields", None)
    item["apiVersion"], item["kind"] = kind.api_version, kind.name
    return item
