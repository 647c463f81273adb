"""The latest calls of one replica, bounded in number, with a fair share for each namespace.

Readers keep a position instead of a queue: one that is too slow misses calls, is told how many, and costs no memory
here. A namespace that calls much displaces its own calls first, not those of others.
"""

from collections import deque
from collections.abc import Callable, Iterable
from itertools import takewhile
from typing import Final, NamedTuple

from ostiary_core.evidence.recorded_call import MOST_CALLS, CallOutcome
from ostiary_gateway.telemetry.request_labels import PlainLabels
from ostiary_gateway.waiting_readers import WaitingReaders
from ostiary_gateway.worker_numbers import WorkerNumbers

#: Calls that leave at a time where one namespace makes room for another.
_BATCH: Final = 16


#: The members of :class:`EndedCall` as a plain tuple, which is cheaper to make.
PlainCall = tuple[int, float, float, PlainLabels, str, str, CallOutcome, str, "CallDetails | None"]
NumberedCall = tuple[int, PlainCall]


class EndedCall(NamedTuple):
    """One call, with what a reader may see of it.

    ``at`` is when it came, in epoch milliseconds.
    """

    at: int
    seconds: float
    upstream_seconds: float
    labels: PlainLabels
    name: str
    principal: str
    outcome: CallOutcome
    trace_id: str
    more: "CallDetails | None"


class CallDetails(NamedTuple):
    """What only some calls have."""

    reason: str = ""
    detail: str = ""
    policy: str = ""
    rule: str = ""
    shadow_policy: str = ""
    shadow_rule: str = ""
    shadow_reason: str = ""
    findings: tuple[str, ...] = ()


def proxy_of(call: NumberedCall) -> str:
    """Return the identity of the proxy of a call."""
    return call[1][3][1]


class CallRing:
    """Keeps calls with their number.

    Numbers count from 1; with ``numbers`` they grow over all workers. Must be used within one event loop.
    """

    def __init__(self, *, most: int = MOST_CALLS, numbers: WorkerNumbers | None = None) -> None:
        #: The number of the newest call; 0 before the first.
        self.last = 0
        self._numbers = numbers
        self._most = most
        self._kept = 0
        self._by_namespace: dict[str, deque[NumberedCall]] = {}
        self._waiting = WaitingReaders()

    def __len__(self) -> int:
        """Return the number of calls that are kept."""
        return self._kept

    @property
    def is_followed(self) -> bool:
        """Whether a reader waits for calls."""
        return bool(self._waiting)

    def add(self, namespace: str, call: PlainCall) -> None:
        """Keep a call."""
        self.last = self.last + 1 if self._numbers is None else self._numbers.after(self.last)
        calls = self._by_namespace.get(namespace)
        if calls is None:
            calls = self._by_namespace[namespace] = deque()
        calls.append((self.last, call))
        self._kept += 1
        if self._kept > self._most:
            self._make_room(calls)
        self._waiting.wake()

    def _make_room(self, calls: "deque[NumberedCall]") -> None:
        """Forget the oldest call of this namespace; where it has less than its share, of another."""
        if len(calls) > self._most // len(self._by_namespace):
            self._drop_oldest(calls)
            return
        largest = max(self._by_namespace.values(), key=len)
        for _ in range(min(_BATCH, len(largest) - 1)):
            self._drop_oldest(largest)

    def _drop_oldest(self, calls: "deque[NumberedCall]") -> None:
        number, _ = calls.popleft()
        self._kept -= 1
        if self._numbers is not None:
            self._numbers.drop(number)

    def resumed(self, after: int) -> int:
        """Return where a reader goes on that knows the calls up to a number.

        A replica that was started again counts from 1 again; workers never do.
        """
        return after if self._numbers is not None or after <= self.last else 0

    def forget(self, proxies: Iterable[str]) -> None:
        """Forget the calls of proxies, by their identities."""
        gone = frozenset(proxies)
        for namespace in {proxy.partition("/")[0] for proxy in gone} & self._by_namespace.keys():
            kept = deque(each for each in self._by_namespace[namespace] if proxy_of(each) not in gone)
            self._by_namespace[namespace] = kept
            if not kept:
                del self._by_namespace[namespace]
        self._kept = sum(map(len, self._by_namespace.values()))

    def clear(self) -> None:
        """Forget all calls; numbers go on. Readers that wait look again."""
        self._by_namespace.clear()
        self._kept = 0
        self._waiting.wake()

    def after(self, position: int, *, wanted: Callable[[str], bool]) -> tuple[list[NumberedCall], int]:
        """Return the calls after a number, and how many of them are no longer kept.

        They are those of proxies that are ``wanted``, oldest first; what is no longer kept may be of any proxy.
        """
        newer: list[NumberedCall] = []
        for calls in self._by_namespace.values():
            newer += takewhile(lambda each: each[0] > position, reversed(calls))
        missed = max(0, self.last - position) - len(newer) if self._numbers is None else self._numbers.missed(position)
        return sorted((each for each in newer if wanted(proxy_of(each))), key=lambda each: each[0]), missed

    async def wait(self, position: int, *, seconds: float) -> None:
        """Wait until there is a call after a number."""
        if self.last > position:
            return
        await self._waiting.wait(seconds=seconds)
