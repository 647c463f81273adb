"""The fields of an object in server-side apply: paths to leaves, list-map items by key.

Only the in-memory cluster uses this; a real API server does it itself.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

Path: TypeAlias = tuple[str, ...]

#: Lists that merge by key. Every other list is one leaf.
_LIST_MAPS: Final = {"conditions": "type", "ownerReferences": "uid"}
_IDENTITY: Final = {"name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "managedFields"}


def leaves(body: Mapping[str, Any], *, root: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield path and value of every field that a field manager can own."""
    for key, value in body.items():
        path = (*root, key)
        if path in {("apiVersion",), ("kind",)} or (root == ("metadata",) and key in _IDENTITY):
            continue
        if isinstance(value, Mapping) and (value or path == ("metadata",)):
            yield from leaves(value, root=path)
        elif isinstance(value, list) and key in _LIST_MAPS:
            for item in value:
                yield (*path, item[_LIST_MAPS[key]]), item
        else:
            yield path, value


def read(obj: Mapping[str, Any], path: Path) -> Any:
    """Return the value at a path, or None."""
    *parents, last = path
    here: Any = obj
    for step in parents:
        if not isinstance(here, Mapping):
            return next((item for item in here or () if item[_LIST_MAPS[parents[-1]]] == last), None)
        here = here.get(step)
        if here is None:
            return None
    if isinstance(here, list):
        return next((item for item in here if item[_LIST_MAPS[parents[-1]]] == last), None)
    return here.get(last) if isinstance(here, Mapping) else None


def write(obj: dict[str, Any], path: Path, value: Any) -> None:
    """Set the value at a path, and create its parents."""
    *parents, last = path
    here: Any = obj
    for depth, step in enumerate(parents):
        is_list = step in _LIST_MAPS and depth == len(parents) - 1
        here = here.setdefault(step, [] if is_list else {})
    if isinstance(here, list):
        key = _LIST_MAPS[parents[-1]]
        kept = [item for item in here if item[key] != last]
        position = next((index for index, item in enumerate(here) if item[key] == last), len(kept))
        here[:] = [*kept[:position], value, *kept[position:]]
    else:
        here[last] = value


def remove(obj: dict[str, Any], path: Path) -> None:
    """Remove the value at a path, and its parent if that is empty then."""
    *parents, last = path
    trail: list[Any] = [obj]
    for step in parents:
        trail.append(trail[-1].get(step) if isinstance(trail[-1], dict) else None)
    here = trail[-1]
    if isinstance(here, list):
        here[:] = [item for item in here if item[_LIST_MAPS[parents[-1]]] != last]
    elif isinstance(here, dict):
        here.pop(last, None)
    if not here and parents and parents != ["metadata"]:
        trail[-2].pop(parents[-1], None)
