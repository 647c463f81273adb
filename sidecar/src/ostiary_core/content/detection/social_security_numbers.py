"""Social security numbers of the United States, of areas that exist (SSA, high group list)."""

import re
from collections.abc import Iterator
from typing import Final

from ostiary_core.content.detection.detector import Detector, Span
from ostiary_core.content.detection.surroundings import before, stands_alone, words

_BETWEEN: Final = r"[ \-\x{a0}\x{2010}-\x{2013}]"
#: Words that say what nine digits without a gap are.
_WORDS: Final = (r"\bssn", r"social[ _-]?security", r"\bss ?#")
_NINE: Final = rf"{words(('ssn', 'social[ _-]?security', 'ss ?#'))}[^0-9]{{0,24}}[0-9]{{9}}"
_EXPRESSION: Final = rf"[0-9]{{3}}{_BETWEEN}[0-9]{{2}}{_BETWEEN}[0-9]{{4}}|{_NINE}"
_NUMBER: Final = re.compile(rb"([0-9]{3})([^0-9]{0,3})([0-9]{2})([^0-9]{0,3})([0-9]{4})\Z")
#: Numbers of advertisements, which belong to no person.
_PRINTED: Final = frozenset({b"078051120", b"219099999"})


def _verified(text: bytes, start: int, end: int) -> Iterator[Span]:
    number = _NUMBER.search(text, start, end)
    if number is None or number[2] != number[4] or not stands_alone(text, number.start(), end):
        return
    area, group, serial = number[1], number[3], number[5]
    if area in (b"000", b"666") or area >= b"900" or group == b"00" or serial == b"0000":
        return
    if area + group + serial not in _PRINTED and not _goes_on(text, number.start(), end):
        yield number.start(), end


def _goes_on(text: bytes, start: int, end: int) -> bool:
    """Return whether it is a part of a longer number with hyphens."""
    after = text[end : end + 2]
    return (before(text, start, most=2)[-2:-1].isdigit() and text[start - 1 : start] == b"-") or (
        after[:1] == b"-" and after[1:].isdigit()
    )


def _normal(text: str) -> str:
    return "".join(filter(str.isdigit, text))


US_SSN: Final = Detector("USSSN", _EXPRESSION, _verified, _normal, near=_WORDS)
