"""What one replica counts of all proxies, and the answer to ``/evidence/traffic``.

Counts are copied in the event loop and written as JSON in a thread. Proxies that are gone are forgotten, and one that
is made again under the same name begins with nothing: it may be another tenant's.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, Final

from ostiary_core.evidence.proxy_traffic import first_start, resolution
from ostiary_core.evidence.recorded_call import CallOutcome
from ostiary_core.evidence.traffic_window import QUARTER_SECONDS, SLOT_SECONDS
from ostiary_gateway.config.snapshot import Snapshot
from ostiary_gateway.evidence.call_ring import PlainCall
from ostiary_gateway.evidence.evidence_query import AskedTraffic
from ostiary_gateway.evidence.live_window import LiveWindow, RequestKinds
from ostiary_gateway.evidence.name_table import NamedCounts, names_document
from ostiary_gateway.evidence.proxy_evidence import SLOT_MS, ProxyCopy, ProxyEvidence

#: Proxies that are copied before other requests get their turn.
_AT_ONCE: Final = 20
#: The uid and the identity of requests that no proxy serves.
UNROUTED: Final = ""


class TrafficStore:
    """Counts requests by proxy.

    Must be used within one event loop; ``now`` returns epoch milliseconds.
    """

    def __init__(self, *, now: Callable[[], int]) -> None:
        self._now = now
        self._kinds = RequestKinds()
        self._proxies: dict[str, ProxyEvidence] = {}
        self._identities: dict[str, str] = {UNROUTED: ""}

    def add(self, uid: str, call: PlainCall) -> ProxyEvidence | None:
        """Count a request of the proxy with this uid; return None for a proxy that is gone."""
        at, seconds, _, labels, _, _, outcome, _, _ = call
        ended = at + int(seconds * 1000)
        proxy = self._proxies.get(uid)
        if proxy is None:
            if uid not in self._identities:
                return None
            proxy = self._proxies[uid] = ProxyEvidence(self._identities[uid], now=ended)
        kind = self._kinds.usual.get((labels[0], labels[7])) if outcome is CallOutcome.OK and not labels[5] else None
        if kind is None:
            kind = self._kinds.number_of(labels[0], labels[7], labels[5], outcome)
        proxy.add(ended // SLOT_MS, kind, call)
        return proxy

    def on_swap(self, snapshot: Snapshot) -> frozenset[str]:
        """Forget the proxies that are not in this config; return the identities of those."""
        identities = {proxy.uid: proxy.identity for proxy in snapshot.proxies.values()}
        self._identities = {UNROUTED: "", **identities}
        gone = self._proxies.keys() - self._identities.keys()
        return frozenset(self._proxies.pop(uid).identity for uid in gone)

    def clear(self) -> None:
        """Forget everything."""
        self._proxies.clear()

    async def copies(self, query: AskedTraffic) -> tuple[list[ProxyCopy], str | None]:
        """Return copies of the chosen proxies, and after which one the next page begins.

        A few are copied at a time, so that requests go on.
        """
        chosen = [
            proxy
            for proxy in self._proxies.values()
            if query.choice.has(proxy.identity) and (proxy.identity or not query.is_sum)
        ]
        chosen.sort(key=lambda proxy: proxy.identity)
        if query.after:
            chosen = [proxy for proxy in chosen if proxy.identity > query.after]
        more = not query.is_sum and len(chosen) > query.most
        page, found = chosen if query.is_sum else chosen[: query.most], []
        for number, proxy in enumerate(page, 1):
            proxy.move(self._now() // SLOT_MS)
            found.append(proxy.copy(query.needed))
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)
        return found, page[-1].identity if more else None

    def document(self, copies: Sequence[ProxyCopy], query: AskedTraffic) -> list[dict[str, Any]]:
        """Return the proxies as documents.

        Runs in a thread, and lets the event loop run in between.
        """
        writer = TrafficWriter(self._kinds, query, now=self._now())
        if query.is_sum:
            return [writer.written("", copies)] if copies else []
        return [writer.written(copy.identity, [copy]) for copy in copies]


class TrafficWriter:
    """Writes proxies as the query wants them, at one moment."""

    def __init__(self, kinds: RequestKinds, query: AskedTraffic, *, now: int) -> None:
        self._kinds = kinds
        self._query = query
        self._begin = first_start(now=now, seconds=query.range_seconds)

    def written(self, proxy: str, copies: Sequence[ProxyCopy]) -> dict[str, Any]:
        """Return one proxy, or the sum of several."""
        found: dict[str, Any] = {"proxy": proxy, "since": min(copy.since for copy in copies)}
        parts = self._query.parts
        if "slots" in parts:
            found["slots"] = self._windows(copies, SLOT_SECONDS)
        if "quarters" in parts:
            found["quarters"] = self._windows(copies, QUARTER_SECONDS)
        if "total" in parts:
            total = LiveWindow()
            self._absorb(copies, resolution(self._query.range_seconds), lambda _: total)
            found["total"] = total.document(self._begin, self._kinds)
        return found | (self._names(copies) if "names" in parts else {})

    def _windows(self, copies: Sequence[ProxyCopy], length: int) -> list[dict[str, Any]]:
        found: defaultdict[int, LiveWindow] = defaultdict(LiveWindow)
        self._absorb(copies, length, found.__getitem__)
        return [found[number].document(number * length * 1000, self._kinds) for number in sorted(found)]

    def _absorb(self, copies: Sequence[ProxyCopy], length: int, into: Callable[[int], LiveWindow]) -> None:
        first = self._begin // (length * 1000)
        for copy in copies:
            time.sleep(0)  # lets the event loop's thread run
            if length == SLOT_SECONDS:
                copy.absorb_slots(first=first, into=into)
            else:
                copy.absorb_quarters(first=first, into=into)

    @staticmethod
    def _names(copies: Sequence[ProxyCopy]) -> dict[str, Any]:
        tables = [(copy.names, copy.names_since) for copy in copies if copy.names is not None]
        found: dict[str, Any] = {}
        for member, is_recent in (("names", False), ("recentNames", True)) if tables else ():
            uses: dict[tuple[str, str], NamedCounts] = {}
            for table, _ in tables:
                time.sleep(0)
                table.add_to(uses, is_recent=is_recent)
            found[member] = names_document(uses, since=min(since[is_recent] for _, since in tables))
        return found
