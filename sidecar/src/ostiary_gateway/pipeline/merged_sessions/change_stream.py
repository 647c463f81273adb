"""The stream of changes of an endpoint with several servers: theirs, fed into one.

It begins by saying that each list may have changed, since the caller may have missed that while it had no stream. It
cannot be resumed. A change of a list reaches the caller only if what it sees of it changed, and at most once a second.
"""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from functools import partial
from time import monotonic
from typing import Final

from ostiary_core import strict_json
from ostiary_core.mcp.methods import Primitive
from ostiary_gateway.errors import Refusal
from ostiary_gateway.pipeline.bridged.bridged_session import followed_here
from ostiary_gateway.pipeline.caller_stream import CallerStream
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.leg_events import KEEP_ALIVE_SECONDS
from ostiary_gateway.pipeline.merged_sessions.change_source import ChangeSource
from ostiary_gateway.pipeline.merged_sessions.change_translation import list_changed
from ostiary_gateway.pipeline.merged_sessions.listen_source import ListenSource
from ostiary_gateway.pipeline.merged_sessions.seen_lists import SeenLists
from ostiary_gateway.pipeline.merged_sessions.session_opening import key_of, mark_of
from ostiary_gateway.pipeline.merged_sessions.session_vector import SessionVector
from ostiary_gateway.pipeline.merged_sessions.visible_servers import visible_servers
from ostiary_gateway.pipeline.merged_sessions.wanted_changes import WantedChanges
from ostiary_gateway.pipeline.open_stream import OpenStream, listen_ended
from ostiary_gateway.pipeline.services import PipelineServices
from ostiary_gateway.telemetry import ServerSpan

#: Seconds between two times that a caller is told of changed lists.
_NOTICE_SECONDS: Final = 1.0
#: Seconds after which lists of servers without a stream are looked at again, at the least.
_SHORTEST_LOOK: Final = 30.0


