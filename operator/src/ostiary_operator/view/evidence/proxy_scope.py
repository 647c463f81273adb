"""Of which proxies evidence is wanted, and the parameters of a request for it."""

import enum
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Self, TypeAlias

from ostiary_core.evidence.document import MOST_NAMED

Parameters: TypeAlias = Sequence[tuple[str, str]]


class TrafficPart(enum.StrEnum):
    """What of the traffic is wanted.

    ``TOTAL`` is one window that sums the range, in place of a series.
    """

    SLOTS = "slots"
    QUARTERS = "quarters"
    NAMES = "names"
    TOTAL = "total"


@dataclass(frozen=True, slots=True)
class ProxyScope:
    """Some proxies (``namespace/name``), or all there are (None).

    With ``namespace``, all are those of this namespace.
    """

    named: frozenset[str] | None = None
    namespace: str = ""

    @classmethod
    def of(cls, proxies: Collection[str] | None) -> Self:
        """Return the scope of these proxies, or of all (None)."""
        return cls(None if proxies is None else frozenset(proxies))

    def covers(self, proxy: str) -> bool:
        """Return whether a proxy is one of them."""
        if self.named is not None:
            return proxy in self.named
        return not self.namespace or proxy.partition("/")[0] == self.namespace

    def parameters(self, only_namespace: str = "") -> list[Parameters]:
        """Return the parameters of each request that covers a part of them.

        With ``only_namespace`` they cover no other namespace. There may be none.
        """
        if self.named is None:
            if self.namespace and only_namespace not in {"", self.namespace}:
                return []
            namespace = self.namespace or only_namespace
            return [[("namespace", namespace)] if namespace else []]
        names = sorted(each for each in self.named if only_namespace in {"", each.partition("/")[0]})
        chunks = [names[begin : begin + MOST_NAMED] for begin in range(0, len(names), MOST_NAMED)]
        return [[("proxy", name) for name in chunk] for chunk in chunks]


@dataclass(frozen=True, slots=True)
class TrafficQuery:
    """Which traffic is wanted: of which proxies, which parts, of the last so many seconds.

    With ``is_sum`` it is one answer for all of them together, under the empty name.
    """

    scope: ProxyScope
    seconds: int
    parts: tuple[TrafficPart, ...] = (TrafficPart.SLOTS, TrafficPart.QUARTERS, TrafficPart.NAMES)
    is_sum: bool = False

    def covers(self, proxy: str) -> bool:
        """Return whether an answer is to be under this name."""
        return not proxy if self.is_sum else self.scope.covers(proxy)

    def parameters(self, only_namespace: str = "") -> list[Parameters]:
        """Return the parameters of each request; see :meth:`ProxyScope.parameters`."""
        common = [("parts", ",".join(self.parts)), ("range", str(self.seconds))]
        common += [("sum", "true")] if self.is_sum else []
        return [[*each, *common] for each in self.scope.parameters(only_namespace)]
