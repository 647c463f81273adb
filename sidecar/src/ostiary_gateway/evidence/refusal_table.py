"""Distinct refusals of one replica: bounded, with a fair share for each namespace.

Callers invent names. So one caller's refusals of one method by one rule are kept apart for 64 names only, and the rest
is counted together. Where the table is full, the namespace with most refusals loses those that occurred longest ago.
"""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from ostiary_core.evidence.refusals import MOST_REFUSALS, MOST_REFUSED_NAMES

#: Refusals that leave at a time.
_BATCH: Final = 16


class RefusalKey(NamedTuple):
    """What makes two refusals the same. ``name`` is empty where names are not kept apart."""

    proxy: str
    method: str
    name: str
    principal: str
    policy: str
    rule: str
    reason: str
    is_shadow: bool


class RefusalTable:
    """Counts refusals. Must be used within one event loop."""

    def __init__(self, *, most: int = MOST_REFUSALS) -> None:
        #: Requests whose refusals made room for others.
        self.forgotten = 0
        self._most = most
        self._kept = 0
        #: By namespace: count, first and last time of each refusal, in the order of their last time.
        self._by_namespace: dict[str, dict[RefusalKey, tuple[int, int, int]]] = {}
        #: Different names by refusal without a name.
        self._names: dict[RefusalKey, int] = {}

    def note(self, key: RefusalKey, *, at: int) -> None:
        """Count a refusal that occurred at a time in epoch milliseconds."""
        namespace = key.proxy.partition("/")[0]
        table = self._by_namespace.setdefault(namespace, {})
        known = table.pop(key, None)
        if known is None:
            key = self._apart(key)
            known = table.pop(key, None)
        if known is not None:
            table[key] = (known[0] + 1, known[1], at)
            return
        table[key] = (1, at, at)
        self._kept += 1
        if key.name:
            group = key._replace(name="")
            self._names[group] = self._names.get(group, 0) + 1
        if self._kept > self._most:
            self._make_room(table)

    def _apart(self, key: RefusalKey) -> RefusalKey:
        """Return the key of a refusal that is new: without its name where there are too many."""
        group = key._replace(name="")
        return group if key.name and self._names.get(group, 0) >= MOST_REFUSED_NAMES else key

    def _make_room(self, table: dict[RefusalKey, tuple[int, int, int]]) -> None:
        share = self._most // len(self._by_namespace)
        largest = table if len(table) > share else max(self._by_namespace.values(), key=len)
        for key in list(largest)[: min(_BATCH, len(largest) - 1)]:
            self.forgotten += largest[key][0]
            self._remove(largest, key)

    def _remove(self, table: dict[RefusalKey, tuple[int, int, int]], key: RefusalKey) -> None:
        del table[key]
        self._kept -= 1
        group = key._replace(name="")
        if key.name and (left := self._names.get(group, 0) - 1) > 0:
            self._names[group] = left
        elif key.name:
            self._names.pop(group, None)

    def forget(self, proxies: Iterable[str]) -> None:
        """Forget the refusals of proxies, by their identities."""
        gone = frozenset(proxies)
        for namespace in {proxy.partition("/")[0] for proxy in gone} & self._by_namespace.keys():
            table = self._by_namespace[namespace]
            for key in [key for key in table if key.proxy in gone]:
                self._remove(table, key)
            if not table:
                del self._by_namespace[namespace]

    def clear(self) -> None:
        """Forget everything."""
        self._by_namespace.clear()
        self._names.clear()
        self._kept = self.forgotten = 0

    def items(self) -> list[tuple[RefusalKey, tuple[int, int, int]]]:
        """Return all refusals, each with its count, and when it occurred first and last."""
        return [item for table in self._by_namespace.values() for item in table.items()]


def refusal_document(key: RefusalKey, counted: tuple[int, int, int]) -> dict[str, Any]:
    """Return a refusal as a ``DistinctRefusal``."""
    count, first, last = counted
    return {
        "proxy": key.proxy,
        "method": key.method,
        "name": key.name,
        "principal": key.principal,
        "policy": key.policy,
        "rule": key.rule,
        "reason": key.reason,
        "isShadow": key.is_shadow,
        "count": count,
        "first": first,
        "last": last,
    }
