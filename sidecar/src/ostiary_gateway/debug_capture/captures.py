"""Which proxies are captured, until when, and with how much memory.

The end is absolute, so a capture is over by itself, by this replica's clock. It never lasts longer than 24 hours from
when this replica first saw it, whatever its end says. Records can be read for a while after the end. They are gone when
the capture is removed from the MCPProxy, and when the process ends.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from ostiary_core.contract.debug_capture import LONGEST_MS, DebugCaptureConfig
from ostiary_gateway.config.runtime import ProxyRuntime
from ostiary_gateway.config.snapshot import Snapshot
from ostiary_gateway.debug_capture.ring import MOST_BYTES, CaptureRing
from ostiary_gateway.worker_numbers import WorkerNumbers

#: Bytes of the records of all proxies.
ALL_BYTES: Final = 32 * 1024 * 1024
#: Seconds that records can still be read after the end of a capture.
READABLE_SECONDS: Final = 900.0
#: Seconds between two comparisons with the clock, which may be set meanwhile.
_TICK_SECONDS: Final = 30.0
EXPIRED: Final = "Expired"
REMOVED: Final = "Removed"
STOPPING: Final = "Stopping"


@dataclass(slots=True)
class ProxyCapture:
    """The capture of one proxy.

    ``ends`` is in epoch seconds; ``latest`` is the end of its 24 hours (monotonic).
    """

    proxy: str
    config: DebugCaptureConfig
    ends: float
    latest: float
    ring: CaptureRing

    @property
    def namespace(self) -> str:
        """The namespace of the proxy, which shares memory fairly with others."""
        return self.proxy.partition("/")[0]

    @property
    def has_contents(self) -> bool:
        """Whether arguments and results are captured."""
        return self.config.contents == "Redacted"

    def is_over(self, *, now: float, monotonic: float) -> bool:
        """Return whether it has ended."""
        return now >= self.ends or monotonic >= self.latest


@dataclass(slots=True)
class Clocks:
    """The clocks of a replica: epoch seconds, and monotonic ones, which no one can set."""

    time: Callable[[], float]
    monotonic: Callable[[], float]


class DebugCaptures:
    """The captures of one gateway process. Must be used within one event loop."""

    def __init__(self, clocks: Clocks | None = None) -> None:
        self._clocks = clocks or Clocks(time.time, time.monotonic)
        #: Returns the numbers of a capture's records; None to count them from 1.
        self.numbers: Callable[[], WorkerNumbers | None] = lambda: None
        self._by_uid: dict[str, ProxyCapture] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __iter__(self) -> Iterator[ProxyCapture]:
        """Return all captures, those that are over included."""
        return iter(list(self._by_uid.values()))

    def of(self, proxy: ProxyRuntime) -> ProxyCapture | None:
        """Return the capture of a proxy if it is not over."""
        found = self._by_uid.get(proxy.uid)
        if found is None or found.ring.ended:
            return None
        if self._is_over(found):
            found.ring.end(EXPIRED)
            return None
        return found

    def named(self, proxy: str) -> ProxyCapture | None:
        """Return the capture of a proxy by ``namespace/name``, for a reader: it may be over."""
        self._tick()
        return next((each for each in self._by_uid.values() if each.proxy == proxy), None)

    def ends_of(self, proxy: ProxyRuntime) -> float | None:
        """Return when the capture of a proxy ends, in epoch seconds; None where it is not captured."""
        found = self.of(proxy)
        return found.ends if found is not None else None

    def on_swap(self, snapshot: Snapshot, _changed: frozenset[str]) -> None:
        """Begin, change and remove captures as the proxies in force say."""
        wanted = {proxy.uid: proxy for proxy in snapshot.proxies.values() if proxy.debug_capture is not None}
        if not wanted and not self._by_uid:
            return
        for uid in self._by_uid.keys() - wanted.keys():
            removed = self._by_uid.pop(uid)
            removed.ring.end(REMOVED)
            removed.ring.clear()
        for uid, proxy in wanted.items():
            self._want(uid, proxy)
        self._share_memory()
        self._tick()

    def close(self) -> None:
        """End all captures: readers that follow are told so."""
        if self._timer is not None:
            self._timer.cancel()
        for each in self._by_uid.values():
            each.ring.end(STOPPING)

    def _want(self, uid: str, proxy: ProxyRuntime) -> None:
        config, known = proxy.debug_capture, self._by_uid.get(uid)
        if config is None:
            raise AssertionError("only proxies with a capture are wanted")
        if known is not None and known.config.until == config.until:
            known.config = config
            return
        now = self._clocks.time()
        longest = LONGEST_MS / 1000
        ring = known.ring if known is not None else CaptureRing(self._clocks.time, self.numbers())
        ring.resume()
        ring.until = ends = min(config.until / 1000, now + longest)
        self._by_uid[uid] = ProxyCapture(proxy.identity, config, ends, self._clocks.monotonic() + longest, ring)

    def _share_memory(self) -> None:
        """Give each namespace the same share of memory, and within it each proxy.

        No tenant displaces another's records.
        """
        counts: dict[str, int] = {}
        for each in self._by_uid.values():
            counts[each.namespace] = counts.get(each.namespace, 0) + 1
        for each in self._by_uid.values():
            each.ring.most_bytes = min(MOST_BYTES, ALL_BYTES // len(counts) // counts[each.namespace])
            each.ring.shrink()

    def _is_over(self, capture: ProxyCapture) -> bool:
        return capture.is_over(now=self._clocks.time(), monotonic=self._clocks.monotonic())

    def _tick(self) -> None:
        """End what is over, forget what was readable for long enough, and look again later."""
        now, monotonic = self._clocks.time(), self._clocks.monotonic()
        for each in self._by_uid.values():
            if each.is_over(now=now, monotonic=monotonic):
                each.ring.end(EXPIRED)
            if each.is_over(now=now - READABLE_SECONDS, monotonic=monotonic - READABLE_SECONDS):
                each.ring.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if any(not each.ring.ended or each.ring.size[0] for each in self._by_uid.values()):
            self._timer = asyncio.get_running_loop().call_later(_TICK_SECONDS, self._tick)
