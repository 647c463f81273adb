"""The changes of one message: values that are replaced or removed, items that are withheld.

They are made together at the end, so that no change moves what another one is about.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from ostiary_core.content.masks.replacements import stars
from ostiary_core.content.places import PlaceKind, ReadablePlace, Trail
from ostiary_core.steps import Steps

_STRUCTURED: Final = "structuredContent"
#: In place of a value that is removed, until the list that holds it is rebuilt.
_GONE: Final = object()
#: Changes that are made in one step.
_AT_ONCE: Final = 256


@dataclass(frozen=True, slots=True)
class Replaced:
    """A value below ``structuredContent`` that was replaced: what to try to keep it valid.

    ``trail`` leads to it from the root of the message; ``masked`` stands there now. ``same_length`` is a text of the
    length of the value. A member that was removed has None for both.
    """

    trail: Trail
    masked: Any
    same_length: str | None


class MessageChanges:
    """Collects changes, then makes them. A member without a text is removed."""

    def __init__(self) -> None:
        self._texts: list[tuple[ReadablePlace, str | None]] = []
        self._withheld: list[Trail] = []
        self._lists: list[list[Any]] = []

    def __bool__(self) -> bool:
        return bool(self._texts or self._withheld)

    def replace(self, place: ReadablePlace, text: str | None) -> None:
        """Put a text at a place, or remove the value."""
        self._texts.append((place, text))

    def withhold(self, trail: Trail) -> None:
        """Remove the item of a list that a trail leads to."""
        self._withheld.append(trail)

    def making(self, root: Any) -> Steps[tuple[Replaced, ...]]:
        """Make all changes below ``root``, where trails begin, in steps.

        Returns those of structured content.
        """
        withheld = [_led(root, trail) for trail in self._withheld]
        # Keys come last: until they are renamed, other places are found under them.
        self._texts.sort(key=lambda each: each[0].kind is PlaceKind.KEY)
        for count, (place, text) in enumerate(self._texts, 1):
            if count % _AT_ONCE == 0:
                yield
            if text is None:
                self._remove(place.holder, place.key)
            else:
                place.put(text)
        yield
        for holder, index in withheld:
            self._remove(holder, index)
        for items in self._lists:
            items[:] = [item for item in items if item is not _GONE]
        return tuple(_replaced(place, text) for place, text in self._texts if _STRUCTURED in place.trail[:2])

    def _remove(self, holder: Any, key: Any) -> None:
        if type(holder) is list:
            holder[key] = _GONE
            self._lists.append(holder)
        else:
            holder.pop(key, None)


def _led(root: Any, trail: Sequence[str | int]) -> tuple[Any, Any]:
    """Return what holds the value at the end of a trail, and its key there."""
    for key in trail[:-1]:
        root = root[key]
    return root, trail[-1]


def _replaced(place: ReadablePlace, text: str | None) -> Replaced:
    return Replaced(place.full_trail, text, None if text is None else stars(place.text))
