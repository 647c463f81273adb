"""Describes the differences between two sets of objects.

A line names an object and its changed fields.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ostiary_operator.local.manifests import ManifestKey, ObjectManifest

_MAX_FIELDS = 4


def describe(before: Iterable[ObjectManifest], after: Iterable[ObjectManifest]) -> list[str]:
    """Return a line for each object that was added, removed or changed.

    It names fields, never values.
    """
    old, new = _by_key(before), _by_key(after)
    lines = []
    for key, renamed in _renamed(old, new).items():
        lines.append(f"{title(key)}: renamed to {renamed.name}")
        del old[key], new[renamed]
    for key in sorted(old.keys() | new.keys()):
        if key not in old:
            lines.append(f"{title(key)}: added")
        elif key not in new:
            lines.append(f"{title(key)}: removed")
        elif fields := list(_differences(old[key], new[key])):
            lines.append(f"{title(key)}: {_listing(fields)}")
    return lines


def _renamed(
    old: Mapping[ManifestKey, Mapping[str, Any]], new: Mapping[ManifestKey, Mapping[str, Any]]
) -> dict[ManifestKey, ManifestKey]:
    """Pair removed and added objects of one kind and namespace with equal, unique specs."""
    gone, come = sorted(old.keys() - new.keys()), sorted(new.keys() - old.keys())
    found = {}
    for key in gone:
        before = [each for each in gone if _alike(each, old[each], key, old[key])]
        after = [each for each in come if _alike(each, new[each], key, old[key])]
        if len(before) == len(after) == 1:
            found[key] = after[0]
    return found


def _alike(key: ManifestKey, value: Mapping[str, Any], other: ManifestKey, wanted: Mapping[str, Any]) -> bool:
    return (key.kind, key.namespace) == (other.kind, other.namespace) and value.get("spec") == wanted.get("spec")


def title(key: ManifestKey) -> str:
    """Return the name of an object as lines show it."""
    return f"{key.kind} {key.namespace}/{key.name}" if key.namespace else f"{key.kind} {key.name}"


def _by_key(manifests: Iterable[ObjectManifest]) -> dict[ManifestKey, Mapping[str, Any]]:
    return {manifest.key: manifest.value for manifest in manifests}


def _differences(old: Any, new: Any, path: str = "") -> Iterator[str]:
    """Yield the paths of the deepest fields that differ.

    Lists of different lengths differ as a whole.
    """
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in [*old, *(key for key in new if key not in old)]:
            yield from _differences(old.get(key), new.get(key), f"{path}.{key}" if path else str(key))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from _differences(one, other, f"{path}[{index}]")
    elif type(old) is not type(new) or old != new:
        yield path


def _listing(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - _MAX_FIELDS} more" if len(paths) > _MAX_FIELDS else ""
    return f"{', '.join(paths[:_MAX_FIELDS])}{more} changed"
