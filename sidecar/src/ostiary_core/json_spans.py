"""Where in a JSON text each member and item stands: one can be replaced or left out, and the rest keeps its bytes.

A tree of values cannot hold all that JSON may say: of two equal keys one is lost, an integer of a hundred digits is
rounded, half a surrogate pair cannot be written again. What is cut out of the text by its place keeps all of that. One
pass of the standard library's scanner (in C) over each value: the cost is linear in the length of the text.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from ostiary_core.errors import StrictJSONError

_space: Final = re.compile(r"[ \t\n\r]*").match

#: So many members of one object are read one by one: each costs as much as ten that are read at once.
MOST_MEMBERS: Final = 4096

#: Reads the value that begins at a place, and returns the place behind it.
Read = Callable[[int], int]


class Item(NamedTuple):
    """One value of an array: its place in the text, and what it says.

    In ``value`` an object is a tuple of its pairs of key and value, equal keys too, and every number is a float.
    ``is_json`` is False where it holds NaN or an infinity, which the scanner takes and JSON does not have.
    """

    start: int
    end: int
    value: Any
    is_json: bool


class SpanReader:
    """Reads one JSON text. ``text`` is what it says, without a byte order mark.

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
            StrictJSONError: it is none, or something follows it.
        """
        end = self.members(self._after_space(0), into)
        if self._after_space(end) != len(self.text):
            raise StrictJSONError(f"something follows the value at character {end}")

    def members(self, start: int, into: Mapping[str, Read]) -> int:
        """Read the object at ``start`` and return the place behind it.

        A member that ``into`` names is read by the function given there; the others are passed over.

        Raises:
            StrictJSONError: there is no object, a key of it stands twice, there are more than :data:`MOST_MEMBERS`, or
                what is passed over holds NaN.
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
        """Read the array at ``start`` item by item; afterwards :attr:`end` is the place behind it.

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
        """Return the value at ``start``, as :class:`Item` has it, and the place behind it.

        Raises:
            StrictJSONError: there is none.
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
        """The place behind the object or array that was read last."""
        return self._end

    def replaced(self, start: int, end: int, by: str) -> bytes:
        """Return the text with something else between two places."""
        return f"{self.text[:start]}{by}{self.text[end:]}".encode()

    def _keys(self, start: int) -> Iterator[tuple[str, int]]:
        """Yield each key and the place of its value; whoever iterates sets ``_end`` to the place behind the value."""
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
        """Return the place of the first element; None where there is none, and then ``_end`` is set."""
        if self.text[start : start + 1] != opening:
            raise StrictJSONError(f"no {opening} at character {start}")
        place = self._after_space(start + 1)
        if self.text[place : place + 1] != closing:
            return place
        self._end = place + 1
        return None

    def _next(self, end: int, closing: str) -> int | None:
        """Return the place of the element behind the one that ends at ``end``; None as for the first."""
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
