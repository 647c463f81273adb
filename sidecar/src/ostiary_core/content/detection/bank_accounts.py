"""IBANs: a country, its length, and check digits (ISO 13616, ISO 7064 mod 97-10)."""

import re
from collections.abc import Iterator
from typing import Final

from ostiary_core.content.detection.detector import Detector, Span, next_byte
from ostiary_core.content.detection.surroundings import is_continuation

#: The length of an account number by country, from the registry of SWIFT.
LENGTHS: Final = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BI": 27, "BR": 29,
    "BY": 28, "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DJ": 27, "DK": 18, "DO": 28, "EE": 20, "EG": 29,
    "ES": 24, "FI": 18, "FK": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28,
    "HN": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20,
    "LB": 28, "LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19,
    "MN": 20, "MR": 27, "MT": 31, "MU": 30, "NI": 28, "NL": 18, "NO": 15, "OM": 23, "PK": 24, "PL": 28, "PS": 29,
    "PT": 25, "QA": 29, "RO": 24, "RS": 22, "RU": 33, "SA": 24, "SC": 31, "SD": 18, "SE": 24, "SI": 19, "SK": 24,
    "SM": 27, "SO": 23, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
    "YE": 30,
}  # fmt: skip
_COUNTRY: Final = "|".join(LENGTHS)
_BETWEEN: Final = r"[ \x{a0}\x{2007}-\x{2011}\x{202f}]"
#: In capitals with gaps or without; in small letters, of which digests consist, too, and with hyphens in groups only.
_EXPRESSION: Final = (
    rf"(?:\b|_)(?:{_COUNTRY})[0-9]{{2}}(?:(?:-[A-Z0-9]{{4}}){{3}}|(?:{_BETWEEN}?[A-Z0-9]){{11}})|"
    rf"(?:\b|_)(?i:{_COUNTRY})[0-9]{{2}}(?: ?[A-Za-z0-9]){{11}}"
)
_SEPARATORS: Final = re.compile(rb"(?:[ -]|\xc2\xa0|\xe2\x80[\x87-\x91]|\xe2\x80\xaf)?")
_ALPHANUMERIC: Final = re.compile(rb"[A-Za-z0-9]")


def _verified(text: bytes, start: int, end: int) -> Iterator[Span]:  # noqa: ARG001  the country says where it ends
    start += text[start : start + 1] == b"_"
    if is_continuation(text, start):
        return
    length = LENGTHS[text[start : start + 2].decode().upper()]
    found = _characters(text, start, length)
    if found is not None and _checks(found[0]) and not text[found[1] : found[1] + 1].isalnum():
        yield start, found[1]


def _characters(text: bytes, start: int, length: int) -> tuple[str, int] | None:
    """Return so many letters and digits, and where they end; None where there are fewer."""
    found: list[bytes] = []
    place = start
    while len(found) < length:
        place = _SEPARATORS.match(text, place).end() if found else place  # type: ignore[union-attr]  # matches nothing
        character = _ALPHANUMERIC.match(text, place)
        if character is None:
            return None
        found.append(character[0])
        place = character.end()
    return b"".join(found).decode().upper(), place


def _checks(account: str) -> bool:
    moved = account[4:] + account[:4]
    return int("".join(str(int(each, 36)) for each in moved)) % 97 == 1


def _normal(text: str) -> str:
    return "".join(filter(str.isalnum, text)).upper()


IBAN: Final = Detector("IBAN", _EXPRESSION, _verified, _normal, resume=next_byte)
