"""Watch quotas that change lists of tools, and tell callers of it.

They are told when a quota of theirs is exhausted, and when it is reset.

The caller that exhausts a quota need not be the one that listens: a quota may be shared by a group, or a whole proxy.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence, Set
from time import monotonic
from typing import Final

from ostiary_core.limits.charge import Charge
from ostiary_core.limits.limit_evaluator import LimitEvaluator
from ostiary_core.mcp.methods import Primitive
from ostiary_gateway.config.snapshot import Snapshot
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.large_messages import SLICE_SECONDS
from ostiary_gateway.pipeline.open_stream import OpenStream
from ostiary_gateway.pipeline.open_streams import OpenStreams
from ostiary_gateway.pipeline.quota_discovery import most_hidden, watched_charges, watched_limits
from ostiary_gateway.policy_limits.exhausted_keys import ExhaustedKeys
from ostiary_gateway.policy_limits.store import CounterStore, Exhaustion

_TOOLS: Final = frozenset({Primitive.TOOLS})


class QuotaNotices:
    """Finds exhausted quotas among charges.

    They are shown in lists, and told to open ``streams``. ``store`` returns the counters.
    """

    def __init__(
        self, streams: OpenStreams, store: Callable[[], CounterStore], *, clock: Callable[[], float] = time.time
    ) -> None:
        self.exhausted = ExhaustedKeys(self._tell, clock=clock)
        self._streams = streams
        self._store = store
        self._clock = clock
        #: The keys that changed and were not told yet, by a tool that counts for them.
        self._changed: dict[str, set[str]] = {}
        self._telling: asyncio.Task[None] | None = None

    def look(self, charges: Sequence[Charge], tool: str) -> None:
        """Note which quotas are exhausted after a call of a tool, and which are no longer."""
        watched = [charge for charge in charges if charge.limit.is_shown_in_lists]
        found = {each.charge.key: each for each in self._store().peek(watched, self._clock())} if watched else {}
        for charge in watched:
            if charge.key in found:
                self.exhausted.note(found[charge.key], tool)
            else:
                self.exhausted.forget(charge.key)

    def find(self, exchange: Exchange, limits: LimitEvaluator, tools: Sequence[str]) -> Mapping[str, Exhaustion]:
        """Return the tools that a caller has exhausted.

        Each comes with the quota that decides how it is shown.
        """
        now, found = self._clock(), {}
        for tool in tools:
            exhausted = self._store().peek(watched_charges(exchange, limits, tool), now)
            if exhausted:
                found[tool] = most_hidden(exhausted)
                self.exhausted.note(found[tool], tool)
        return found

    def _tell(self, key: str, tool: str) -> None:
        """Announce a changed list of tools to the callers whose calls of a tool count for a key.

        At midnight thousands of quotas may be reset at once, so they are told together and in slices.
        """
        self._changed.setdefault(tool, set()).add(key)
        if self._telling is None:
            self._telling = asyncio.get_running_loop().create_task(self._tell_all())

    async def _tell_all(self) -> None:
        try:
            while self._changed:
                changed, self._changed = self._changed, {}
                until = monotonic() + SLICE_SECONDS
                for stream in self._streams:
                    if _concerns(stream, changed):
                        stream.notices.owe(_TOOLS)
                    if monotonic() >= until:
                        await asyncio.sleep(0)
                        until = monotonic() + SLICE_SECONDS
        finally:
            self._telling = None

    def close(self) -> None:
        """Tell nothing more."""
        self.exhausted.close()
        if self._telling is not None:
            self._telling.cancel()

    def on_swap(self, snapshot: Snapshot, _: frozenset[str]) -> None:
        """Forget the quotas that no longer exist."""
        self.exhausted.keep(limit for proxy in snapshot.proxies.values() for limit in watched_limits(proxy.limits))


def _concerns(stream: OpenStream, changed: Mapping[str, Set[str]]) -> bool:
    """Return whether the caller of a stream counts for a changed key; keys are given by tool."""
    limits = stream.proxy.limits
    if limits is None or not limits.shows_quotas or stream.ended:
        return False
    return any(
        charge.key in keys
        for tool, keys in changed.items()
        for charge in watched_charges(stream.exchange, limits, tool)
    )
