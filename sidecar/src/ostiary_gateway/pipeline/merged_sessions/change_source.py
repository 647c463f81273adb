"""The stream of changes of one of several servers.

Opened, read, and opened again when it breaks.

A server of the handshake revisions gives it on a GET in a session, one of the newest revision answers
``subscriptions/listen``. A server that has none says so, and is not asked again: what changes there shows when lists
are read again. A stream that breaks takes nothing from those of other servers.
"""

import asyncio
import enum
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final

from ostiary_core.mcp.methods import Primitive
from ostiary_core.mcp.protocol_revisions import MODERN_REVISIONS
from ostiary_gateway.errors import Refusal, UpstreamFault
from ostiary_gateway.media_types import EVENT_STREAM
from ostiary_gateway.pipeline.caller_stream import CallerStream
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.leg import Leg
from ostiary_gateway.pipeline.leg_events import LegEvents
from ostiary_gateway.pipeline.lists.announced_changes import CHANGES
from ostiary_gateway.pipeline.merged_sessions.change_translation import ChangeTranslation
from ostiary_gateway.pipeline.merged_sessions.event_ids import no_event_id
from ostiary_gateway.pipeline.merged_sessions.leg_translation import translation_for
from ostiary_gateway.pipeline.merged_sessions.seen_lists import LIST_METHODS
from ostiary_gateway.pipeline.merged_sessions.session_opening import in_session, key_of, mark_of
from ostiary_gateway.pipeline.merged_sessions.session_vector import SessionVector
from ostiary_gateway.pipeline.merged_sessions.wanted_changes import WantedChanges
from ostiary_gateway.pipeline.own_request import OwnRequest
from ostiary_gateway.pipeline.pinned_sessions.session_endpoint import is_lost
from ostiary_gateway.pipeline.server_streams import own_stream
from ostiary_gateway.pipeline.services import PipelineServices
from ostiary_gateway.session_ids import UpstreamSession
from ostiary_gateway.telemetry import ServerSpan
from ostiary_gateway.upstream import faults
from ostiary_gateway.upstream.http1.upstream_response import UpstreamResponse
from ostiary_gateway.upstream.server import UpstreamServer

#: Seconds before a stream that broke is opened again: the first time, and at most. A random part is added.
_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 60.0
#: A stream that was open for so many seconds was a good one: the pauses begin again.
_GOOD_SECONDS: Final = 30.0
#: Statuses that mean that there is no such stream (specification, Listening for Messages from the Server).
_NO_STREAM: Final = frozenset({400, 404, 405, 501})


class Outcome(enum.Enum):
    """How the stream of a server ended."""

    NONE = "none"  # it has no such stream
    FORGOTTEN = "forgotten"  # it has forgotten the session
    ENDED = "ended"


@dataclass
class ChangeSource:
    """One server, as a source of changes for a caller's stream.

    ``place`` is the server's in the order of the spec. ``on_change`` is told of lists that the server says have
    changed, or that may have while the stream was broken. ``is_silent`` once it is known that the server has no such
    stream.
    """

    exchange: Exchange
    place: int
    to: CallerStream
    span: ServerSpan
    services: PipelineServices
    wanted: WantedChanges
    on_change: Callable[[Primitive], None]
    is_silent: bool = False
    _was_open: bool = field(default=False, init=False)
    #: The stream that is being read.
    _response: UpstreamResponse | None = field(default=None, init=False)
    _is_asked_again: bool = field(default=False, init=False)

    @property
    def server(self) -> UpstreamServer:
        """The server."""
        return self.exchange.proxy.servers[self.place]

    async def run(self) -> None:
        """Follow the server's changes until it turns out to have no stream of them."""
        pause = _FIRST_PAUSE
        while True:
            since = monotonic()
            if await self._follow() is Outcome.NONE:
                self.is_silent = True
                return
            if self._is_asked_again:
                self._is_asked_again = False
                continue
            if monotonic() - since >= _GOOD_SECONDS:
                pause = _FIRST_PAUSE
            await asyncio.sleep(pause + random.uniform(0, pause))  # noqa: S311  not security relevant
            pause = min(2 * pause, _LONGEST_PAUSE)

    def ask_again(self) -> None:
        """Open the stream again at once: what a modern server is to tell of has changed."""
        if self._response is not None:
            self._is_asked_again = True
            self._response.close()

    async def _follow(self) -> Outcome:
        """Open the stream and read it to its end; a server that fails is asked again later."""
        try:
            session = await self.services.sessions.obtain(self.exchange, self.server, span=self.span)
            if session is None:
                return Outcome.NONE
            outcome = await self._read_in(session)
            if outcome is Outcome.FORGOTTEN:
                await self.services.sessions.renewed(self.exchange, self.server, session, span=self.span)
        except UpstreamFault:
            return Outcome.ENDED  # it is in the span of the request, and in the server's health
        except Refusal:
            return Outcome.NONE  # the session has ended, or no notes are kept: nothing can be opened again
        return outcome

    async def _read_in(self, session: UpstreamSession) -> Outcome:
        """Read the stream of a session, which an endpoint that is not there any more has forgotten."""
        try:
            return await self._read(await self._request(session), session)
        except UpstreamFault as fault:
            if not is_lost(fault, session):
                raise
            return Outcome.FORGOTTEN

    async def _request(self, session: UpstreamSession) -> OwnRequest:
        if session.revision not in MODERN_REVISIONS:
            return in_session(session, "GET", {})
        wanted = self.wanted.filter_for(self.place)
        vector = self.exchange.session
        if isinstance(vector, SessionVector):
            note = await self.services.sessions.notes.looked_up(key_of(self.exchange, vector))
            if uris := sorted(note.subscriptions.get(mark_of(self.server), ())):
                wanted["resourceSubscriptions"] = uris
        return OwnRequest("subscriptions/listen", {"notifications": wanted}, session.revision)

    async def _read(self, request: OwnRequest, session: UpstreamSession | None) -> Outcome:
        async with own_stream(self.exchange, self.server, request, span=self.span) as response:
            if response.status == 404 and request.session_id is not None:
                return Outcome.FORGOTTEN
            if response.status in _NO_STREAM or (response.status < 300 and response.content_type != EVENT_STREAM):
                return Outcome.NONE
            if response.status >= 300 or response.encoded:
                raise UpstreamFault(faults.UNAVAILABLE, f"the upstream answered HTTP {response.status}")
            self.server.health.succeeded()
            if self._was_open:
                for primitive in Primitive:  # what the server said meanwhile was not heard
                    self._changed(primitive)
            self._was_open = True
            await self._pass_on(response, session)
            return Outcome.ENDED

    async def _pass_on(self, response: UpstreamResponse, session: UpstreamSession | None) -> None:
        leg = Leg(self.server, None, session)
        inner = translation_for(self.exchange, leg, self.services.sealer)
        leg.translation = ChangeTranslation(
            inner, self._changed, subscription=self.wanted.subscription, wanted=self.wanted.exposed
        )
        leg.event_ids = no_event_id
        events = LegEvents(self.exchange, leg, response, to=self.to, seal=_never_opens)
        self._response = response
        try:
            await events.run()
        finally:
            self._response = None
            events.leave()

    def _changed(self, primitive: Primitive) -> None:
        CHANGES.note(self.server, *(method.name for method in LIST_METHODS[primitive]))
        self.on_change(primitive)


def _never_opens(*_: Any) -> str:
    raise AssertionError("a stream of changes opens no session")
