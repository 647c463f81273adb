"""Places in a JSON document (JSON Pointer, RFC 6901): set and remove what is there.

A place is the sequence of unescaped keys that lead to it. Documents are never changed: what is returned shares with the
document all that is not on the way to the place.
"""

import re
from collections.abc import Sequence
from typing import Any, Final

from ostiary_core.errors import TransformError

#: An index of a list, as RFC 6901 §4 spells it.
_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,8}")
#: The place behind the last item of a list.
_END: Final = "-"
_ABSENT: Final = object()


def with_value(document: Any, place: Sequence[str], value: Any, *, drops_variants: bool = False) -> Any:
    """Return a document with ``value`` at a place.

    Objects that are missing or null on the way are made. ``drops_variants`` removes members on the way whose names
    differ from the place in case only: some readers would take them for it.

    Raises:
        TransformError: something else is on the way, or a list is too short.
    """
    if not place:
        return value
    key, *rest = place
    if isinstance(document, dict):
        found = document.get(key)
        inner = with_value({} if found is None else found, rest, value, drops_variants=drops_variants)
        kept = _without_variants(document, key) if drops_variants else document
        return {**kept, key: inner}
    if isinstance(document, list):
        return _with_item(document, key, rest, value, drops_variants=drops_variants)
    raise TransformError(f"a value that holds no members is on the way to {shown(place)}")


def _with_item(items: list[Any], key: str, rest: Sequence[str], value: Any, *, drops_variants: bool) -> list[Any]:
    if key == _END or key == str(len(items)):
        return [*items, with_value({}, rest, value)]
    if _INDEX.fullmatch(key) is None or int(key) >= len(items):
        raise TransformError(f"a list has no item {shown((key,))}")
    position = int(key)
    inner = with_value(items[position], rest, value, drops_variants=drops_variants)
    return [*items[:position], inner, *items[position + 1 :]]


def _without_variants(members: dict[str, Any], key: str) -> dict[str, Any]:
    folded = key.casefold()
    return {name: each for name, each in members.items() if name == key or name.casefold() != folded}


def has_value(document: Any, place: Sequence[str]) -> bool:
    """Return whether there is something at a place, be it null."""
    for key in place:
        document = _inner(document, key)
        if document is _ABSENT:
            return False
    return True


def _inner(document: Any, key: str) -> Any:
    if isinstance(document, dict):
        return document.get(key, _ABSENT)
    is_index = isinstance(document, list) and _INDEX.fullmatch(key) is not None
    return document[int(key)] if is_index and int(key) < len(document) else _ABSENT


def without_value(document: Any, place: Sequence[str], *, drops_variants: bool = False) -> Any:
    """Return a document without what is at a place: the document itself where nothing is."""
    key, *rest = place
    if drops_variants and isinstance(document, dict):
        kept = _without_variants(document, key)
        document = document if len(kept) == len(document) else kept
    inner = _inner(document, key)
    if inner is _ABSENT:
        return document
    if rest:
        changed = without_value(inner, rest, drops_variants=drops_variants)
        if changed is inner:
            return document
        return with_value(document, (key,), changed)
    if isinstance(document, dict):
        return {name: each for name, each in document.items() if name != key}
    return [*document[: int(key)], *document[int(key) + 1 :]]


def concern_the_same(first: Sequence[str], second: Sequence[str]) -> bool:
    """Return whether changing one place may change what is at the other.

    Then one leads to the other. Items of a list are named in two ways, so ``-`` is any of them.
    """
    return all(
        a == b or (_END in (a, b) and all(each == _END or _INDEX.fullmatch(each) for each in (a, b)))
        for a, b in zip(first, second, strict=False)
    )


def shown(place: Sequence[str]) -> str:
    """Return a place as a JSON Pointer."""
    return "".join(f"/{key.replace('~', '~0').replace('/', '~1')}" for key in place)
