"""Decisions that were made before, in bounded memory: callers choose names, and servers do in their lists."""

from typing import Final, Generic, TypeVar
from weakref import WeakValueDictionary

Key = TypeVar("Key")
Value = TypeVar("Value")

#: Names whose decision one memo keeps. A caller who invents names can empty it, not grow it.
EACH: Final = 4096
#: And all memos together: who asks at many doors gains no more.
IN_ALL: Final = 65_536
#: A longer name is judged each time: names in use are shorter, and some may be as long as a message.
NAME_LENGTH: Final = 256


class Memo(dict[Key, Value], Generic[Key, Value]):
    """What one policy decision keeps: look it up as in any dict, and put into it through a :class:`Shelf` only."""

    __slots__ = ("__weakref__",)


class Shelf:
    """All memos together, by who is still there of them; at most ``limit`` decisions."""

    def __init__(self, *, limit: int = IN_ALL) -> None:
        self._memos: WeakValueDictionary[int, Memo[object, object]] = WeakValueDictionary()
        self._limit = limit
        #: What is held at most: memos that went with their owner are taken off only when the limit is reached.
        self._held = 0

    @property
    def held(self) -> int:
        """How many decisions are held now."""
        return sum(map(len, list(self._memos.values())))

    def keep(self, memo: Memo[Key, Value], key: Key, value: Value, *, name: str) -> None:
        """Keep a decision on a name, if the name is of a length that is worth it."""
        if len(name) > NAME_LENGTH:
            return
        if len(memo) >= EACH:
            self._held -= len(memo)
            memo.clear()
        if not memo:
            self._memos[id(memo)] = memo  # type: ignore[assignment]  # it is only counted and emptied here
        memo[key] = value
        self._held += 1
        if self._held > self._limit:
            self._make_room()

    def _make_room(self) -> None:
        self._held = self.held
        if self._held <= self._limit:
            return
        for memo in list(self._memos.values()):
            memo.clear()
        self._held = 0


#: The shelf of this process.
DECISIONS: Final = Shelf()
