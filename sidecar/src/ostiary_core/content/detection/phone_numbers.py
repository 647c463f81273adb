"""Phone numbers: in the form of E.164, or with a word next to them that says so.

Digits alone are no phone number: dates, ports, ids and amounts look the same.
"""

import re
from collections.abc import Iterator
from typing import Final

from ostiary_core.content.detection.detector import Detector, Span
from ostiary_core.content.detection.surroundings import continues, words

_BETWEEN: Final = r"[ ().\-/\x{a0}\x{2007}\x{2010}-\x{2013}\x{202f}]"
_MORE_DIGITS: Final = rf"{_BETWEEN}{{0,3}}[0-9]"
#: Words that say that a number is one, and those that say it only of a number with gaps.
_STRONG: Final = (
    r"phone", r"tel(?:e(?:phone|fono?|fonnummer))?\b", r"t[eé]l[eé]phone", r"tel[eé]fono", r"telefon", r"mobile?",
    r"móvil", r"fax", r"whats ?app", r"hotline", r"handy", r"rufnummer", r"cellulare", r"landline", r"msisdn", r"电话",
    r"手机", r"電話", r"тел",
)  # fmt: skip
_WEAK: Final = ("call", "cell", "sms", "dial", "reach", "contact", "ring")
_EXPRESSION: Final = (
    rf"\+ ?\(?[1-9](?:{_MORE_DIGITS}){{6}}|{words((*_STRONG, *_WEAK))}[^0-9+\n]{{0,32}}\+?[0-9](?:{_MORE_DIGITS}){{3}}"
)

_LIKE_NUMBER: Final = re.compile(
    rb"(?:\+ ?)?\(?[0-9](?:(?:[ ().\-/]|\xc2\xa0|\xe2\x80[\x87\x90-\x93\xaf]){0,3}[0-9]){6,18}"
)
_STRONG_WORD: Final = re.compile("|".join(_STRONG).encode(), re.IGNORECASE)
#: What may stand between the word and the number.
_FILLING: Final = re.compile(
    rb"(?i)(?:[\s\W\x80-\xff]|\b(?:phone|number|numbers|nummer|nr|no|num|is|at|me|us|them|on|line|home|work|"
    rb"office|mobile|cell|fax|support|to|the|your|my|our|their|back|under|via|by|or|and|am|a|s|direct|main|ext)\b)*\Z"
)
_MORE: Final = re.compile(rb"[\s,;/&]{1,3}(?:(?:or|and|oder|und)\s)?\s?")
_EXTENSION: Final = re.compile(rb"(?i)[ ,]{0,2}(?:x|ext\.?|extension)[ .]{0,2}[0-9]{1,6}\b")
_DATE: Final = re.compile(
    rb"(?:19|20)[0-9]{2}[-/.][01]?[0-9][-/.][0-3]?[0-9]|[0-3]?[0-9][-/.][01]?[0-9][-/.](?:19|20)[0-9]{2}"
)
_ADDRESS: Final = re.compile(rb"[0-9]{1,3}(?:\.[0-9]{1,3}){3}\Z")
_GAPS: Final = re.compile(rb"[0-9][^0-9]+(?=[0-9])")
#: Codes of countries of one and two digits, and the first two digits of those of three.
_CODE: Final = re.compile(
    "[17]|2[07]|3[0-469]|4[0134-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|2[1-69]|3[578]|42|5[09]|6[7-9]|8[0578]|9[679]"
)
#: The bytes of a number that follow those of its beginning.
_LONGEST: Final = 64
_NATIONAL_LENGTH: Final = 11
_FEWEST: Final = 7
_FEWEST_INTERNATIONAL: Final = 8
_MOST: Final = 15


def _verified(text: bytes, start: int, end: int) -> Iterator[Span]:
    number = _LIKE_NUMBER.search(text, start, end + _LONGEST)
    if number is None or number.start() >= end:
        return
    first = number.start()
    if text[first : first + 1] == b"+":
        if not text[first - 1 : first].isalnum() or first == 0:
            yield from _international(text, first, number.end())
    elif first > start and _is_called_so(text, start, first):
        yield from _national(text, start, first, number.end())


def _is_called_so(text: bytes, start: int, first: int) -> bool:
    """Return whether a whole word says so, with nothing but filling between."""
    is_part = text[start - 1 : start].isalpha() and text[start : start + 1].islower() and start > 0
    word = re.match(rb"(?i)[a-z\x80-\xff]+", text[start:first])
    return not is_part and word is not None and _FILLING.match(text[start + word.end() : first]) is not None


def _international(text: bytes, start: int, end: int) -> Iterator[Span]:
    spans = _cut(text, start, end, _MOST)
    digits = _digits(text[start:spans])
    if digits.startswith("1"):
        spans = _cut(text, start, end, _NATIONAL_LENGTH)
        digits = _digits(text[start:spans])
        if len(digits) != _NATIONAL_LENGTH or digits[1] < "2":
            return
    if _CODE.match(digits) and len(digits) >= _FEWEST_INTERNATIONAL and not continues(text, spans):
        yield start, _with_extension(text, spans)


def _national(text: bytes, word: int, start: int, end: int) -> Iterator[Span]:
    """Yield the numbers of a list that follows a word."""
    is_strong = _STRONG_WORD.match(text, word) is not None
    while True:
        end = _cut(text, start, end, _MOST)
        number = text[start:end]
        if len(_digits(number)) < _FEWEST or not _is_plausible(number, is_strong=is_strong) or continues(text, end):
            return
        end = _with_extension(text, end)
        yield start, end
        more = _MORE.match(text, end)
        following = _LIKE_NUMBER.match(text, more.end()) if more is not None else None
        if following is None:
            return
        start, end = following.span()


def _is_plausible(number: bytes, *, is_strong: bool) -> bool:
    if _DATE.match(number) or _ADDRESS.match(number):
        return False
    return is_strong or len(_GAPS.findall(number)) >= 2


def _cut(text: bytes, start: int, end: int, most: int) -> int:
    """Return where a number of at most so many digits ends: at a gap, if there are more."""
    digits, gap = 0, end
    for place in range(start, end):
        if text[place : place + 1].isdigit():
            digits += 1
            if digits > most:
                return gap
        elif digits and text[place - 1 : place].isdigit():
            gap = place
    return end


def _digits(number: bytes) -> str:
    return "".join(filter(str.isdigit, number.decode("utf-8", "ignore")))


def _with_extension(text: bytes, end: int) -> int:
    extension = _EXTENSION.match(text, end)
    return extension.end() if extension is not None else end


def _normal(text: str) -> str:
    return "".join(each for each in text if each.isdigit() or each == "+")


PHONE: Final = Detector("Phone", _EXPRESSION, _verified, _normal, near=(*_STRONG, *_WEAK))
