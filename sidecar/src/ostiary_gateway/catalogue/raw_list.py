"""One list of one server, drained.

It holds all its items as the server named them, before policy and prefixes.
"""

import hashlib
from dataclasses import dataclass
from typing import Any, Final, cast

import jiter

from ostiary_core import strict_json
from ostiary_core.errors import StrictJSONError
from ostiary_core.mcp.methods import Method

#: The most pages of one list that are read, and the most items that are kept.
MOST_PAGES: Final = 64
MOST_ITEMS: Final = 10_000
_DIGEST_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class RawList:
    """The items of a list, as a JSON array in ``text``, and how many they are.

    ``digest`` is that of the text, by which a later page is recognised as one of the same list. ``unwritable`` counts
    items that no JSON of ours can hold, such as one with an integer of a hundred digits. ``is_cut`` where the server
    had more than is read.
    """

    text: bytes
    digest: bytes
    count: int
    unwritable: int = 0
    is_cut: bool = False

    @classmethod
    def of(cls, text: bytes, count: int, *, unwritable: int = 0, is_cut: bool = False) -> "RawList":
        """Return the list in a JSON array of this many items."""
        return cls(text, hashlib.sha256(text).digest()[:_DIGEST_BYTES], count, unwritable, is_cut)

    @property
    def size(self) -> int:
        """The bytes that it takes."""
        return len(self.text)

    def items(self) -> list[dict[str, Any]]:
        """Return the items, parsed."""
        return cast("list[dict[str, Any]]", jiter.from_json(self.text))


class RawPages:
    """Joins the pages of one list as they come.

    ``most_bytes`` is the limit for all of them together (``bounds.messageBytes``).
    """

    def __init__(self, method: Method, *, most_bytes: int) -> None:
        self._method = method
        self._left = most_bytes
        self._pieces: list[bytes] = []
        self._count = self._unwritable = self._pages = 0
        self._cursors: set[str] = set()
        self._is_cut = False

    def add(self, result: dict[str, Any], *, size: int) -> str | None:
        """Add a page of ``size`` bytes, and return the cursor of the next one.

        It is None where there is none to read.

        A cursor that came before ends the list: such a server would never end.

        Raises:
            ValueError: the result holds no list of objects.
        """
        items = result.get(self._method.list_key)
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise ValueError(f'the answer holds no list "{self._method.list_key}"')
        self._left -= size
        self._pages += 1
        self._keep(items)
        cursor = result.get("nextCursor")
        if not isinstance(cursor, str) or cursor in self._cursors:
            return None
        self._cursors.add(cursor)
        if self._left <= 0 or self._pages == MOST_PAGES or self._count >= MOST_ITEMS:
            self._is_cut = True
            return None
        return cursor

    def _keep(self, items: list[dict[str, Any]]) -> None:
        room = MOST_ITEMS - self._count
        if len(items) > room:
            self._is_cut = True
            items = items[:room]
        self._count += len(items)
        if not items:
            return
        try:
            self._pieces.append(strict_json.dumps(items)[1:-1])
        except StrictJSONError:
            self._keep_one_by_one(items)

    def _keep_one_by_one(self, items: list[dict[str, Any]]) -> None:
        for item in items:
            try:
                self._pieces.append(strict_json.dumps(item))
            except StrictJSONError:
                self._unwritable += 1
                self._count -= 1

    @property
    def left(self) -> int:
        """The bytes that further pages may have."""
        return max(0, self._left)

    def cut(self) -> None:
        """Note that a further page could not be read."""
        self._is_cut = True

    def list(self) -> RawList:
        """Return what came."""
        text = b"[" + b",".join(self._pieces) + b"]"
        return RawList.of(text, self._count, unwritable=self._unwritable, is_cut=self._is_cut)


#: The list of a server that has none of this kind.
NOTHING: Final = RawList.of(b"[]", 0)
