"""The bytes of an HTTP head, with places for the values that change.

Servers send the same head again and again, but for a few values. Who has parsed a head once knows what the next one
means that differs in such values only. Everything else is left to the parser: nothing is parsed here.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

LENGTH: Final = b"content-length"
_END: Final = b"\r\n\r\n"
#: A value that every parser reads in the same way, of at most 256 bytes; and a length of at most 8 digits.
_PLAIN: Final = rb"[!-~][ -~]{0,255}+(?<! )"
_DIGITS: Final = rb"[0-9]{1,8}"
#: The bytes of a head for which a template is made.
_MOST_BYTES: Final = 2048


class HeadTemplate:
    """A head with a Content-Length, by which the next one is recognised.

    ``places`` are the beginning and the end of each value that may change, with the name of its header.
    """

    __slots__ = ("_head", "_length", "_match", "_names", "_values")

    def __init__(self, head: bytes, places: Sequence[tuple[int, int, bytes]]) -> None:
        places = sorted(places)
        self._names = [name for *_, name in places]
        self._match = re.compile(_pattern(head, places)).match
        #: The last head, its values and the length of its body: responses of one second often have the same.
        self._head = head
        self._values: Mapping[bytes, bytes] = {name: head[begin:end] for begin, end, name in places}
        self._length = int(self._values[LENGTH])

    def read(self, data: bytes) -> tuple[Mapping[bytes, bytes], int] | None:
        """Return the values that may change, and where the body begins.

        It is the same mapping for the same head as the last one. It is None for another head, and where the body is
        not all that follows.
        """
        if not data.startswith(self._head):
            match = self._match(data)
            if match is None:
                return None
            self._head = match[0]
            self._values = dict(zip(self._names, match.groups(), strict=True))
            self._length = int(self._values[LENGTH])
        begin = len(self._head)
        return (self._values, begin) if len(data) - begin == self._length else None


def _pattern(head: bytes, places: Sequence[tuple[int, int, bytes]]) -> bytes:
    """Return the pattern of a head, in which each value that may change is a group."""
    parts, before = [], 0
    for begin, end, name in places:
        parts += [re.escape(head[before:begin]), b"(", _value(name), b")"]
        before = end
    return b"".join([*parts, re.escape(head[before:])])


def _value(name: bytes) -> bytes:
    return _DIGITS if name == LENGTH else _PLAIN


def template_of(data: bytes, values: Mapping[bytes, bytes]) -> HeadTemplate | None:
    """Return the template of a whole message with a body.

    ``values`` may change, by name in lower case.

    It is None where one of them cannot be found as the parser has read it, where there is no length, or the head is
    too large to be kept.
    """
    size = data.find(_END) + len(_END)
    if not len(_END) <= size <= _MOST_BYTES or LENGTH not in values:
        return None
    head = data[:size]
    places = [_place(head, name, value) for name, value in values.items()]
    found = [place for place in places if place is not None]
    if len(found) < len(places) or len(data) - size != int(values[LENGTH]):
        return None
    return HeadTemplate(head, found)


def _place(head: bytes, name: bytes, value: bytes) -> tuple[int, int, bytes] | None:
    """Return where the value of a header is; None unless it is plain, and there once and whole."""
    line = b"\r\n" + name + b":"
    folded = head.lower()
    at = folded.find(line)
    begin = head.find(value, at + len(line)) if at >= 0 else -1
    end = begin + len(value)
    if begin < 0 or folded.count(line) > 1 or re.fullmatch(_value(name), value) is None:
        return None
    around = head[at + len(line) : begin] + head[end : head.find(b"\r", end)]
    return (begin, end, name) if not around.strip(b" \t") else None
