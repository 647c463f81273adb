"""The places that masks name by a JSON Pointer, found in a message."""

from collections.abc import Iterator, Sequence
from typing import Any, Final, TypeAlias

#: An object or list, and the key or index of the value in it.
Spot: TypeAlias = tuple[Any, Any]

_EVERY: Final = "*"
#: More spots of one field are not needed: a message with more values is refused before.
_MOST: Final = 1 << 20


def spots_of(root: Any, path: Sequence[str]) -> Iterator[Spot]:
    """Yield each place that a path of keys leads to; ``*`` stands for every member or item."""
    if not path:
        return
    key, rest = path[0], path[1:]
    for name in _names(root, key):
        if rest:
            yield from spots_of(root[name], rest)
        else:
            yield root, name


def _names(node: Any, key: str) -> Iterator[Any]:
    kind = type(node)
    if kind is dict:
        if key == _EVERY:
            yield from node
        elif key in node:
            yield key
    elif kind is list:
        if key == _EVERY:
            yield from range(len(node))
        elif key.isdecimal() and len(key) < 10 and int(key) < len(node):
            yield int(key)


def scalars_under(spot: Spot) -> Iterator[Spot]:
    """Yield the places of all strings, numbers and booleans at and below a place."""
    stack = [spot]
    while stack:
        holder, key = stack.pop()
        value = holder[key]
        if type(value) is dict:
            stack += [(value, name) for name in value]
        elif type(value) is list:
            stack += [(value, index) for index in range(len(value))]
        elif value is not None:
            yield holder, key
