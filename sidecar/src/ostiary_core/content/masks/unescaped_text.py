"""Texts as their readers see them: without escapes and what does not print.

JSON with words before it, with two members of one name or cut off is no JSON to a parser, and a URI is decoded by the
server that gets it. A zero-width space splits a number only for a program, and a thin space is a space to a reader.
For one more search escapes are undone, what does not print is left out, and each space or dash is that of ASCII. What
is found is replaced where it stands, with all that hid it.
"""

import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Final, NamedTuple

from ostiary_core.policy.name_matcher import compile_expression
from ostiary_core.steps import Steps, freeing, run_steps

#: Controls, and what Unicode means to be ignored where it cannot be shown.
_UNSEEN: Final = (
    "\\x00-\\x08\\x0e-\\x1f\\x7f-\\x84\\x86-\\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff"
)
_SPACES: Final = "\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u2800\u3000"
_DASHES: Final = (
    "\u058a\u05be\u1400\u1806\u2010-\u2015\u2043\u207b\u208b\u2212\u2e17\u2e1a\u2e3a\u2e3b\u301c\u3030\ufe31\ufe32"
    "\ufe58\ufe63\uff0d"
)
_ODD: Final = rf"(?P<unseen>[{_UNSEEN}]+)|(?P<space> ?[{_SPACES}](?:[{_UNSEEN}]*[{_SPACES} ])*)|(?P<dash>[{_DASHES}])"
#: Escapes of JSON, however often they were escaped again, with what stands for a character.
_OF_JSON: Final = re.compile(
    r"\\+u(?P<high>[dD][89abAB][0-9a-fA-F]{2})\\+u(?P<low>[dD][c-fC-F][0-9a-fA-F]{2})|"
    rf"\\+(?:u(?P<code>[0-9a-fA-F]{{4}})|(?P<letter>[bfnrt\"/]))|(?P<backslash>\\{{2,}})|{_ODD}"
)
#: The commonest of what does not print, as URIs encode it.
_UNSEEN_IN_URI: Final = r"(?i:%E2%80%8[B-F]|%E2%81%A[0-9A-F]|%C2%AD|%EF%BB%BF)+"
_OF_URI: Final = re.compile(
    rf"%(?P<code>[2-7][0-9a-fA-F])|{_ODD.replace('(?P<unseen>', f'(?P<unseen>{_UNSEEN_IN_URI}|')}"
)
_CHARACTER: Final = re.compile(_ODD)
_MEANING: Final = {"unseen": "", "space": " ", "dash": "-", "backslash": "\\"}
_LETTERS: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", '"': '"', "/": "/"}
#: What can split a value or stand within it: between words with spaces around it hides nothing.
_SPLITTING: Final = (
    rf"[!-~][{_SPACES}{_DASHES}{_UNSEEN}]+[!-~]|[!-~] [{_SPACES}]|[{_SPACES}] [!-~]|"
    rf"[!-~{{letter}}][{_UNSEEN}]|[{_UNSEEN}][!-~{{letter}}]"
)
_SPLITS: Final = re.compile(_SPLITTING.replace("[!-~{letter}]", r"(?:[!-~]|[^\W\d_])"))
#: With less memory RE2 searches letters of all scripts a hundred times slower.
_SPLITS_BYTES: Final = compile_expression(_SPLITTING.replace("{letter}", r"\pL"), memory=8 << 20)
_DELETE: Final = b"\x7f"
#: Up to so many characters Python's own expressions are faster than RE2 with what has to be encoded.
_SHORT: Final = 512
#: Escapes that are undone in one step.
_AT_ONCE: Final = 512


def splits_bytes(text: bytes) -> bool:
    """Return whether a text of JSON has characters that can split a value."""
    if text.isascii():
        return _DELETE in text  # others are escaped in JSON
    return _SPLITS_BYTES.search(text) is not None


def may_hide(text: str, *, is_uri: bool) -> bool:
    """Return whether a search in a text could miss what its readers see."""
    if ("%" if is_uri else "\\") in text:
        return True
    if len(text) <= _SHORT:
        return not (text.isascii() and text.isprintable()) and _SPLITS.search(text) is not None
    return _SPLITS_BYTES.search(text.encode("utf-8", "replace")) is not None


class UnescapedText(NamedTuple):
    """A text as its readers see it; ``places`` and ``shifts`` lead back to the original.

    A place is twice the index behind what stands for an escape, and one more where nothing does.
    """

    text: str
    places: Sequence[int]
    shifts: Sequence[int]

    def original(self, index: int) -> int:
        """Return where in the original text the character at ``index`` begins."""
        return index + self._shift(2 * index + 1)

    def original_end(self, index: int) -> int:
        """Return where in the original text the character before ``index`` ends."""
        return index + self._shift(2 * index)

    def seen(self, index: int) -> int:
        """Return where in this text the original's character at ``index`` is, or what follows it."""
        return bisect_left(range(len(self.text)), index, key=self.original)

    def _shift(self, place: int) -> int:
        count = bisect_right(self.places, place)
        return self.shifts[count - 1] if count else 0


def unescaped(text: str, *, is_uri: bool) -> UnescapedText | None:
    """Return a text as its readers see it; None where that is the text itself."""
    return run_steps(unescaping(text, is_uri=is_uri))


def unescaping(text: str, *, is_uri: bool) -> Steps[UnescapedText | None]:
    """Return what :func:`unescaped` does, in steps."""
    pieces: list[str] = []
    places, shifts = array("q"), array("q")
    last = length = shift = 0
    for count, match in enumerate((_OF_URI if is_uri else _OF_JSON).finditer(text), 1):
        if count % _AT_ONCE == 0:
            yield
        seen = _seen(match)
        pieces += (text[last : match.start()], seen)
        length += match.start() - last + len(seen)
        last = match.end()
        shift += last - match.start() - len(seen)
        places.append(2 * length + (not seen))
        shifts.append(shift)
    if not pieces:
        return None
    pieces.append(text[last:])
    plain = "".join(pieces)
    yield from freeing(pieces)
    return UnescapedText(plain, places, shifts)


def _seen(match: re.Match[str]) -> str:
    """Return the character, or none, that a reader sees in place of a match."""
    kind = match.lastgroup or ""
    if kind == "letter":
        return _LETTERS[match["letter"]]
    if kind == "low":
        return chr(0x10000 + ((int(match["high"], 16) & 0x3FF) << 10 | int(match["low"], 16) & 0x3FF))
    if kind != "code":
        return _MEANING[kind]
    character = chr(int(match["code"], 16))
    odd = _CHARACTER.match(character) if character >= "\x80" else None
    return character if odd is None else _MEANING[odd.lastgroup or ""]
