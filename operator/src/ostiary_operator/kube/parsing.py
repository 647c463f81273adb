"""Parses what the API server sends, large lists above all."""

import gc
from typing import Final

import orjson

from ostiary_operator.kube.client import Object, Objects, uid_of

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


class Shelf:
    """Keeps the objects of the last list, so that those that did not change exist once and not once a list."""

    def __init__(self) -> None:
        self._kept: dict[str, Object] = {}

    def exchange(self, items: Objects) -> Objects:
        """Return the items, each unchanged one as the object that was returned before. Nobody may change them."""
        return [self._kept_if_same(item) for item in items]

    def keep(self, items: Objects) -> None:
        """Remember a whole list, and forget what is not in it."""
        self._kept = {uid_of(item): item for item in items if uid_of(item)}

    def _kept_if_same(self, item: Object) -> Object:
        kept = self._kept.get(uid_of(item))
        if kept is None:
            return item
        if kept["metadata"].get("resourceVersion") == item["metadata"].get("resourceVersion"):
            return kept
        if "spec" in kept and kept["metadata"].get("generation", 0) == item["metadata"].get("generation"):
            item["spec"] = kept["spec"]  # a new generation is the only way to a new spec
        return item


def _parse(answer: bytes) -> Object:
    parsed: Object = orjson.loads(answer)
    return parsed


def lean(item: Object, *, api_version: str, kind: str) -> Object:
    """Return an item of a list with the kind that built-in ones lack, without what nobody reads.

    ``managedFields`` are most of an object's bytes where it has long lists.
    """
    item["metadata"].pop("managedFields", None)
    item["apiVersion"], item["kind"] = api_version, kind
    return item
