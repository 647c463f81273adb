"""Estimate the cost of parsing a JSON text from its bytes, before it is parsed.

The length does not show it: four mebibytes may be one string, or two million objects. So the structure is counted. An
object, an array and a member of an object weigh one each, an element of an array a quarter more (:data:`UNIT` is one).
Characters within strings weigh nothing, whatever commas and brackets they are.

:func:`at_most` is an upper bound that costs a thousandth of a parse; only where that is too high is the exact
:func:`weigh` worth its time, which it takes in slices, so that other tasks can run in between.
"""

from collections.abc import Iterator
from typing import Final

#: Weights are in quarters, so that they are whole numbers.
UNIT: Final = 4
#: The approximate memory of a parsed tree per unit of weight, in bytes: the worst case is an object with one member.
BYTES_EACH: Final = 112
_SLICE: Final = 64 * 1024
#: Two bytes without structural meaning, in place of an escaped backslash and an escaped quote.
_NOTHING: Final = b"__"


def at_most(text: bytes) -> int:
    """Return an upper bound of the text's weight.

    It counts structural characters within strings, too.
    """
    return _counted(text)


def weigh(text: bytes) -> Iterator[int]:
    """Yield the weight so far, after each slice of the text.

    The last is that of the whole text.

    Invalid JSON has a weight, too; an unterminated string hides what follows it, and no parser accepts it.
    """
    weight = place = 0
    in_string = False
    while place < len(text):
        piece = _slice(text, place)
        place += len(piece)
        # Pairs from the left, so that a backslash which is itself escaped escapes nothing.
        parts = piece.replace(b"\\\\", _NOTHING).replace(b'\\"', _NOTHING).split(b'"')
        weight += _counted(b"".join(parts[in_string::2]))
        in_string ^= len(parts) % 2 == 0
        yield weight


def _slice(text: bytes, start: int) -> bytes:
    """Return the next slice.

    It does not end between a backslash and the character that it escapes.
    """
    piece = text[start : start + _SLICE]
    backslashes = len(piece) - len(piece.rstrip(b"\\"))
    return text[start : start + _SLICE + 1] if backslashes % 2 else piece


def _counted(text: bytes) -> int:
    return UNIT * (text.count(b"{") + text.count(b"[") + text.count(b":")) + text.count(b",")
