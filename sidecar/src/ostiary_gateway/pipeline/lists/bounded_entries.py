"""Entries that are kept for an owner, in a bounded amount of memory, and that end with it.

All entries together, and those of one owner, have a bound in bytes: no tenant empties the cache of the others. The
least recently used ones go first.
"""

from collections import OrderedDict
from collections.abc import Callable
from itertools import count
from typing import Final, Generic, TypeVar
from weakref import WeakKeyDictionary, finalize

Owner = TypeVar("Owner")
Key = TypeVar("Key")
Value = TypeVar("Value")
Entries = TypeVar("Entries", bound="EntriesOfOwner")  # type: ignore[type-arg]  # of any key and value

#: The approximate size of an entry without its value.
_OVERHEAD: Final = 512


class EntriesOfOwner(Generic[Key, Value]):
    """The entries of one owner, least recently used first, each with its cost in bytes."""

    def __init__(self) -> None:
        self.entries: OrderedDict[Key, tuple[Value, int]] = OrderedDict()
        self.held = 0
        #: The number of its last use.
        self.used = 0

    def value(self, key: Key) -> Value | None:
        """Return the value of a key, without using it; None without one."""
        found = self.entries.get(key)
        return found[0] if found is not None else None


class BoundedEntries(Generic[Owner, Entries]):
    """The entries of all owners: at most ``limit`` bytes together, and ``each`` of one owner.

    ``make`` returns the empty entries of a new owner.
    """

    def __init__(self, make: Callable[[], Entries], *, limit: int, each: int) -> None:
        self._owners: WeakKeyDictionary[Owner, Entries] = WeakKeyDictionary()
        self._make = make
        self._limit = limit
        self._each = each
        self._uses = count(1)
        #: The number of bytes that are kept now.
        self.held = 0

    def known(self, owner: Owner) -> Entries | None:
        """Return the entries of an owner; None where it never had any."""
        return self._owners.get(owner)

    def of(self, owner: Owner) -> Entries:
        """Return the entries of an owner."""
        found = self._owners.get(owner)
        if found is None:
            found = self._owners[owner] = self._make()
            finalize(owner, self._forget, found).atexit = False
        return found

    def use(self, of: Entries, key: Key) -> None:
        """Note that an entry is used."""
        of.entries.move_to_end(key)
        of.used = next(self._uses)

    def keep(self, of: Entries, key: Key, value: Value, *, size: int) -> None:
        """Keep a value, and make room for it; one that is too large is not kept."""
        self.remove(of, key)
        cost = size + _OVERHEAD
        if cost > self._each:
            return
        of.entries[key] = value, cost
        of.used = next(self._uses)
        of.held += cost
        self.held += cost
        while of.held > self._each:
            self.remove(of, next(iter(of.entries)))
        while self.held > self._limit:
            oldest = min((each for each in self._owners.values() if each.entries), key=lambda each: each.used)
            self.remove(oldest, next(iter(oldest.entries)))

    def remove(self, of: Entries, key: Key) -> None:
        """Remove an entry, if there is one."""
        found = of.entries.pop(key, None)
        if found is not None:
            of.held -= found[1]
            self.held -= found[1]

    def _forget(self, of: Entries) -> None:
        self.held -= of.held
