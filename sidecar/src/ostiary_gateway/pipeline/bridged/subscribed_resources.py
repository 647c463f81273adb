"""Listen at a modern server for the resources that a legacy session subscribes to.

A legacy client subscribes while its stream of changes is open, and a modern server is told all resources when a stream
is opened. So they have a stream of their own next to that of the lists, and each change of the subscriptions opens a
new one before the old one is closed: nothing is missed in between. A subscription is answered once the server has
acknowledged it.
"""

import asyncio
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from ostiary_gateway.bridge.to_modern import REVISION
from ostiary_gateway.errors import Refusal, UpstreamFault
from ostiary_gateway.media_types import EVENT_STREAM
from ostiary_gateway.pipeline.caller_stream import CallerStream
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.leg import Leg, Translation
from ostiary_gateway.pipeline.leg_events import LegEvents
from ostiary_gateway.pipeline.list_changed_notifications import ACKNOWLEDGED
from ostiary_gateway.pipeline.merged_sessions.session_notes import SessionKey
from ostiary_gateway.pipeline.merged_sessions.session_opening import mark_of
from ostiary_gateway.pipeline.own_request import OwnRequest
from ostiary_gateway.pipeline.server_streams import own_stream
from ostiary_gateway.pipeline.services import PipelineServices
from ostiary_gateway.telemetry import ServerSpan
from ostiary_gateway.upstream.server import UpstreamServer

#: Seconds that a subscription waits for the server's acknowledgement.
_ACKNOWLEDGE_SECONDS: Final = 5.0
#: Seconds after which subscriptions that other replicas have noted are looked up.
_LOOK_SECONDS: Final = 5.0
#: Seconds before a stream that broke is opened again: the first time, and at most. A random part is added.
_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 60.0


class SubscribedResources:
    """The resources of one session at one server, for one open stream of changes.

    ``translation`` makes what the server says into what the caller gets.
    """

    def __init__(
        self,
        exchange: Exchange,
        server: UpstreamServer,
        *,
        key: SessionKey,
        to: CallerStream,
        span: ServerSpan,
        services: PipelineServices,
        translation: Translation,
    ) -> None:
        self._exchange = exchange
        self._server = server
        self._key = key
        self._mark = mark_of(server)
        self._to = to
        self._span = span
        self._services = services
        self._translation = translation
        self._wake = asyncio.Event()
        self._waiting: list[asyncio.Future[None]] = []
        self._reader: asyncio.Task[None] | None = None
        self._pause = _FIRST_PAUSE

    async def run(self) -> None:
        """Follow the subscriptions until cancelled."""
        listened: frozenset[str] = frozenset()
        with self._registered():
            try:
                while True:
                    waiting, self._waiting = self._waiting, []
                    self._wake.clear()
                    wanted = await self._wanted()
                    if wanted != listened or (self._reader is not None and self._reader.done()):
                        await self._listen(wanted)
                        listened = wanted
                    for each in waiting:
                        if not each.done():
                            each.set_result(None)
                    await self._wait()
            finally:
                await _end(self._reader)
                for each in self._waiting:
                    each.cancel()

    async def follow(self) -> None:
        """Wait until a subscription that was noted just now is listened for.

        The server must acknowledge it soon.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(done)
        self._wake.set()
        await asyncio.wait({done}, timeout=_ACKNOWLEDGE_SECONDS)

    @contextmanager
    def _registered(self) -> Iterator[None]:
        place = (self._key, self._mark)
        others = self._services.subscribed.setdefault(place, [])
        others.append(self)
        try:
            yield
        finally:
            others.remove(self)
            if not others:
                self._services.subscribed.pop(place, None)

    async def _wanted(self) -> frozenset[str]:
        note = await self._services.sessions.notes.looked_up(self._key)
        return frozenset(note.subscriptions.get(self._mark, ()))

    async def _listen(self, uris: frozenset[str]) -> None:
        """Open a stream for these resources.

        The one before is closed once the server has acknowledged them.
        """
        before, self._reader = self._reader, None
        if uris:
            acknowledged = asyncio.Event()
            self._reader = asyncio.ensure_future(self._read(sorted(uris), acknowledged.set))
            is_heard = asyncio.ensure_future(acknowledged.wait())
            try:
                await asyncio.wait(
                    {self._reader, is_heard}, timeout=_ACKNOWLEDGE_SECONDS, return_when=asyncio.FIRST_COMPLETED
                )
            finally:
                is_heard.cancel()
        await _end(before)

    async def _wait(self) -> None:
        """Wait for a change of the subscriptions, or for the end of the stream.

        The stream is then opened again.
        """
        wakes = asyncio.ensure_future(self._wake.wait())
        shared = self._services.sessions.notes.shared is not None
        try:
            waited = {wakes} if self._reader is None else {wakes, self._reader}
            await asyncio.wait(waited, timeout=_LOOK_SECONDS if shared else None, return_when=asyncio.FIRST_COMPLETED)
        finally:
            wakes.cancel()
        if self._reader is not None and self._reader.done() and not self._wake.is_set():
            await asyncio.sleep(self._pause + random.uniform(0, self._pause))  # noqa: S311  not security relevant
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)

    async def _read(self, uris: list[str], on_acknowledged: Callable[[], None]) -> None:
        request = OwnRequest("subscriptions/listen", {"notifications": {"resourceSubscriptions": uris}}, REVISION)
        with suppress(UpstreamFault, Refusal):  # it is in the span of the request, and in the server's health
            async with own_stream(self._exchange, self._server, request, span=self._span) as response:
                if response.status >= 300 or response.content_type != EVENT_STREAM or response.encoded:
                    return
                leg = Leg(self._server, None, None, _Acknowledged(self._translation, on_acknowledged))
                leg.event_ids = _without_id
                events = LegEvents(self._exchange, leg, response, to=self._to, seal=_never_opens)
                try:
                    await events.run()
                finally:
                    events.leave()


class _Acknowledged:
    """Notes the acknowledgement of a stream; everything else is left to another translation."""

    __slots__ = ("_inner", "_note")

    def __init__(self, inner: Translation, note: Callable[[], None]) -> None:
        self._inner = inner
        self._note = note

    def response(self, text: bytes, _: dict[str, Any]) -> bytes:
        """Return a response unchanged: it is dropped, since no request of the caller waits for it."""
        return text

    def streamed(self, text: bytes, message: dict[str, Any]) -> bytes | None:
        """Return what the caller gets; nothing for an acknowledgement."""
        if message.get("method") == ACKNOWLEDGED:
            self._note()
            return None
        return self._inner.streamed(text, message)


async def _end(task: "asyncio.Task[None] | None") -> None:
    if task is not None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _without_id(_own: bytes) -> None:
    """Drop the id of an event: the stream cannot be resumed."""
    return


def _never_opens(*_: Any) -> str:
    raise AssertionError("a stream of changes opens no session")
