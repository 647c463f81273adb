"""Ask one of several servers for a page of a list, in an era that it speaks."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from ostiary_core.mcp.protocol_revisions import MODERN
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.server_answer import ServerAnswer
from ostiary_gateway.pipeline.server_request import OwnRequest, ask
from ostiary_gateway.pipeline.services import PipelineServices
from ostiary_gateway.telemetry import ServerSpan
from ostiary_gateway.upstream.server import UpstreamServer


class ListAsker(NamedTuple):
    """Asks one server on behalf of the caller of an exchange."""

    exchange: Exchange
    server: UpstreamServer
    span: ServerSpan
    services: PipelineServices

    @property
    def revision(self) -> str:
        """The protocol revision of the request, as lists may differ by it."""
        message = self.exchange.message
        session = self.services.sessions.at_hand(self.exchange, self.server)
        return session.revision if session is not None else message.revision if message is not None else ""

    async def page(self, method: str, params: Mapping[str, Any], *, seconds: float) -> ServerAnswer:
        """Return the answer to a request for a page.

        Raises:
            UpstreamFault: the server does not answer, or there is no session with it.
            Refusal: the caller has ended its session.
        """
        exchange, message = self.exchange, self.exchange.message
        if message is not None and message.era is MODERN:
            request = OwnRequest(method, params, message.revision)
            return await ask(exchange, self.server, request, span=self.span, seconds=seconds)
        return await self.services.sessions.ask(exchange, self.server, method, params, span=self.span, seconds=seconds)
