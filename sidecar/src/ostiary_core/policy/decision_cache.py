"""A bounded cache of policy decisions.

Callers choose the names, and so do servers in their lists.
"""

from typing import Final, Generic, TypeVar
from weakref import WeakValueDictionary

Key = TypeVar("Key")
Value = TypeVar("Value")

#: Decisions that one memo keeps. A caller that invents names can empty it, but not grow it.
EACH: Final = 4096
#: Decisions that all memos together keep: a caller gains no more by using many proxies.
IN_ALL: Final = 65_536
#: A longer name is judged each time: names in use are shorter, and a hostile one may be as long as a message.
NAME_LENGTH: Final = 256


class Memo(dict[Key, Value], Generic[Key, Value]):
    """The decisions of one evaluator.

    Read it as a dict, write to it through a :class:`DecisionCache` only.
    """

    __slots__ = ("__weakref__",)


class DecisionCache:
    """Counts the decisions in all memos that still exist, and keeps at most ``limit``."""

    def __init__(self, *, limit: int = IN_ALL) -> None:
        self._memos: WeakValueDictionary[int, Memo[object, object]] = WeakValueDictionary()
        self._limit = limit
        #: An upper bound: memos that were collected with their owner are subtracted only at the limit.
        self._held = 0

    @property
    def held(self) -> int:
        """The number of decisions that are kept now."""
        return sum(map(len, list(self._memos.values())))

    def keep(self, memo: Memo[Key, Value], key: Key, value: Value, *, name: str) -> None:
        """Keep a decision on a name, unless the name is longer than ``NAME_LENGTH``."""
        if len(name) > NAME_LENGTH:
            return
        if len(memo) >= EACH:
            self._held -= len(memo)
            memo.clear()
        if not memo:
            self._memos[id(memo)] = memo  # type: ignore[assignment]  # the cache only counts and clears it
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


#: The cache of this process.
DECISIONS: Final = DecisionCache()
