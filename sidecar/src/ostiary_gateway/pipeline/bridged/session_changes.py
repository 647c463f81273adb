"""What a legacy server announces in one session, for all that listen in it.

A session has one stream of announcements, however many listen, and a server announces what a call has changed in the
session of that call. So those that listen share the session with the calls of their caller. A storm of announcements
takes bounded memory: one that is not taken yet stands for all that say the same.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from ostiary_gateway.bridge.legacy_changes import is_change
from ostiary_gateway.bridge.server_input import own_answer
from ostiary_gateway.errors import Refusal, UpstreamFault
from ostiary_gateway.media_types import EVENT_STREAM
from ostiary_gateway.pipeline import jsonrpc
from ostiary_gateway.pipeline.bridged.legacy_messages import MessageLimits, messages_of
from ostiary_gateway.pipeline.bridged.server_link import ServerLink
from ostiary_gateway.pipeline.own_request import own_id
from ostiary_gateway.session_ids import UpstreamSession
from ostiary_gateway.upstream.http1.upstream_response import UpstreamResponse

#: The most announcements that wait to be taken by one listener; the oldest is dropped for a new one.
MOST_WAITING: Final = 256
_UPDATED: Final = "notifications/resources/updated"


class ChangeListener:
    """One that listens: what was announced and it has not taken yet."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, str], Mapping[str, Any]] = {}
        self._is_over = False
        self._woken = asyncio.Event()

    def put(self, message: Mapping[str, Any]) -> None:
        """Keep an announcement until it is taken; the same one again replaces it."""
        params = message.get("params")
        uri = params.get("uri") if isinstance(params, dict) and message.get("method") == _UPDATED else ""
        self._waiting[str(message.get("method")), str(uri)] = message
        if len(self._waiting) > MOST_WAITING:
            del self._waiting[next(iter(self._waiting))]
        self._woken.set()

    def end(self) -> None:
        """Note that nothing follows."""
        self._is_over = True
        self._woken.set()

    async def taken(self) -> AsyncGenerator[Mapping[str, Any]]:
        """Yield each announcement, until the server's stream ends."""
        while True:
            while self._waiting:
                yield self._waiting.pop(next(iter(self._waiting)))
            if self._is_over:
                return
            self._woken.clear()
            await self._woken.wait()


class SessionChanges:
    """The announcements of one session.

    Its stream, who listens, and which resources they subscribe to.
    """

    def __init__(self) -> None:
        self._listeners: set[ChangeListener] = set()
        self._subscribed: Counter[str] = Counter()
        self._reading: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()

    def tell(self, message: Mapping[str, Any]) -> None:
        """Pass a message on to all that listen, if it announces a change."""
        for listener in self._listeners if is_change(message) else ():
            listener.put(message)

    async def join(
        self, listener: ChangeListener, link: ServerLink, session: UpstreamSession, limits: MessageLimits
    ) -> bool:
        """Let one more listen; return whether the server has a stream of announcements.

        Raises:
            UpstreamFault: the stream could not be opened.
        """
        async with self._turn:
            if self._reading is None:
                stream = await _opened(link, session)
                if stream is None:
                    return False
                reading = self._read(stream, link, session, limits)
                self._reading = asyncio.get_running_loop().create_task(reading)
            self._listeners.add(listener)
            return True

    def subscribe(self, uri: str) -> bool:
        """Count a subscription.

        Return whether it is the first to this resource, which the server must be told.
        """
        self._subscribed[uri] += 1
        return self._subscribed[uri] == 1

    def forget(self, uri: str) -> None:
        """Take a subscription back that the server has refused."""
        self._subscribed.subtract([uri])

    def leave(self, listener: ChangeListener, uris: Sequence[str]) -> list[str]:
        """Let one listen no more; return the resources that no other one has subscribed to."""
        self._listeners.discard(listener)
        self._subscribed.subtract(uris)
        left = [uri for uri in uris if self._subscribed[uri] <= 0]
        for uri in left:
            del self._subscribed[uri]
        if not self._listeners and self._reading is not None:
            self._reading.cancel()
            self._reading = None
        return left

    async def _read(
        self, stream: UpstreamResponse, link: ServerLink, session: UpstreamSession, limits: MessageLimits
    ) -> None:
        messages = messages_of(stream, link.server, limits, may_idle=True)
        try:
            with suppress(UpstreamFault, Refusal):
                async for _, message in messages:
                    if "method" in message and jsonrpc.id_of(message) is not None:
                        # It belongs to no call, so there is no caller to ask.
                        await link.tell(own_answer(message), session)
                    else:
                        self.tell(message)
        finally:
            await messages.aclose()
            stream.close()
        self._reading = None
        for listener in tuple(self._listeners):
            listener.end()


async def _opened(link: ServerLink, session: UpstreamSession) -> UpstreamResponse | None:
    """Return the stream of a session's announcements; None where the server has none."""
    response = await link.send("GET", None, session, repeatable=True)
    if response.status < 300 and response.content_type == EVENT_STREAM:
        return response
    response.close()
    return None


async def unsubscribe(link: ServerLink, session: UpstreamSession, uris: Sequence[str]) -> None:
    """Tell a server that some resources are of no interest any more.

    Raises:
        UpstreamFault: it could not be told.
    """
    for uri in uris:
        request = {"jsonrpc": "2.0", "id": own_id(), "method": "resources/unsubscribe", "params": {"uri": uri}}
        await link.tell(request, session)
