"""The bytes of an HTTP head, with places for the values that change.

Servers send the same head again and again, but for a few values. Who has parsed a head once knows what the next one
means that differs in such values only. Everything else is left to the parser: nothing is parsed here.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

LENGTH: Final = b"content-length"
_END: Final = b"\r\n\r\n"
#: Digits of a length, and bytes of another value that may change.
_MOST_DIGITS: Final = 8
_MOST_VALUE: Final = 256
#: A value that every parser reads in the same way.
_PLAIN: Final = re.compile(rb"[!-~](?:[ -~]*[!-~])?")
_UNCHANGED: Final[Mapping[bytes, bytes]] = {}
#: The bytes of a head for which a template is made.
_MOST_BYTES: Final = 3072


class HeadTemplate:
    """A head with a Content-Length, by which the next one is recognised.

    ``places`` are the beginning and the end of each value that may change, with the name of its header.
    """

    __slots__ = ("_holes", "_length", "_tail", "_whole")

    def __init__(self, head: bytes, places: Sequence[tuple[int, int, bytes]]) -> None:
        self._whole = head
        self._length = next(int(head[begin:end]) for begin, end, name in places if name == LENGTH)
        #: The bytes before each value, with the name of its header.
        self._holes: list[tuple[bytes, bytes]] = []
        before = 0
        for begin, end, name in sorted(places):
            self._holes.append((head[before:begin], name))
            before = end
        self._tail = head[before:]

    def read(self, data: bytes) -> tuple[Mapping[bytes, bytes], int] | None:
        """Return the values that may have changed, and where the body begins.

        There are none where all are as they were. It is None for another head, and where the body is not all that
        follows.
        """
        if data.startswith(self._whole):
            begin = len(self._whole)
            return (_UNCHANGED, begin) if len(data) - begin == self._length else None
        found: dict[bytes, bytes] = {}
        place = 0
        for before, name in self._holes:
            if not data.startswith(before, place):
                return None
            place += len(before)
            end = data.find(b"\r", place, place + _MOST_VALUE + 1)
            value = found[name] = data[place:end] if end > 0 else b""
            if not _is_plain(name, value):
                return None
            place = end
        if not data.startswith(self._tail, place):
            return None
        begin = place + len(self._tail)
        return (found, begin) if len(data) - begin == int(found[LENGTH]) else None


def _is_plain(name: bytes, value: bytes) -> bool:
    if name == LENGTH:
        return 0 < len(value) <= _MOST_DIGITS and value.isdigit()
    return _PLAIN.fullmatch(value) is not None


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
    if begin < 0 or folded.count(line) > 1 or not _is_plain(name, value):
        return None
    around = head[at + len(line) : begin] + head[end : head.find(b"\r", end)]
    return (begin, end, name) if not around.strip(b" \t") else None
