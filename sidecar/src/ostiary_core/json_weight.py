"""How much a JSON text costs to parse, told from its bytes before anything is made of them.

Its length does not say it: four mebibytes are one string, or two million objects. So the structure is counted. An
object, an array and a member of an object weigh one each, an element of an array a quarter more (:data:`UNIT` is one).
What stands within strings weighs nothing, however many commas and brackets it holds.

:func:`at_most` is a bound that costs a thousandth of a parse; only where that is too much is the exact :func:`weigh`
worth its time, which is given slice by slice, so that others have their turn.
"""

from collections.abc import Iterator
from typing import Final

#: Weights are in quarters, so that they stay whole numbers.
UNIT: Final = 4
#: Memory that one unit of weight takes at most as a tree, about, in bytes: an object with one member, divided.
BYTES_EACH: Final = 112
_SLICE: Final = 64 * 1024
#: Two bytes that are no structure, in place of an escaped backslash and an escaped quote.
_NOTHING: Final = b"__"


def at_most(text: bytes) -> int:
    """Return a weight that the text does not exceed: structure is counted within strings, too."""
    return _counted(text)


def weigh(text: bytes) -> Iterator[int]:
    """Yield the weight so far, after each slice of the text; the last is that of the whole.

    What is no JSON is weighed all the same; a string that does not end hides what follows it, and is none to a parser.
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
    """Return the next slice: it does not end between a backslash and what that escapes."""
    piece = text[start : start + _SLICE]
    backslashes = len(piece) - len(piece.rstrip(b"\\"))
    return text[start : start + _SLICE + 1] if backslashes % 2 else piece


def _counted(text: bytes) -> int:
    return UNIT * (text.count(b"{") + text.count(b"[") + text.count(b":")) + text.count(b",")
