"""Parses what the API server sends, large lists above all."""

import gc
from typing import Final

import orjson

from ostiary_operator.compile.packed import EncodedResource, encode_resource
from ostiary_operator.kube.client import Object, Objects, namespace_of, uid_of
from ostiary_operator.kube.kinds import OURS, Kind

#: Answers below this are parsed so fast that nothing is worth doing.
_LARGE: Final = 100_000


def parse(answer: bytes) -> Object:
    """Parse an answer.

    A list of thousands of objects allocates millions of containers, none of them garbage. The collector would walk them
    again and again meanwhile: it takes five times as long as the parsing itself.
    """
    if len(answer) < _LARGE or not gc.isenabled():
        return _parse(answer)
    gc.disable()
    try:
        return _parse(answer)
    finally:
        gc.enable()


class ObjectCache:
    """Keeps the objects of the last lists, so that those that did not change exist once and not once a list."""

    def __init__(self) -> None:
        self._kept: dict[str, dict[str, Object]] = {}

    def exchange(self, items: Objects) -> Objects:
        """Return the items, each unchanged one as the object that was returned before. Nobody may change them."""
        return [self._kept_if_same(item) for item in items]

    def keep(self, items: Objects, *, namespace: str | None) -> None:
        """Remember a whole list, of one namespace or of all, and forget what is not in it."""
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
        if isinstance(kept, EncodedResource) and isinstance(item, EncodedResource) and kept.judged == item.judged:
            item.judged = kept.judged
        return item


def _parse(answer: bytes) -> Object:
    parsed: Object = orjson.loads(answer)
    return parsed


def lean(item: Object, kind: Kind) -> Object:
    """Return an item of a list with the kind that built-in ones lack, without what nobody reads; ours are packed.

    ``managedFields`` are most of an object's bytes where it has long lists.
    """
    if kind in OURS:
        return encode_resource(kind.name, item)
    item["metadata"].pop("managedFields", None)
    item["apiVersion"], item["kind"] = kind.api_version, kind.name
    return item
