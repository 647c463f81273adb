"""Escapes in texts that no parser reads: a model reads them all the same.

JSON with words before it, with two members of one name or cut off is no JSON to a parser, and a URI is decoded by the
server that gets it. Their escapes are undone for the search, and what is found is replaced where it stands.
"""

import re
from bisect import bisect_right
from typing import Final, NamedTuple

from ostiary_core.steps import Steps, run_steps

#: An escape of JSON, however often it was escaped again, with the digits of its character.
_OF_JSON: Final = re.compile(r"\\+u([0-9a-fA-F]{4})")
#: Escapes that are undone in one step.
_AT_ONCE: Final = 512
_OF_URI: Final = re.compile(r"%([2-7][0-9a-fA-F])")


class UnescapedText(NamedTuple):
    """A text without escapes; ``starts`` and ``shifts`` lead back to the original."""

    text: str
    starts: list[int]
    shifts: list[int]

    def original(self, index: int) -> int:
        """Return where in the original text a character begins, or where the text ends."""
        place = bisect_right(self.starts, index) - 1
        return index + (self.shifts[place] if place >= 0 else 0)

    def covers_escapes(self, start: int, end: int) -> bool:
        """Return whether a span has an escape in the original, which else shows it too."""
        return self.original(end) - self.original(start) != end - start


def unescaped(text: str, *, is_uri: bool) -> UnescapedText | None:
    """Return a text without escapes; None where it has none."""
    return run_steps(unescaping(text, is_uri=is_uri))


def unescaping(text: str, *, is_uri: bool) -> Steps[UnescapedText | None]:
    """Return what :func:`unescaped` does, in steps."""
    escape = _OF_URI if is_uri else _OF_JSON
    if ("%" if is_uri else "\\") not in text:
        return None
    pieces: list[str] = []
    starts: list[int] = []
    shifts: list[int] = []
    last = length = shift = 0
    for count, match in enumerate(escape.finditer(text), 1):
        if count % _AT_ONCE == 0:
            yield
        length += match.start() - last + 1
        pieces += (text[last : match.start()], chr(int(match.group(1), 16)))
        last = match.end()
        shift += last - match.start() - 1
        starts.append(length)
        shifts.append(shift)
    return UnescapedText("".join((*pieces, text[last:])), starts, shifts) if pieces else None
