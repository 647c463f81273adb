"""Live calls for many viewers over few connections: those of the same proxies share one.

A gateway has room for some dozens of readers, and the console for hundreds of viewers. Where viewers look at too many
different sets of proxies, the others share one stream of all calls, of which each gets what they may see.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import aclosing
from types import MappingProxyType
from typing import Final, TypeAlias

from ostiary_operator.view.evidence.call_stream import CallEvent, CallGap, ReplicaBack
from ostiary_operator.view.evidence.gathered import ReplicaProblem
from ostiary_operator.view.evidence.proxy_scope import ProxyScope
from ostiary_operator.view.evidence.reader import ObservedCall

#: Streams of different proxies; a gateway has room for 64 readers, of several consoles.
MOST_STREAMS: Final = 16
#: Events that wait for one viewer; of more, the oldest are left out, and counted.
MOST_WAITING: Final = 512
#: Calls that a stream remembers for a viewer who joins it.
_REMEMBERED: Final = 512

Follow: TypeAlias = Callable[[ProxyScope, Mapping[str, int]], AsyncGenerator[CallEvent, None]]
"""Opens a stream of the calls of proxies, behind the numbers that are known."""


class _Viewer:
    """The events that wait for one viewer.

    Of a stream of more proxies than theirs (``is_wider``) they get calls alone: what it tells of gateways may be of
    those of others.
    """

    def __init__(self, scope: ProxyScope, known: Mapping[str, int], *, is_wider: bool) -> None:
        self._scope = scope
        self._is_wider = is_wider
        self._known = dict(known)
        self._waiting: deque[CallEvent | Exception] = deque()
        self._missed = 0
        self._changed = asyncio.Event()

    def put(self, event: CallEvent | Exception) -> None:
        """Add an event, unless the viewer may not see it or knows it."""
        if isinstance(event, ObservedCall) and not self._wants(event):
            return
        if isinstance(event, ReplicaBack) and event.is_new:
            self._known.pop(f"{event.gateway}/{event.replica}", None)
        if self._is_wider and isinstance(event, CallGap | ReplicaProblem | ReplicaBack):
            return
        if len(self._waiting) >= MOST_WAITING:
            self._waiting.popleft()
            self._missed += 1
        self._waiting.append(event)
        self._changed.set()

    def put_missed(self, latest: Iterable[ObservedCall]) -> None:
        """Add calls of a moment ago that the viewer does not know; none for one who begins now."""
        if self._known:
            for call in latest:
                if call.call.number > self._known.get(call.source, 0):
                    self.put(call)

    def _wants(self, call: ObservedCall) -> bool:
        """Return whether the viewer may see a call and does not know it."""
        if not self._scope.covers(call.call.proxy):
            return False
        known = self._known.get(call.source, 0)
        # A replica that was started again counts from 1 again.
        if call.call.number > known or call.call.number == 1:
            self._known.pop(call.source, None)
            return True
        return False

    async def get(self) -> CallEvent:
        """Return the next event; first how many were left out.

        Raises:
            Exception: what ended the stream.
        """
        while not self._waiting and not self._missed:
            self._changed.clear()
            await self._changed.wait()
        if self._missed:
            missed, self._missed = self._missed, 0
            return CallGap("", "", missed)
        event = self._waiting.popleft()
        if isinstance(event, Exception):
            raise event
        return event


class _SharedStream:
    """One stream, its viewers, and its latest calls."""

    def __init__(self, events: AsyncGenerator[CallEvent, None]) -> None:
        self.viewers: set[_Viewer] = set()
        self._events = events
        self._latest: deque[ObservedCall] = deque(maxlen=_REMEMBERED)
        self._task = asyncio.create_task(self._pump(), name="calls")

    def join(self, viewer: _Viewer) -> None:
        """Add a viewer, who gets the latest calls unless they know them."""
        viewer.put_missed(self._latest)
        self.viewers.add(viewer)

    async def close(self) -> None:
        """Close the stream."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _pump(self) -> None:
        try:
            async with aclosing(self._events) as events:
                async for event in events:
                    if isinstance(event, ObservedCall):
                        self._latest.append(event)
                    self._tell(event)
        except Exception as error:  # noqa: BLE001  a bug: each viewer gets it
            self._tell(error)

    def _tell(self, event: CallEvent | Exception) -> None:
        for viewer in self.viewers:
            viewer.put(event)


class CallTails:
    """The live calls of all viewers. ``follow`` opens a stream."""

    def __init__(self, follow: Follow, *, most: int = MOST_STREAMS) -> None:
        self._follow = follow
        self._most = most
        self._streams: dict[ProxyScope, _SharedStream] = {}

    async def tail(
        self, scope: ProxyScope, *, after: Mapping[str, int] = MappingProxyType({})
    ) -> AsyncGenerator[CallEvent, None]:
        """Yield calls as they come, until the iterator is closed.

        ``after`` are the numbers of the calls that the viewer knows, by :attr:`.ObservedCall.source`.
        """
        key = scope if scope in self._streams or len(self._streams) < self._most else ProxyScope()
        stream = self._streams.get(key)
        if stream is None:
            stream = self._streams[key] = _SharedStream(self._follow(key, after))
        viewer = _Viewer(scope, after, is_wider=key != scope)
        stream.join(viewer)
        try:
            while True:
                yield await viewer.get()
        finally:
            stream.viewers.discard(viewer)
            if not stream.viewers and self._streams.get(key) is stream:
                del self._streams[key]
                await stream.close()
