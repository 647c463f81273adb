"""One of several servers as a source of changes for ``subscriptions/listen``.

A modern server is asked for the same by a listen of the gateway's own. With a legacy one the gateway opens a session
for this listen, subscribes to the resources, and reads the session's stream; what the server asks there belongs to no
call.
"""

from contextlib import suppress
from typing import Final

from ostiary_core.mcp.protocol_revisions import LEGACY, MODERN
from ostiary_gateway.bridge.to_modern import REVISION
from ostiary_gateway.errors import Refusal, UpstreamFault
from ostiary_gateway.pipeline.bridged.era_discovery import find_eras
from ostiary_gateway.pipeline.bridged.legacy_session import LegacySession
from ostiary_gateway.pipeline.merged_sessions.change_source import ChangeSource, Outcome
from ostiary_gateway.pipeline.own_request import OwnRequest
from ostiary_gateway.pipeline.server_request import ask

_SUBSCRIBE: Final = "resources/subscribe"


class ListenSource(ChangeSource):
    """A source for a caller without a session."""

    async def _follow(self) -> Outcome:
        """Open the stream and read it to its end; a server that fails is asked again later."""
        try:
            if await self._is_legacy():
                return await self._in_session()
            filter_ = self.wanted.filter_for(self.place)
            return await self._read(OwnRequest("subscriptions/listen", {"notifications": filter_}, REVISION), None)
        except (UpstreamFault, Refusal):
            return Outcome.ENDED

    async def _is_legacy(self) -> bool:
        eras = self.server.eras
        if eras.must_be_asked(MODERN):
            await find_eras(self.exchange, self.server, span=self.span)
        return self.server.eras.only is LEGACY

    async def _in_session(self) -> Outcome:
        sessions = self.services.legacy_sessions
        session = await sessions.acquire_single(self.exchange, self.server, self.span)
        try:
            await self._subscribe(session)
            outcome = await self._read(session.request("GET"), session.at_server)
            if outcome is Outcome.FORGOTTEN:
                sessions.lose(session)
            return outcome
        finally:
            sessions.release(session)

    async def _subscribe(self, session: LegacySession) -> None:
        for uri in self.wanted.uris.get(self.place, ()):
            request = session.request(_SUBSCRIBE, {"uri": uri})
            with suppress(UpstreamFault):
                await ask(self.exchange, self.server, request, span=self.span, seconds=self.server.request_seconds)
