"""Find names in one catalogue that are made to be taken for another name in it.

Two names are look-alikes if they look the same (one skeleton, UTS #39), or if they differ in one character and their
descriptions say nearly the same. The same name twice is none, and neither are numbered names (`shard_1`, `shard_2`).
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from ostiary_core.content.guards.folding import fold, skeleton
from ostiary_core.steps import Steps

#: Characters of a name, and of a description, that are compared.
_NAME: Final = 128
_DESCRIPTION: Final = 2_000
_SHORTEST: Final = 3
#: The share of words that two descriptions have in common from which they say nearly the same.
_ALIKE: Final = 0.75
#: Fewer words than this are no description.
_FEWEST_WORDS: Final = 3
#: Names that one name is compared with: catalogues of a hostile server are as near as it likes.
_COMPARED: Final = 8
#: Names that are taken in one step.
_AT_ONCE: Final = 128
_WORD: Final = re.compile(r"\w+")
_DIGITS: Final = re.compile("[0-9]+")


class CatalogueName(NamedTuple):
    """A name in a catalogue, and what its server says about it."""

    name: str
    description: str


def finding_look_alikes(catalogue: Sequence[CatalogueName]) -> Steps[list[int]]:
    """Return the places of names that look like another one, in order.

    Of two that look the same, the one with letters of another script is meant, else the later one.
    """
    by_skeleton: dict[str, list[int]] = defaultdict(list)
    for place, each in enumerate(catalogue):
        by_skeleton[skeleton(each.name[:_NAME])].append(place)
        if place % _AT_ONCE == 0:
            yield
    found = {place for same in by_skeleton.values() for place in _pretenders(catalogue, same)}
    near = _NearNames(catalogue)
    for count, (shape, places) in enumerate(by_skeleton.items()):
        if near.is_near_another(shape, places[0]):
            found.add(places[0])
        if count % _AT_ONCE == 0:
            yield
    return sorted(found)


def _pretenders(catalogue: Sequence[CatalogueName], same: Sequence[int]) -> Iterator[int]:
    """Yield those of names with one skeleton that are not the first one spelled in ASCII."""
    names = {catalogue[place].name for place in same}
    if len(names) < 2:
        return
    original = next((catalogue[place].name for place in same if catalogue[place].name.isascii()), None)
    original = original or catalogue[same[0]].name
    for place in same:
        if catalogue[place].name != original:
            yield place


class _NearNames:
    """The names so far, by what is left of them without one character.

    Names that differ in one character share one of these.
    """

    def __init__(self, catalogue: Sequence[CatalogueName]) -> None:
        self._catalogue = catalogue
        self._known: dict[str, list[tuple[str, int]]] = defaultdict(list)
        self._words: dict[int, frozenset[str]] = {}

    def is_near_another(self, shape: str, place: int) -> bool:
        """Return whether an earlier name is near this one, and remember this one."""
        if len(shape) < _SHORTEST:
            return False
        is_near = False
        for left in {shape, *(shape[:index] + shape[index + 1 :] for index in range(len(shape)))}:
            known = self._known[left]
            is_near = is_near or any(self._are_alike(shape, place, *each) for each in known)
            if len(known) < _COMPARED:
                known.append((shape, place))
        return is_near

    def _are_alike(self, shape: str, place: int, other: str, known: int) -> bool:
        names = self._catalogue[place].name, self._catalogue[known].name
        if not _differ_in_one(shape, other) or _are_numbered(*names):
            return False
        one, two = self._words_of(place), self._words_of(known)
        return min(len(one), len(two)) >= _FEWEST_WORDS and len(one & two) >= _ALIKE * len(one | two)

    def _words_of(self, place: int) -> frozenset[str]:
        if place not in self._words:
            text = fold(self._catalogue[place].description[:_DESCRIPTION]).lower()
            self._words[place] = frozenset(_WORD.findall(text))
        return self._words[place]


def _differ_in_one(one: str, other: str) -> bool:
    """Return whether two names differ in one character, or in two that changed places."""
    pairs = zip(one, other, strict=False)
    start = next((place for place, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))
    rest, left = one[start:], other[start:]
    is_swapped = rest[:2] == left[1::-1] and rest[2:] == left[2:]
    return is_swapped or rest[1:] == left or rest == left[1:] or rest[1:] == left[1:]


def _are_numbered(one: str, other: str) -> bool:
    """Return whether two names are the same apart from their numbers."""
    return bool(_DIGITS.search(one)) and _DIGITS.sub("0", one) == _DIGITS.sub("0", other)
