"""The answer to one question to the client of a session.

It may arrive at any replica.
"""

import asyncio
from collections.abc import AsyncGenerator
from types import TracebackType
from typing import Protocol

from ostiary_gateway.pipeline.continuations.handle import Handle, Owner


class AnswerKeeper(Protocol):
    """Keeps what waits (:class:`~.continuations.Continuations`)."""

    def keep(self, continuation: "AwaitedAnswer", *, owner: Owner, seconds: float) -> Handle:
        """Keep what waits, and return its handle."""

    def forget(self, handle: Handle) -> None:
        """Keep it no longer."""

    def seal_question(self, handle: Handle, owner: Owner) -> str:
        """Return the id of the question."""


class AwaitedAnswer:
    """The answer to one question that is awaited here, in a ``with`` block.

    ``id`` is the id that the question is sent with. The answer may arrive at any replica (``Continuations.deliver``).
    """

    def __init__(self, continuations: AnswerKeeper, *, owner: Owner, seconds: float) -> None:
        self._continuations = continuations
        self._answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._handle = continuations.keep(self, owner=owner, seconds=seconds)
        self.id = continuations.seal_question(self._handle, owner)

    def __enter__(self) -> "AwaitedAnswer":
        """Wait from now on."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Wait no longer."""
        self._continuations.forget(self._handle)
        self._answer.cancel()

    async def payload(self) -> bytes:
        """Return the answer as it was delivered.

        Raises:
            TimeoutError: there was none in time.
        """
        return await self._answer

    async def resume(self, payload: bytes) -> AsyncGenerator[bytes]:
        """Take the answer; its caller gets nothing for it."""
        if not self._answer.done():
            self._answer.set_result(payload)
        return
        yield b""

    def abandon(self) -> None:
        """Stop waiting: the time is over."""
        if not self._answer.done():
            self._answer.set_exception(TimeoutError("no answer in time"))
