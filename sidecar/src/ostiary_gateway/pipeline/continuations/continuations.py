"""Keeps what waits in this replica, and takes answers to where they are awaited.

Each is used once, belongs to one principal at one proxy, and ends after some time. Parked calls are counted: each
holds a connection to its server.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Final, Protocol

from ostiary_core.mcp import codes
from ostiary_gateway.errors import Refusal
from ostiary_gateway.pipeline.continuations.awaited_answer import AwaitedAnswer
from ostiary_gateway.pipeline.continuations.continuation_errors import continuation_lost
from ostiary_gateway.pipeline.continuations.handle import Handle, Owner
from ostiary_gateway.seal import Purpose, Sealer

#: The most calls that are parked at once: of one principal, and of all.
MOST_PER_PRINCIPAL: Final = 16
MOST_PARKED: Final = 256
#: Seconds that a caller has for an answer.
ANSWER_SECONDS: Final = 600.0
#: The id of a question to a session's client. No server's name begins with a capital letter (see merged sessions).
QUESTION: Final = Purpose("Q1.", "question v1", 1024)


class Continuation(Protocol):
    """What goes on once its caller has answered."""

    def resume(self, payload: bytes) -> AsyncGenerator[bytes]:
        """Go on with the answer, and yield what the caller gets: texts of JSON-RPC messages.

        A reader that stops early has gone: the work is cancelled.

        Raises:
            UpstreamFault: its server failed.
        """

    def abandon(self) -> None:
        """End it without an answer: its time is over, or the gateway ends."""


class Hops(Protocol):
    """Takes an answer to another replica (:mod:`.replica_hops`)."""

    def resume(self, handle: Handle, payload: bytes, owner: Owner) -> AsyncGenerator[bytes]:
        """Go on there; yield what the caller gets.

        Raises:
            Refusal: nothing waits there any more.
            UpstreamFault: its server failed.
        """


@dataclass(slots=True)
class _Waiting:
    continuation: Continuation
    owner: Owner
    #: What it is counted by; None where it is not counted.
    share: str | None
    #: Ends it; None for what may be told any number of times, until it is forgotten.
    timer: asyncio.TimerHandle | None


class Continuations:
    """What waits in this replica.

    ``address`` is where other replicas reach its admin port, empty where they cannot; ``hops`` reaches others.
    """

    def __init__(self, sealer: Sealer, *, hops: Hops | None = None) -> None:
        self.address = ""
        self.hops = hops
        #: How many answers found nothing that waits for them.
        self.lost = 0
        self._sealer = sealer
        self._waiting: dict[bytes, _Waiting] = {}
        self._parked: Counter[str] = Counter()

    @property
    def parked(self) -> int:
        """The number of calls that are parked now."""
        return self._parked.total()

    def check_room(self, share: str) -> None:
        """Check that one more call may be parked for those who are counted by ``share``.

        Raises:
            Refusal: too many are.
        """
        if self._parked[share] >= MOST_PER_PRINCIPAL or self.parked >= MOST_PARKED:
            words = "Too many calls wait for input already: answer or abandon some, then try again"
            raise Refusal(200, "TooManyParkedCalls", words, code=codes.LIMITED)

    def park(self, continuation: Continuation, *, owner: Owner, share: str, seconds: float = ANSWER_SECONDS) -> Handle:
        """Keep a call until its caller answers, and return its handle.

        ``share`` is what it is counted by: the principal, or the address of a client without one.

        Raises:
            Refusal: too many wait. The call has not been kept, and must be cancelled.
        """
        self.check_room(share)
        self._parked[share] += 1
        return self._keep(continuation, owner, share=share, seconds=seconds)

    def wait(self, *, owner: Owner, seconds: float = ANSWER_SECONDS) -> AwaitedAnswer:
        """Wait for the answer to a question, in a ``with`` block.

        Its ``id`` is the id to ask the question with.
        """
        return AwaitedAnswer(self, owner=owner, seconds=seconds)

    async def deliver(self, identifier: str, payload: bytes, *, owner: Owner) -> bool:
        """Take an answer to the :class:`AwaitedAnswer` with this id, perhaps in another replica.

        Return whether the id is one of ours, of a question to this owner.

        Raises:
            Refusal: it is, but no one waits for the answer any more.
        """
        content = self._sealer.open(
            QUESTION, identifier, proxy_uid=owner.proxy_uid, principal=owner.principal, max_age=2 * ANSWER_SECONDS
        )
        if content is None:
            return False
        async for _ in self.resume(Handle.unpacked(content), payload, owner=owner):
            pass
        return True

    async def resume(self, handle: Handle, payload: bytes, *, owner: Owner) -> AsyncGenerator[bytes]:
        """Go on with what waits, in whichever replica; yield what its caller gets.

        Raises:
            Refusal: nothing waits under this handle for this owner: it was used, has expired, or its replica is gone.
            UpstreamFault: its server failed.
        """
        going_on = self._going_on(handle, payload, owner)
        try:
            async for text in going_on:
                yield text
        finally:
            await going_on.aclose()

    def _going_on(self, handle: Handle, payload: bytes, owner: Owner) -> AsyncGenerator[bytes]:
        if self._is_own(handle):
            found = self.take(handle.key, owner)
            if found is not None:
                return found.resume(payload)
        elif self.hops is not None:
            return self.hops.resume(handle, payload, owner)
        self.lost += 1
        raise continuation_lost()

    def _is_own(self, handle: Handle) -> bool:
        return handle.key in self._waiting or not handle.replica or handle.replica == self.address

    def take(self, key: bytes, owner: Owner) -> Continuation | None:
        """Return what waits here under a key, once unless it lasts; None if not for this owner."""
        waiting = self._waiting.get(key)
        if waiting is None or waiting.owner != owner:
            return None
        if waiting.timer is not None:
            self._forget(key)
        return waiting.continuation

    def keep(self, continuation: Continuation, *, owner: Owner, seconds: float) -> Handle:
        """Keep what is not counted, since an open request of its caller waits for it."""
        return self._keep(continuation, owner, share=None, seconds=seconds)

    def keep_lasting(self, continuation: Continuation, *, owner: Owner) -> Handle:
        """Keep what may be told any number of times, until :meth:`forget`."""
        handle = Handle.new(self.address)
        self._waiting[handle.key] = _Waiting(continuation, owner, None, None)
        return handle

    def seal_question(self, handle: Handle, owner: Owner) -> str:
        """Return the id of a question: what its answer is found by."""
        return self._sealer.seal(QUESTION, handle.packed(), proxy_uid=owner.proxy_uid, principal=owner.principal)

    def forget(self, handle: Handle) -> None:
        """Keep it no longer, if it still waits."""
        if handle.key in self._waiting:
            self._forget(handle.key)

    def close(self) -> None:
        """End everything that waits."""
        for key in tuple(self._waiting):
            self._expire(key)

    def _keep(self, continuation: Continuation, owner: Owner, *, share: str | None, seconds: float) -> Handle:
        handle = Handle.new(self.address)
        timer = asyncio.get_running_loop().call_later(seconds, self._expire, handle.key)
        self._waiting[handle.key] = _Waiting(continuation, owner, share, timer)
        return handle

    def _forget(self, key: bytes) -> _Waiting:
        waiting = self._waiting.pop(key)
        if waiting.timer is not None:
            waiting.timer.cancel()
        if waiting.share is not None:
            self._parked[waiting.share] -= 1
            if not self._parked[waiting.share]:
                del self._parked[waiting.share]
        return waiting

    def _expire(self, key: bytes) -> None:
        self._forget(key).continuation.abandon()
