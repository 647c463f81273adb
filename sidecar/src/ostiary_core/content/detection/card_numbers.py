"""Payment cards: digits in the groups of one, an issuer's beginning and length, a Luhn sum."""

import re
from collections.abc import Iterator
from typing import Final

from ostiary_core.content.detection.detector import Detector, Span

#: What may stand between two digits: a space of any width, a hyphen or dash, or an invisible character.
_BETWEEN: Final = r"[ \-\x{a0}\x{ad}\x{2007}-\x{2015}\x{202f}\x{2060}\x{feff}]"
_FOUR: Final = rf"[0-9]{{3}}{_BETWEEN}"
#: Words that may stand directly before the number.
_WORDS: Final = "card|visa|amex|master|pan|cc|number|nr|no"
#: The beginning of a card, as printed or without a gap.
_EXPRESSION: Final = (
    rf"(?:\b|_|(?i:{_WORDS}))[2-689]"
    rf"(?:[0-9]{{12}}|{_FOUR}[0-9]{{4}}{_BETWEEN}[0-9]{{4}}|{_FOUR}[0-9]{{6}}{_BETWEEN}[0-9]{{4}})"
)

_RUN: Final = re.compile(
    rb"[0-9]{1,20}(?:(?:[ -]|\xc2[\xa0\xad]|\xe2\x80[\x87-\x95\xaf]|\xe2\x81\xa0|\xef\xbb\xbf)[0-9]{1,20}){0,4}"
)
_GROUP: Final = re.compile(rb"[0-9]+")
_SHORTEST: Final = 13
#: The bytes from the beginning of a candidate to the end of a card.
_REACH: Final = 48
_LONGEST: Final = 19
#: How cards are printed, besides without a gap.
_LAYOUTS: Final = frozenset({(4, 4, 4, 4), (4, 6, 5), (4, 6, 4), (4, 4, 4, 4, 3), (4, 4, 4, 4, 2), (4, 4, 5), (6, 13)})
#: The first and last beginning of an issuer's cards, and their lengths.
_ISSUERS: Final = (
    ("Visa", "4", "4", (16, 19)),
    ("Mastercard", "51", "55", (16,)),
    ("Mastercard", "2221", "2720", (16,)),
    ("American Express", "34", "34", (15,)),
    ("American Express", "37", "37", (15,)),
    ("Discover", "6011", "6011", (16, 17, 18, 19)),
    ("Discover", "644", "659", (16, 17, 18, 19)),
    ("RuPay", "508", "508", (16,)),
    ("RuPay", "606", "608", (16,)),
    ("JCB", "35", "35", (16, 17, 18, 19)),
    ("Diners Club", "300", "305", (14, 16, 19)),
    ("Diners Club", "3095", "3095", (14, 16, 19)),
    ("Diners Club", "36", "36", (14, 15, 16, 17, 18, 19)),
    ("Diners Club", "38", "39", (14, 16, 17, 18, 19)),
    ("UnionPay", "62", "62", (16, 17, 18, 19)),
    ("UnionPay", "81", "82", (16, 17, 18, 19)),
    ("Mir", "2200", "2204", (16, 17, 18, 19)),
    ("Troy", "9792", "9792", (16,)),
    ("Maestro", "5018", "5018", (13, 14, 15, 16, 17, 18, 19)),
    ("Maestro", "5020", "5020", (13, 14, 15, 16, 17, 18, 19)),
    ("Maestro", "5038", "5038", (13, 14, 15, 16, 17, 18, 19)),
    ("Maestro", "5893", "5893", (13, 14, 15, 16, 17, 18, 19)),
    ("Maestro", "6304", "6304", (13, 14, 15, 16, 17, 18, 19)),
    ("Maestro", "6759", "6763", (13, 14, 15, 16, 17, 18, 19)),
)
_DOUBLING: Final = bytes.maketrans(b"0123456789", b"0246813579")


def _verified(text: bytes, start: int, end: int) -> Iterator[Span]:
    """Yield the card that begins at ``start``: a group of digits, or neighbouring groups."""
    run = _RUN.search(text, start, start + _REACH)
    if run is None:
        return
    start = run.start()
    digits, layout = b"", []
    for group in _GROUP.finditer(text, *run.span()):
        end = group.end()
        digits += group[0]
        layout.append(len(group[0]))
        if len(digits) > _LONGEST:
            return
        is_laid_out = len(layout) == 1 or tuple(layout) in _LAYOUTS
        if is_laid_out and _is_card(digits) and _stands_alone(text, start, end):
            yield start, end
            return


def _is_card(digits: bytes) -> bool:
    return len(digits) >= _SHORTEST and _has_issuer(digits.decode()) and luhn(digits)


def _has_issuer(digits: str) -> bool:
    return any(first <= digits[: len(first)] <= last and len(digits) in lengths for _, first, last, lengths in _ISSUERS)


def luhn(digits: bytes) -> bool:
    """Return whether the last digit is the check digit of the others (ISO/IEC 7812-1)."""
    doubled = digits[-2::-2].translate(_DOUBLING)
    return (sum(digits[-1::-2]) + sum(doubled) - 48 * len(digits)) % 10 == 0


_BEFORE: Final = re.compile(rf"(?i)(?:{_WORDS})\Z".encode())


def _stands_alone(text: bytes, start: int, end: int) -> bool:
    """Return whether no letter or digit continues the number, as in a digest or a decimal."""
    if end < len(text) and (text[end : end + 1].isalnum() or _is_decimal(text[end : end + 2])):
        return False
    before = text[max(0, start - 12) : start]
    if not before:
        return True
    if before[-1:].isdigit() or (before[-1:] == b"." and before[-2:-1].isdigit()):
        return False
    return not before[-1:].isalpha() or _BEFORE.search(before) is not None


def _is_decimal(following: bytes) -> bool:
    return following[:1] == b"." and following[1:].isdigit()


def _behind_digits(text: bytes, start: int, end: int) -> int:
    """Go on behind the first group of digits: what begins within it does not stand alone."""
    group = _GROUP.search(text, start, end)
    return group.end() if group is not None else end


def _normal(text: str) -> str:
    return "".join(filter(str.isdigit, text))


CARD_NUMBER: Final = Detector("CardNumber", _EXPRESSION, _verified, _normal, resume=_behind_digits)