class ChangeStream:
    """One caller's stream of changes, while it lasts."""

    def __init__(self, exchange: Exchange, span: ServerSpan, services: PipelineServices, wanted: WantedChanges) -> None:
        self._exchange = exchange
        self._wanted = wanted
        self._span = span
        self._services = services
        self._stream = OpenStream(exchange.proxy, exchange, self)
        self._to = CallerStream(exchange, stream=self._stream)
        self._to.readers.append(self)
        self._seen = SeenLists()
        self._dirty: set[Primitive] = set()
        #: What changed before it was known what the caller sees; None once that is known.
        self._early: set[Primitive] | None = set()
        self._wake = asyncio.Event()
        self._keeping: asyncio.Task[None] | None = None
        self._told_at = float("-inf")
        self._looked_at = monotonic()
        self._sources = self._all_sources()

    @property
    def knows_lists(self) -> bool:
        """Whether it is known what the caller sees, so that changes are compared with it."""
        return self._early is None

    @property
    def is_between_events(self) -> bool:
        """Always: what the gateway says itself is written as whole events."""
        return True

    def close(self) -> None:
        """End the stream: the policy, the config or the gateway no longer allows it."""
        if self._keeping is not None:
            self._keeping.cancel()

    def end(self) -> None:
        """End the stream, since its session has ended."""
        self._stream.end()

    def subscribed_elsewhere(self, mark: bytes) -> None:
        """Ask a server, named by its fingerprint, for changes of what is subscribed now."""
        for source in self._sources:
            if mark_of(source.server) == mark:
                source.ask_again()

    async def run(self) -> None:
        """Feed the stream until the caller leaves or it is ended."""
        exchange = self._exchange
        exchange.request.bind_to_caller()
        exchange.request.connection.accept_no_more()
        async with self._place():
            await self._follow_all()

    def _place(self) -> AbstractAsyncContextManager[None]:
        """Let other replicas find the stream, to tell it of subscriptions that they get."""
        vector, services = self._exchange.session, self._services
        if not isinstance(vector, SessionVector):
            return nullcontext()
        key = key_of(self._exchange, vector)
        return services.places.stream(key, partial(followed_here, services, key))

    async def _follow_all(self) -> None:
        exchange, services = self._exchange, self._services
        services.streams.opened(self._stream, services.snapshot())
        tasks = [asyncio.create_task(source.run()) for source in self._sources]
        keeping = self._keeping = asyncio.create_task(self._keep(tasks))
        try:
            with services.sessions.followed_by(exchange, self):
                if not self._to.is_ended:
                    await asyncio.wait({keeping})
        finally:
            exchange.request.release_from_caller()
            services.streams.closed(self._stream)
            await _cancelled([keeping, *tasks])
        if not keeping.cancelled():
            keeping.result()  # a bug of ours is reported
        if self._wanted.subscription is not None:
            self._to.write_own(strict_json.dumps(listen_ended(self._wanted.subscription)))
            exchange.is_answered = True
        await self._to.end()

    def _begin(self) -> None:
        self._to.begin()
        if self._wanted.subscription is None:
            for primitive in sorted(Primitive):
                self._to.write_own(list_changed(primitive))
        else:
            self._acknowledge()
        # What the caller is shown from now on is what later changes are compared with.
        self._dirty.update(self._wanted.lists)
        self._wake.set()

    def _acknowledge(self) -> None:
        """Say what of a listen's filter is honoured: the first message of its stream."""
        message = self._wanted.acknowledgement()
        text = strict_json.dumps(message)
        self._to.write_own(self._stream.notices.acknowledged(text, message, frozenset()))

    async def _keep(self, tasks: Sequence["asyncio.Task[None]"]) -> None:
        self._begin()
        await self._to.flush()
        while not self._to.is_ended and not self._to.downstream.gone:
            await self._awaken()
            for task in tasks:
                if task.done():
                    task.result()  # a bug of ours ends the stream, and is reported
            if self._dirty and await self._to.is_authenticated() and self._to.settle():
                await self._tell()
            await self._to.flush()

    async def _awaken(self) -> None:
        """Wait until there is something to do, and send comments meanwhile."""
        with suppress(TimeoutError):
            async with asyncio.timeout(KEEP_ALIVE_SECONDS):
                await self._wake.wait()
            self._wake.clear()
            return
        self._to.keep_alive()
        if any(source.is_silent for source in self._sources) and monotonic() - self._looked_at >= self._look_seconds:
            self._dirty.update(self._wanted.lists)

    @property
    def _look_seconds(self) -> float:
        cache = self._exchange.proxy.list_cache
        return max(_SHORTEST_LOOK, cache.ttl / 1000 if cache is not None else 0.0)

    async def _tell(self) -> None:
        """Tell the caller of lists that it sees otherwise now.

        The first time there is nothing to compare with: it is told what servers said since the stream began.
        """
        await asyncio.sleep(max(0.0, self._told_at + _NOTICE_SECONDS - monotonic()))
        looked, self._dirty = sorted(self._dirty), set()
        try:
            changed = await self._seen.changes(self._exchange, looked, self._span, self._services)
        except Refusal:
            self._stream.end()  # the caller has ended its session
            return
        self._told_at = self._looked_at = monotonic()
        early, self._early = self._early, None
        for primitive in sorted(changed if early is None else early):
            self._to.write_own(list_changed(primitive, subscription=self._wanted.subscription))

    def _changed(self, primitive: Primitive) -> None:
        if primitive not in self._wanted.lists:
            return
        self._dirty.add(primitive)
        if self._early is not None:
            self._early.add(primitive)
        self._wake.set()

    def _all_sources(self) -> list[ChangeSource]:
        kind = ChangeSource if self._wanted.subscription is None else ListenSource
        return [
            kind(self._exchange, place, self._to, self._span, self._services, self._wanted, self._changed)
            for place in visible_servers(self._exchange)
        ]


async def _cancelled(tasks: Sequence["asyncio.Task[None]"]) -> None:
    """End tasks, and wait for their end."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
