"""A server's response that the gateway makes itself, message by message.

What a bridge reads from a server of another era, or what another replica sends, becomes a response in the caller's era
and passes the same stages as every response: lists are filtered, limits and audit see it, a slow caller slows it.
"""

import asyncio
import logging
import struct
from collections.abc import AsyncGenerator
from typing import Final, NamedTuple

from ostiary_gateway import sse
from ostiary_gateway.errors import Refusal, UpstreamFault
from ostiary_gateway.media_types import EVENT_STREAM
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.http1.upstream_response import UpstreamResponse
from ostiary_gateway.upstream.made_document import made_document

_log = logging.getLogger(__name__)

#: Seconds after which the caller gets a stream, which keeps its connection open, although there is no message yet.
_PATIENCE_SECONDS: Final = 5.0
_STREAM: Final = {b"content-type": EVENT_STREAM.encode()}
_HEAD: Final = struct.Struct(">?H")


class MadeMessage(NamedTuple):
    """One message to the caller.

    ``is_last`` for the response to its request, and ``status`` is the HTTP status that such a response needs.
    """

    text: bytes
    is_last: bool = False
    status: int = 200

    def packed(self) -> bytes:
        """Return it for another replica."""
        return _HEAD.pack(self.is_last, self.status) + self.text

    @classmethod
    def unpacked(cls, text: bytes) -> "MadeMessage":
        """Return a message of another replica."""
        is_last, status = _HEAD.unpack_from(text)
        return cls(text[_HEAD.size :], is_last, status)


async def made_response(messages: AsyncGenerator[MadeMessage], *, is_quick: bool = True) -> UpstreamResponse:
    """Return a response of these messages.

    A document if the first is the last, otherwise a stream. It is a stream, too, if none comes soon, or at once unless
    it ``is_quick``. Closing it ends the messages.

    Raises:
        Refusal, UpstreamFault: there is no first message.
    """
    first = asyncio.ensure_future(anext(messages, None))
    try:
        if is_quick:
            await asyncio.wait({first}, timeout=_PATIENCE_SECONDS)
    except asyncio.CancelledError:
        await _end(first, messages)
        raise
    if not first.done():
        return _Source(messages, first).response
    message = first.result()
    if message is None:
        raise UpstreamFault(faults.RESET, "the server ended without an answer")
    if not message.is_last:
        return _Source(messages, first).response
    await messages.aclose()
    return made_document(message.text, status=message.status)


async def _end(first: "asyncio.Future[MadeMessage | None]", messages: AsyncGenerator[MadeMessage]) -> None:
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    await messages.aclose()


def _one_line(text: bytes) -> bytes:
    """Return JSON without line ends, which would end the data of an event."""
    return text.replace(b"\r", b" ").replace(b"\n", b" ") if b"\n" in text or b"\r" in text else text


#: What is just being ended: the event loop itself keeps no task alive.
_ENDING: Final[set["asyncio.Future[None]"]] = set()


class _Source:
    """Feeds messages into a response as the caller takes them."""

    def __init__(self, messages: AsyncGenerator[MadeMessage], first: "asyncio.Future[MadeMessage | None]") -> None:
        self.response = UpstreamResponse(200, dict(_STREAM), self)
        self._messages = messages
        self._first = first
        self._may_feed = asyncio.Event()
        self._may_feed.set()
        self._task = asyncio.ensure_future(self._feed_all())
        # Not in the task itself: one that is cancelled before its first step does nothing at all.
        self._task.add_done_callback(self._end_messages)

    async def _feed_all(self) -> None:
        try:
            message = await self._first
            while message is not None:
                self.response.feed(sse.event(_one_line(message.text)))
                if message.is_last:
                    break
                await self._may_feed.wait()
                message = await anext(self._messages, None)
            self.response.finish()
        except UpstreamFault as fault:
            self.response.fail(fault)
        except Refusal as refusal:
            self.response.fail(UpstreamFault(faults.UNAVAILABLE, refusal.message))

    def _end_messages(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a bridged response failed: this is a bug of the gateway", exc_info=error)
            self.response.fail(UpstreamFault(faults.UNAVAILABLE, "the gateway failed to translate a response"))
        ending = asyncio.ensure_future(_end(self._first, self._messages))
        _ENDING.add(ending)
        ending.add_done_callback(_ENDING.discard)

    def close(self) -> None:
        """End the messages: the caller has gone, or has what it needs."""
        self._task.cancel()

    def pause(self) -> None:
        """Take no more messages until the caller has taken those before."""
        self._may_feed.clear()

    def resume(self) -> None:
        """Go on."""
        self._may_feed.set()
