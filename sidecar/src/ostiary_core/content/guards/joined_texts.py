"""The texts of one message, joined for one search.

Neighbouring text blocks are one text; all others stay apart.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from ostiary_core.content.places import PLACES_AT_ONCE, PlaceKind, ReadablePlace
from ostiary_core.steps import Steps

#: Between texts that do not follow each other. No signature matches across it, nor does a decoding.
_APART: Final = "\n\x00\n"
#: Between text blocks of one list: an instruction may be spread over them.
_NEXT: Final = "\n"
#: A shorter text that prints as ASCII says nothing: keys, numbers, states.
_SHORTEST: Final = 8


class TextPart(NamedTuple):
    """A part of one place: the characters from ``start`` to ``end``."""

    place: ReadablePlace
    start: int
    end: int


class JoinedTexts:
    """The places of a message as one text, and which part of it is which place.

    ``places`` are those that can say something, in the order of the text.
    """

    __slots__ = ("_starts", "places", "text")

    def __init__(self, places: Sequence[ReadablePlace], starts: Sequence[int], text: str) -> None:
        self.places = places
        self._starts = starts
        self.text = text

    @classmethod
    def joining(cls, places: Iterable[ReadablePlace]) -> Steps["JoinedTexts"]:
        """Join the texts of places, in steps."""
        blocks: list[ReadablePlace] = []
        others: list[ReadablePlace] = []
        for count, place in enumerate(places, 1):
            if place.kind is not PlaceKind.NUMBER and _can_say_something(place):
                (blocks if _is_block(place) else others).append(place)
            if count % PLACES_AT_ONCE == 0:
                yield
        pieces: list[str] = []
        starts: list[int] = []
        length, before = 0, None
        for count, place in enumerate(blocks := [*blocks, *others], 1):
            gap = "" if before is None else _NEXT if _follow(before, place) else _APART
            starts.append(length + len(gap))
            pieces += (gap, place.text)
            length, before = starts[-1] + len(place.text), place
            if count % PLACES_AT_ONCE == 0:
                yield
        return cls(blocks, starts, "".join(pieces))

    def parts(self, start: int, end: int) -> Iterator[TextPart]:
        """Yield the parts of places that a span of the text covers."""
        index = max(bisect_right(self._starts, start) - 1, 0)
        while index < len(self.places) and self._starts[index] < end:
            place, offset = self.places[index], self._starts[index]
            first, last = max(start - offset, 0), min(end - offset, len(place.text))
            if first < last:
                yield TextPart(place, first, last)
            index += 1


def prose(places: Iterable[ReadablePlace]) -> Iterator[TextPart]:
    """Yield each text that a server returned as language, whole."""
    for place in places:
        if place.key == "text" and place.kind is PlaceKind.PROSE:
            yield TextPart(place, 0, len(place.text))


def _can_say_something(place: ReadablePlace) -> bool:
    text = place.text
    if place.is_protocol_word:
        return False
    return len(text) >= _SHORTEST or not text.isascii() or not text.isprintable()


def _is_block(place: ReadablePlace) -> bool:
    """Return whether a place is the text of one of several blocks."""
    return place.key == "text" and len(place.trail) > 1 and place.trail[-2] in ("content", "contents")


def _follow(one: ReadablePlace, other: ReadablePlace) -> bool:
    return _is_block(one) and _is_block(other) and one.trail[:-1] == other.trail[:-1]
