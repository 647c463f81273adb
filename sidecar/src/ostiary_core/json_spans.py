"""Locate the members and items of a JSON text.

One can be replaced or removed, and the rest keeps its bytes.

A tree of values cannot hold all that JSON may express: of two equal keys one is lost, an integer of a hundred digits is
rounded, half a surrogate pair cannot be written again. Cutting the text by positions keeps all of that. It takes one
pass of the standard library's scanner (in C) over each value: the cost is linear in the length of the text.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from ostiary_core.errors import StrictJSONError

_space: Final = re.compile(r"[ \t\n\r]*").match

#: The most members of one object that are read one by one: each costs as much as ten that are read at once.
MOST_MEMBERS: Final = 4096

#: Reads the value that begins at a position, and returns the position after it.
Read = Callable[[int], int]


class Item(NamedTuple):
    """One value of an array: its position in the text, and the value.

    In ``value`` an object is a tuple of its pairs of key and value, including equal keys, and every number is a float.
    ``is_json`` is False where it holds NaN or an infinity, which the scanner accepts but JSON does not have.
    """

    start: int
    end: int
    value: Any
    is_json: bool


class SpanReader:
    """Reads one JSON text. ``text`` is the decoded text, without a byte order mark.

    Raises:
        StrictJSONError: it is not UTF-8.
    """

    def __init__(self, text: bytes) -> None:
        try:
            self.text = text.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise StrictJSONError(str(error)) from None
        self._constants: list[str] = []
        self._end = 0
        self._decoder = json.JSONDecoder(
            object_pairs_hook=tuple, parse_int=float, parse_constant=self._constants.append
        )

    def whole(self, into: Mapping[str, Read]) -> None:
        """Read the text as one object, see :meth:`members`.

        Raises:
            StrictJSONError: it is not an object, or something follows it.
        """
        end = self.members(self._after_space(0), into)
        if self._after_space(end) != len(self.text):
            raise StrictJSONError(f"something follows the value at character {end}")

    def members(self, start: int, into: Mapping[str, Read]) -> int:
        """Read the object at ``start`` and return the position after it.

        A member that is in ``into`` is read by the function given there; the others are skipped.

        Raises:
            StrictJSONError: there is no object, one of its keys is a duplicate, there are more than
                :data:`MOST_MEMBERS`, or a skipped value holds NaN.
        """
        seen: set[str] = set()
        for key, place in self._keys(start):
            if key in seen:
                raise StrictJSONError(f"duplicate key at character {place}")
            seen.add(key)
            if len(seen) > MOST_MEMBERS:
                raise StrictJSONError(f"more than {MOST_MEMBERS} members in one object at character {start}")
            self._end = into[key](place) if key in into else self._passed_over(place)
        return self._end

    def items(self, start: int) -> Iterator[Item]:
        """Read the array at ``start`` item by item.

        Afterwards :attr:`end` is the position after it.

        Raises:
            StrictJSONError: there is no array.
        """
        place = self._opened(start, "[", "]")
        while place is not None:
            value, end = self.value(place)
            yield Item(place, end, value, not self._constants)
            del self._constants[:]
            place = self._next(end, "]")

    def value(self, start: int) -> tuple[Any, int]:
        """Return the value at ``start``, in the form of :class:`Item`, and the position after it.

        Raises:
            StrictJSONError: there is no value.
        """
        try:
            return self._decoder.raw_decode(self.text, start)
        except (ValueError, RecursionError):
            raise StrictJSONError(f"no JSON at character {start}") from None

    def _passed_over(self, start: int) -> int:
        end = self.value(start)[1]
        if self._constants:
            raise StrictJSONError(f"{self._constants[0]} is no JSON, at character {start}")
        return end

    @property
    def end(self) -> int:
        """The position after the object or array that was read last."""
        return self._end

    def replaced(self, start: int, end: int, by: str) -> bytes:
        """Return the text with ``by`` in place of the text between two positions."""
        return f"{self.text[:start]}{by}{self.text[end:]}".encode()

    def _keys(self, start: int) -> Iterator[tuple[str, int]]:
        """Yield each key and the position of its value.

        The caller must set ``_end`` to the position after the value.
        """
        place = self._opened(start, "{", "}")
        while place is not None:
            key, after = self._key(place)
            yield key, after
            place = self._next(self._end, "}")

    def _key(self, place: int) -> tuple[str, int]:
        if self.text[place : place + 1] != '"':
            raise StrictJSONError(f"no key at character {place}")
        key, end = self.value(place)
        colon = self._after_space(end)
        if self.text[colon : colon + 1] != ":":
            raise StrictJSONError(f"no colon at character {colon}")
        return key, self._after_space(colon + 1)

    def _opened(self, start: int, opening: str, closing: str) -> int | None:
        """Return the position of the first element.

        It is None where there is none, and then ``_end`` is set.
        """
        if self.text[start : start + 1] != opening:
            raise StrictJSONError(f"no {opening} at character {start}")
        place = self._after_space(start + 1)
        if self.text[place : place + 1] != closing:
            return place
        self._end = place + 1
        return None

    def _next(self, end: int, closing: str) -> int | None:
        """Return the position of the element after the one that ends at ``end``.

        It is None as for the first.
        """
        place = self._after_space(end)
        sign = self.text[place : place + 1]
        if sign == closing:
            self._end = place + 1
            return None
        if sign != ",":
            raise StrictJSONError(f"no comma at character {place}")
        return self._after_space(place + 1)

    def _after_space(self, place: int) -> int:
        match = _space(self.text, place)
        return match.end() if match is not None else place
