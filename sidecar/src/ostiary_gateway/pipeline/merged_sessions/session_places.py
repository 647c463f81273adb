"""Finds what is open of a session in other replicas: streams of changes, calls in flight.

A client says ``notifications/cancelled`` and ``resources/subscribe`` in requests of their own, which may arrive at
another replica than the one with the call or the stream. With shared session notes each replica notes there what is
open in it, as the handle of something that waits (:mod:`ostiary_gateway.pipeline.continuations`), and another one tells
it through its admin port. Without them, nothing of this costs anything, and a replica knows only what is open in it.
"""

import asyncio
import hashlib
import os
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, Final

from ostiary_gateway.errors import Refusal, UpstreamFault
from ostiary_gateway.pipeline.continuations.continuations import Continuations
from ostiary_gateway.pipeline.continuations.handle import Handle, Owner
from ostiary_gateway.pipeline.merged_sessions.session_notes import SessionKey, SessionNotes

#: What streams of changes are noted as.
STREAM: Final = "stream"
#: Seconds after which a call is noted: most calls are over by then.
_CALL_SECONDS: Final = 0.5
#: Seconds after which a call to be cancelled is looked for: at once, and when it has been noted by then.
_LOOKS: Final = (0.0, 2 * _CALL_SECONDS, 2 * _CALL_SECONDS)
#: The most calls that are looked for at once, of one session and of all: a client may cancel in a storm.
_LOOKING: Final = 16
_LOOKING_IN_ALL: Final = 1024
#: Seconds that telling other replicas may take.
_TELL_SECONDS: Final = 6.0
#: The most that one replica notes of one session at once.
_MOST: Final = 64

Told = Callable[[bytes], Awaitable[None]]
"""What is done when another replica tells something."""


class SessionPlaces:
    """What is open of sessions in this replica, as others find it.

    Must be used within one event loop.
    """

    def __init__(self, notes: SessionNotes, continuations: Continuations) -> None:
        self._notes = notes
        self._continuations = continuations
        self._open: Counter[SessionKey] = Counter()
        self._looking: Counter[SessionKey] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def stream(self, key: SessionKey, told: Told) -> AsyncIterator[None]:
        """Let other replicas find a stream of changes, in this block.

        What they note from its begin on, they tell.
        """
        with self._found(key, STREAM, told, after=0.0) as noting:
            if noting is not None:
                await asyncio.wait({noting})
            yield

    @contextmanager
    def call(self, key: SessionKey, identifier: str | int | None, told: Told) -> Iterator[None]:
        """Let other replicas find a call by the id that its client gave it, in this block."""
        if self._notes.shared is None:
            yield
            return
        with self._found(key, _call_name(identifier), told, after=_CALL_SECONDS):
            yield

    async def tell_streams(self, key: SessionKey, content: bytes) -> None:
        """Tell the session's streams of changes in other replicas, and wait until they have acted."""
        if self._notes.shared is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(_TELL_SECONDS):
                    await self._tell(key, STREAM, content)

    def tell_call(self, key: SessionKey, identifier: str | int | None) -> None:
        """Tell a call of a client in another replica, without waiting for it."""
        if self._notes.shared is None or self._looking[key] >= _LOOKING or self._looking.total() >= _LOOKING_IN_ALL:
            return
        self._looking[key] += 1
        _ = self._start(self._tell_once_noted(key, _call_name(identifier)))

    async def close(self) -> None:
        """End what is told and noted now."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @contextmanager
    def _found(self, key: SessionKey, name: str, told: Told, *, after: float) -> "Iterator[asyncio.Task[None] | None]":
        if self._notes.shared is None or self._open[key] >= _MOST:
            yield None
            return
        self._open[key] += 1
        place = _Place(key, f"{name}.{os.urandom(8).hex()}", told)
        noting = self._start(self._note(place, after))
        try:
            yield noting
        finally:
            self._open[key] -= 1
            if not self._open[key]:
                del self._open[key]
            noting.cancel()
            if place.handle is not None:
                self._continuations.forget(place.handle)
                _ = self._start(self._forget(place, noting))

    async def _note(self, place: "_Place", after: float) -> None:
        await asyncio.sleep(after)
        place.handle = self._continuations.keep_lasting(place, owner=_owner(place.key))
        if self._notes.shared is not None:
            await self._notes.shared.note_place(place.key, place.name, place.handle.packed().hex())

    async def _forget(self, place: "_Place", noting: "asyncio.Task[None]") -> None:
        await asyncio.gather(noting, return_exceptions=True)
        if self._notes.shared is not None:
            await self._notes.shared.forget_place(place.key, place.name)

    async def _tell_once_noted(self, key: SessionKey, name: str) -> None:
        try:
            for seconds in _LOOKS:
                await asyncio.sleep(seconds)
                if await self._tell(key, name, b""):
                    return
        finally:
            self._looking[key] -= 1
            if not self._looking[key]:
                del self._looking[key]

    async def _tell(self, key: SessionKey, name: str, content: bytes) -> bool:
        """Tell all that is noted under a name, and return whether anything is."""
        store = self._notes.shared
        places = await store.places(key) if store is not None else {}
        found = {each: handle for each, handle in places.items() if each.rpartition(".")[0] == name}
        await asyncio.gather(*(self._tell_one(key, *each, content) for each in found.items()))
        return bool(found)

    async def _tell_one(self, key: SessionKey, name: str, written: str, content: bytes) -> None:
        try:
            handle = Handle.unpacked(bytes.fromhex(written))
            async for _ in self._continuations.resume(handle, content, owner=_owner(key)):
                pass
        except UpstreamFault:
            return
        except Refusal:  # it has ended, or its replica is gone
            if self._notes.shared is not None:
                await self._notes.shared.forget_place(key, name)

    def _start(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


class _Place:
    """Something open of a session, as what waits in this replica (a ``Continuation``).

    ``handle`` once it can be found.
    """

    def __init__(self, key: SessionKey, name: str, told: Told) -> None:
        self.key = key
        self.name = name
        self.handle: Handle | None = None
        self._told = told

    async def resume(self, payload: bytes) -> AsyncGenerator[bytes]:
        """Act on what another replica tells; it gets nothing for it."""
        await self._told(payload)
        return
        yield b""

    def abandon(self) -> None:
        """Nothing to do: it ends with its stream or its call."""


def _owner(key: SessionKey) -> Owner:
    return Owner(key.proxy_uid, f"place\n{key.principal}\n{key.key}")


def _call_name(identifier: str | int | None) -> str:
    """Return what a call is noted as.

    The id 1 and the id "1" count as one (:mod:`..request_ids`).
    """
    return f"call {hashlib.sha256(str(identifier).encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"
