"""How a definition differs from the one that was approved, by field, in words for people.

Both are texts of a server, so what is shown is bounded, and characters that cannot be seen stand as code points.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from ostiary_core.definitions.definition_digest import definition_digest
from ostiary_core.definitions.visible_text import visible, visible_name

#: Differences of one definition, characters of a value on each side of a change, and of a path.
MOST_DIFFERENCES: Final = 16
_SHOWN: Final = 120
_AROUND: Final = 24
_LONGEST_PATH: Final = 256
_ABSENT: Final = object()
_DEPTH: Final = 32


class FieldDifference(NamedTuple):
    """One difference: the path of the member, such as ``inputSchema.properties.a``, and words."""

    path: str
    words: str

    def __str__(self) -> str:
        return f"{self.path}: {self.words}"


def differences(approved: Sequence[Mapping[str, Any]], seen: Mapping[str, Any]) -> list[FieldDifference]:
    """Return how a definition differs from the nearest one that is approved.

    At most 16 differences, and none where it is approved. ``approved`` holds at least one definition.
    """
    digest = definition_digest(seen)
    if digest is not None and any(definition_digest(each) == digest for each in approved):
        return []
    found = ([*_limited(_compared(each, seen, "", _DEPTH))] for each in approved)
    return min(found, key=len)


def _limited(found: Iterator[FieldDifference]) -> Iterator[FieldDifference]:
    for _, each in zip(range(MOST_DIFFERENCES), found, strict=False):
        yield each


def _compared(before: Any, after: Any, path: str, depth: int) -> Iterator[FieldDifference]:
    if isinstance(before, dict) and isinstance(after, dict) and depth:
        for key in [*before, *(key for key in after if key not in before)]:
            below = f"{path}.{visible_name(str(key))}" if path else visible_name(str(key))
            yield from _compared(before.get(key, _ABSENT), after.get(key, _ABSENT), below, depth - 1)
    elif isinstance(before, list) and isinstance(after, list) and depth:
        for place in range(max(len(before), len(after))):
            one = before[place] if place < len(before) else _ABSENT
            other = after[place] if place < len(after) else _ABSENT
            yield from _compared(one, other, f"{path}[{place}]", depth - 1)
    elif definition_digest([_plain(before)]) != definition_digest([_plain(after)]) or before is not after is _ABSENT:
        yield FieldDifference(path[:_LONGEST_PATH] or "the definition", _words(before, after))


def _plain(value: Any) -> Any:
    return ["absent"] if value is _ABSENT else value


def _words(before: Any, after: Any) -> str:
    if before is _ABSENT:
        return f"added {_shown(after)}"
    if after is _ABSENT:
        return f"removed, was {_shown(before)}"
    if isinstance(before, str) and isinstance(after, str):
        before, after = _around_change(before, after)
        return f"{_quoted(before)} became {_quoted(after)}"
    return f"{_shown(before)} became {_shown(after)}"


def _around_change(before: str, after: str) -> tuple[str, str]:
    """Return the parts of two texts around what differs."""
    shortest = min(len(before), len(after))
    start = next((place for place in range(shortest) if before[place] != after[place]), shortest)
    end = next(
        (place for place in range(shortest - start) if before[-1 - place] != after[-1 - place]), shortest - start
    )
    first = max(0, start - _AROUND)
    return _cut(before, first, len(before) - end), _cut(after, first, len(after) - end)


def _cut(text: str, first: int, last: int) -> str:
    last = min(len(text), last + _AROUND, first + _SHOWN)
    return f"{'…' if first else ''}{text[first:last]}{'…' if last < len(text) else ''}"


def _quoted(text: str) -> str:
    return '"' + visible(text).replace("\n", "\\n").replace("\t", "\\t") + '"'


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return _quoted(_cut(value, 0, _SHOWN))
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        return "a value that cannot be shown"
    return visible(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")
