"""Ask one of several servers for the pages of a list, in an era that it speaks.

The caller's own era comes first. A server that speaks only the other one is asked in that: a modern one without a
session, a legacy one in a session that the gateway keeps for the caller. Lists need no more of a bridge: an item is the
same in both eras.
"""

from collections.abc import Mapping
from typing import Any, Final

from ostiary_core.mcp.protocol_revisions import LEGACY, MODERN
from ostiary_gateway.bridge.to_modern import REVISION
from ostiary_gateway.pipeline.bridged.era_discovery import find_eras
from ostiary_gateway.pipeline.bridged.legacy_session import LegacySession
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.merged_sessions.session_vector import SessionVector
from ostiary_gateway.pipeline.own_request import OwnRequest
from ostiary_gateway.pipeline.server_answer import ServerAnswer
from ostiary_gateway.pipeline.server_request import ask
from ostiary_gateway.pipeline.services import PipelineServices
from ostiary_gateway.telemetry import ServerSpan
from ostiary_gateway.upstream.server import UpstreamServer
from ostiary_gateway.upstream.server_eras import refuses_era

#: The status of a server that does not know a session.
_SESSION_LOST: Final = 404


class ListAsker:
    """Asks one server for pages on behalf of the caller of an exchange.

    :meth:`close` must be called at the end.
    """

    def __init__(
        self, exchange: Exchange, server: UpstreamServer, span: ServerSpan, services: PipelineServices
    ) -> None:
        self.exchange = exchange
        self.server = server
        self._span = span
        self._services = services
        self._session: LegacySession | None = None

    @property
    def revision(self) -> str:
        """The protocol revision of the request, as lists may differ by it."""
        if self._session is not None:
            return self._session.revision
        message = self.exchange.message
        session = self._services.sessions.at_hand(self.exchange, self.server)
        return session.revision if session is not None else message.revision if message is not None else ""

    async def page(self, method: str, params: Mapping[str, Any], *, seconds: float) -> ServerAnswer:
        """Return the answer to a request for a page.

        Raises:
            UpstreamFault: the server does not answer, or there is no session with it.
            Refusal: the caller has ended its session.
        """
        exchange, message = self.exchange, self.exchange.message
        if isinstance(exchange.session, SessionVector):
            sessions = self._services.sessions
            return await sessions.ask(exchange, self.server, method, params, span=self._span, seconds=seconds)
        era = message.era if message is not None else LEGACY
        eras = self.server.eras
        if eras.must_be_asked(era):
            await find_eras(exchange, self.server, span=self._span)
        only = eras.only
        if era is MODERN and only is LEGACY:
            return await self._page_in_session(method, params, seconds=seconds)
        revision = REVISION if only is MODERN else message.revision if message is not None else ""
        answer = await self._ask(OwnRequest(method, params, revision), seconds=seconds)
        if answer.status >= 400 and refuses_era(method, answer.status, answer.message or None):
            eras.note_refused(MODERN if only is MODERN else era)
            eras.doubt()
        return answer

    async def _page_in_session(self, method: str, params: Mapping[str, Any], *, seconds: float) -> ServerAnswer:
        """Ask in a session that the gateway keeps for a modern caller.

        It is opened again where the server has forgotten it.
        """
        answer = await self._ask(await self._in_session(method, params), seconds=seconds)
        if answer.status >= 400:
            self.server.eras.note_answer(method, answer.status, answer.message or None)
        if answer.status != _SESSION_LOST or self._session is None or self._session.session_id is None:
            return answer
        self._services.legacy_sessions.lose(self._session)
        self.close()
        return await self._ask(await self._in_session(method, params), seconds=seconds)

    async def _in_session(self, method: str, params: Mapping[str, Any]) -> OwnRequest:
        if self._session is None:
            self._session = await self._services.legacy_sessions.acquire(self.exchange, self.server, self._span)
        return OwnRequest(method, params, self._session.revision, self._session.session_id)

    async def _ask(self, request: OwnRequest, *, seconds: float) -> ServerAnswer:
        return await ask(self.exchange, self.server, request, span=self._span, seconds=seconds)

    def close(self) -> None:
        """Release the session that the server was asked in."""
        session, self._session = self._session, None
        if session is not None:
            self._services.legacy_sessions.release(session)
