"""Fold text to what a reader takes it for, so that a look-alike letter hides no word.

Each character is folded on its own: compatibility forms are decomposed (NFKD), marks and characters of no width are
left out, look-alikes of other scripts become ASCII, and so do tag characters. So a text may be folded in pieces, and a
place in folded text has one place in the original. Patterns for folded text need no accents, and compare without case.
"""

import unicodedata
from collections.abc import Sequence
from typing import Final

from ostiary_core.content.guards.look_alike_letters import LOOK_ALIKES

_ASCII: Final = {ord(each): letter for letter, alike in LOOK_ALIKES.items() for each in alike}
#: Letters that show nothing: the fillers of Hangul.
_FILLERS: Final = frozenset(map(chr, (0x115F, 0x1160, 0x3164, 0xFFA0)))
_NO_WIDTH: Final = frozenset({"Mn", "Me", "Cf"})
_TAGS: Final = range(0xE0020, 0xE007F)
_TAG_BASE: Final = 0xE0000
#: The number of characters whose folding is kept; text of any language has fewer.
_KEPT: Final = 1 << 15


def _folded(code: int) -> str:
    if code in _ASCII:
        return _ASCII[code]
    if code in _TAGS:
        return chr(code - _TAG_BASE)
    parts = unicodedata.normalize("NFKD", chr(code))
    return "".join(_ASCII.get(ord(part), part) for part in parts if not _is_invisible(part))


def _is_invisible(character: str) -> bool:
    return unicodedata.category(character) in _NO_WIDTH or character in _FILLERS


class _Foldings(dict[int, str]):
    """What each character is folded to, computed when it is first seen, and bounded."""

    def __missing__(self, code: int) -> str:
        folded = _folded(code)
        if len(self) < _KEPT:
            self[code] = folded
        return folded


_FOLDINGS: Final = _Foldings({code: chr(code) for code in range(0x80)})


def fold(text: str) -> str:
    """Return a text as a reader sees it, in ASCII where its characters look so, with its case."""
    return text if text.isascii() else text.translate(_FOLDINGS)


def folded_places(text: str) -> Sequence[int]:
    """Return the place in ``text`` of each character of its folded form, and its length."""
    if text.isascii():
        return range(len(text) + 1)
    places = [place for place, character in enumerate(text) for _ in _FOLDINGS[ord(character)]]
    return [*places, len(text)]


def skeleton(name: str) -> str:
    """Return what all names have in common that look like this one.

    It is folded, without case, with 1 and I as l and 0 as o.
    """
    return fold(name).lower().translate(_SAME_SHAPE).replace("rn", "m").replace("vv", "w")


_SAME_SHAPE: Final = str.maketrans({"1": "l", "i": "l", "|": "l", "0": "o", "-": "_", " ": "_", ".": "_"})
