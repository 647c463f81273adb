"""Masks of what is written down: audit records, spans, captured exchanges, lines of logs.

All masks of a proxy apply, for every caller and name, and in both directions: a record may be about a name that was
refused, and its readers are others than the caller. What is shown is bounded, so a walk costs what it shows, not what
was sent.
"""

from collections.abc import Iterable
from typing import Any, Final

from ostiary_core.content.masks.mask_set import MaskSet
from ostiary_core.content.policy_content import PolicyContentRules

#: A value is copied this far behind what is shown of it, so that what begins there is still recognised, in characters.
_BEYOND: Final = 4096
_MOST_DEPTH: Final = 64
#: Short texts that are known to hold nothing, as the names of tools, and the characters of one.
_KEPT: Final = 1024
_SHORT: Final = 128


class RecordMasks:
    """The masks of one proxy, for its records. Safe to use in several threads."""

    def __init__(self, masks: MaskSet) -> None:
        self._masks = masks
        #: Each call writes down the same names several times. What masks change is not kept.
        self._plain: set[str] = set()

    @classmethod
    def build(cls, contents: Iterable[PolicyContentRules | None]) -> "RecordMasks | None":
        """Join the masks of the policies of a proxy; None where they have none.

        Raises:
            PatternError: the patterns together are too large.
        """
        masks = tuple(mask for content in contents if content is not None for mask in content.masks)
        return cls(MaskSet(PolicyContentRules(masks=masks))) if masks else None

    def text(self, text: str, *, limit: int) -> str:
        """Return at most ``limit`` characters of a text."""
        if len(text) <= min(limit, _SHORT):
            return self._short(text)
        if len(text) <= limit:
            return self._masks.text(text)
        return _without_end(self._masks.text(text[: limit + _BEYOND]))[:limit]

    def _short(self, text: str) -> str:
        if text in self._plain:
            return text
        shown = self._masks.text(text)
        if shown == text:
            if len(self._plain) >= _KEPT:
                self._plain.clear()
            self._plain.add(text)
        return shown

    def value(self, value: Any, *, limit: int) -> tuple[Any, bool]:
        """Return a copy of a JSON value as records show it, and whether something is left out.

        The copy holds about ``limit`` characters; the value itself is not changed.
        """
        walk = _Copying(limit + _BEYOND)
        root = walk.array([value], 0)
        root[0] = self._masks.value(root[0])
        if walk.cut_at is not None:
            holder, key = walk.cut_at
            text = holder.get(key) if type(holder) is dict else holder[key]
            if type(text) is str:
                holder[key] = _without_end(text)
        return root[0], walk.is_cut


def _without_end(text: str) -> str:
    """Return a masked text without its end, where a value may have been cut in two."""
    return text[: max(0, len(text) - _BEYOND)]


class _Copying:
    """Copies one value until its characters are used up."""

    def __init__(self, limit: int) -> None:
        self._left = limit
        self.is_cut = False
        #: Holder and key of the text that was cut.
        self.cut_at: tuple[Any, Any] | None = None

    def array(self, items: list[Any], depth: int) -> list[Any]:
        """Copy a list."""
        found: list[Any] = []
        for item in items:
            if not self._has_room(depth):
                break
            found.append(None)
            found[-1] = self._copy(item, found, len(found) - 1, depth)
        return found

    def _object(self, members: dict[str, Any], depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, item in members.items():
            if not self._has_room(depth):
                break
            if len(key) > self._left:
                self.is_cut = True
                break
            self._left -= len(key) + 4
            found[key] = self._copy(item, found, key, depth)
        return found

    def _has_room(self, depth: int) -> bool:
        self.is_cut |= self._left <= 0 or depth > _MOST_DEPTH
        return self._left > 0 and depth <= _MOST_DEPTH

    def _copy(self, value: Any, holder: Any, key: Any, depth: int) -> Any:
        kind = type(value)
        if kind is dict:
            return self._object(value, depth + 1)
        if kind is list:
            return self.array(value, depth + 1)
        self._left -= len(value) + 2 if kind is str else 8
        if kind is str and self._left < 0:
            self.is_cut, self.cut_at = True, (holder, key)
            return value[: self._left]
        return value
