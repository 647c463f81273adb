r"""Look once through the encodings in which a text hides another one.

They are base64, hexadecimal and binary text, percent, ``\u`` and HTML escapes, spaced letters, and digits for letters.

What decodes to nothing readable stays as it is, so digests, identifiers and images are no text. What was decoded is not
decoded again: a second layer of encoding is no instruction that a model reads by itself.
"""

import base64
import binascii
import html
import re
from bisect import bisect_right
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import re2

from ostiary_core.openapi import percent_encoding
from ostiary_core.policy.name_matcher import re2_options

_LEET: Final = r"[A-Za-z0-9]*(?:[A-Za-z][013457]|[013457][A-Za-z])[A-Za-z0-9]*"
_FORMS: Final = {
    "binary": r"(?:[01]{8}\s?){8,}",
    "hex": r"(?:[0-9A-Fa-f]{2}[ :]?){16,}",
    "base64": r"[A-Za-z0-9+/_-]{20,}={0,2}",
    "percent": r"(?:%[0-9A-Fa-f]{2})+",
    "escape": r"(?:\\u[0-9A-Fa-f]{4}|\\x[0-9A-Fa-f]{2}|\\u\{[0-9A-Fa-f]{1,6}\})+",
    "entity": r"(?:&#[0-9]{1,7};|&#[xX][0-9A-Fa-f]{1,6};|&(?:lt|gt|amp|quot|nbsp|apos);)+",
    "leet": rf"(?:{_LEET}[ ,.]{{1,2}}){{3,}}",
    "spaced": r"\b[A-Za-z](?:[ ._-][A-Za-z]){3,}\b",
}
_FORM: Final = re.compile("|".join(f"(?P<{name}>{pattern})" for name, pattern in _FORMS.items()))
_ANY: Final = re2.compile("|".join(_FORMS.values()), re2_options(memory=8 << 20))
_ESCAPED: Final = re.compile(r"\\(?:u\{([0-9A-Fa-f]{1,6})\}|u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2}))")
#: Characters that put a text in order, and those that are read and not seen.
_LAYOUT: Final = str.maketrans(dict.fromkeys("\n\r\t", " "))
_TAGS: Final = frozenset(map(chr, range(0xE0020, 0xE007F)))
#: The share of letters and spaces from which bytes are text.
_READABLE: Final = 0.85
_LAST: Final = 0x10FFFF
#: Between the lines of one base64 text, as mail and `base64` write it.
_LINE_BREAKS: Final = ("\n", "\r\n")


class Decoded(NamedTuple):
    """A text with its encoded parts decoded, and where each piece of it was."""

    text: str
    #: Where pieces start in ``text``; those that were decoded and those that were not take turns.
    starts: tuple[int, ...]
    #: The place of each of these pieces in the original, and the end of the original.
    origins: tuple[int, ...]
    are_decoded: tuple[bool, ...]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return the span of the original that covers a span of the decoded text.

        An encoded piece is one whole.
        """
        first, last = bisect_right(self.starts, start) - 1, bisect_right(self.starts, max(start, end - 1)) - 1
        begin = self.origins[first] + (0 if self.are_decoded[first] else start - self.starts[first])
        if self.are_decoded[last]:
            return begin, self.origins[last + 1]
        return begin, self.origins[last] + end - self.starts[last]


def decoded(text: str) -> Decoded | None:
    """Return a text with everything in it decoded once that is encoded; None where nothing is."""
    if not _ANY.search(text):
        return None
    pieces: list[tuple[str, int, bool]] = []
    place, line = 0, -1
    for match in _FORM.finditer(text):
        plain = _DECODERS[str(match.lastgroup)](match[0])
        if plain is None or plain == match[0]:
            continue
        between = text[place : match.start()]
        if between and not (line == place and match.lastgroup == "base64" and between in _LINE_BREAKS):
            pieces.append((between, place, False))
        pieces.append((plain, match.start(), True))
        place = match.end()
        line = place if match.lastgroup == "base64" and match[0][-1] != "=" else -1
    if not pieces:
        return None
    return _joined([*pieces, (text[place:], place, False)], len(text))


def _joined(pieces: list[tuple[str, int, bool]], length: int) -> Decoded:
    starts, place = [], 0
    for piece, _, _ in pieces:
        starts.append(place)
        place += len(piece)
    origins = (*(origin for _, origin, _ in pieces), length)
    return Decoded("".join(piece for piece, _, _ in pieces), tuple(starts), origins, tuple(each[2] for each in pieces))


def _readable(data: bytes) -> str | None:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    if not text:
        return None
    if text.isascii() and text.translate(_LAYOUT).isprintable():
        return text
    plain = sum(character.isalpha() or character in " \n.,'" or character in _TAGS for character in text)
    return text if plain >= _READABLE * len(text) else None


def _from_base64(text: str) -> str | None:
    body = text.rstrip("=").translate(_URL_SAFE)
    try:
        return _readable(base64.b64decode(body[: len(body) - (len(body) % 4 == 1)] + "=" * (-len(body) % 4)))
    except (binascii.Error, ValueError):
        return None


def _from_hex(text: str) -> str | None:
    try:
        return _readable(bytes.fromhex(text.replace(":", " ")))
    except ValueError:
        return None


def _from_binary(text: str) -> str | None:
    bits = "".join(text.split())
    return _readable(int(bits, 2).to_bytes(len(bits) // 8))


def _from_escapes(text: str) -> str | None:
    return _ESCAPED.sub(lambda match: _character(int(match[1] or match[2] or match[3], 16)), text)


def _character(code: int) -> str:
    return chr(code) if code <= _LAST and not 0xD800 <= code <= 0xDFFF else " "


def _without_spaces(text: str) -> str | None:
    return text[::2]


_LEET_LETTERS: Final = str.maketrans("013457", "oieast")
_URL_SAFE: Final = str.maketrans("-_", "+/")
_DECODERS: Final[Mapping[str, Callable[[str], str | None]]] = {
    "base64": _from_base64,
    "hex": _from_hex,
    "binary": _from_binary,
    "percent": percent_encoding.decode,
    "escape": _from_escapes,
    "entity": html.unescape,
    "leet": lambda text: text.translate(_LEET_LETTERS),
    "spaced": _without_spaces,
}
