"""Text blocks that follow each other, which are one text to a reader.

A value may begin in one block and end in the next.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from ostiary_core.content.places import PLACES_AT_ONCE, PlaceKind, ReadablePlace
from ostiary_core.steps import Steps

#: The characters on each side of the join of two blocks that are searched: no card, address or number is longer.
REACH: Final = 128
#: The same where there are few joins, so that a long key or token is seen as well: a search costs what it reads.
_LONG_REACH: Final = 2048
_FEW_BLOCKS: Final = 32


class BlockJoin(NamedTuple):
    """The text around the join of two blocks; ``start`` is its place in the whole run."""

    text: str
    start: int
    join: int


class BlockPart(NamedTuple):
    """The part of a value that stands in one block: characters of the block, and of the value."""

    place: ReadablePlace
    start: int
    end: int
    first: int


class BlockRun:
    """Text blocks of one list that follow each other."""

    __slots__ = ("_starts", "_text", "places")

    def __init__(self, places: list[ReadablePlace]) -> None:
        self.places = places
        self._text = "".join(place.text for place in places)
        self._starts: list[int] = []
        length = 0
        for place in places:
            self._starts.append(length)
            length += len(place.text)

    def joins(self) -> Iterator[BlockJoin]:
        """Yield the text around each place where two blocks meet."""
        reach = _LONG_REACH if len(self.places) <= _FEW_BLOCKS else REACH
        for join in self._starts[1:]:
            start = max(0, join - reach)
            yield BlockJoin(self._text[start : join + reach], start, join)

    def parts(self, start: int, end: int) -> Iterator[BlockPart]:
        """Yield the parts of the blocks that a span of the whole run covers."""
        index = bisect_right(self._starts, start) - 1
        while index < len(self.places) and self._starts[index] < end:
            offset, place = self._starts[index], self.places[index]
            first, last = max(start, offset), min(end, offset + len(place.text))
            if first < last:
                yield BlockPart(place, first - offset, last - offset, first - start)
            index += 1


def runs_of(places: Iterable[ReadablePlace]) -> Steps[list[BlockRun]]:
    """Return the runs of at least two text blocks among the places of a message, in steps."""
    lists: dict[tuple[Any, ...], dict[int, ReadablePlace]] = defaultdict(dict)
    for count, place in enumerate(places, 1):
        if count % PLACES_AT_ONCE == 0:
            yield
        if place.key == "text" and place.kind is PlaceKind.PROSE:
            index = _index_of(place)
            if index is not None:
                lists[place.trail[:index]][place.trail[index]] = place  # type: ignore[index]  # an index of a list
    return [BlockRun(run) for blocks in lists.values() if len(blocks) > 1 for run in _consecutive(blocks)]


def _index_of(place: ReadablePlace) -> int | None:
    """Return where in its trail the index of the block is, or of the message that holds it."""
    trail = place.trail
    for index in (len(trail) - 1, len(trail) - 2):
        if index > 0 and type(trail[index]) is int and trail[index + 1 :] in ((), ("content",), ("resource",)):
            return index
    return None


def _consecutive(blocks: dict[int, ReadablePlace]) -> Iterator[list[ReadablePlace]]:
    run: list[ReadablePlace] = []
    before = -2
    for index in sorted(blocks):
        if index != before + 1 and len(run) > 1:
            yield run
        if index == before + 1:
            run.append(blocks[index])
        else:
            run = [blocks[index]]
        before = index
    if len(run) > 1:
        yield run
