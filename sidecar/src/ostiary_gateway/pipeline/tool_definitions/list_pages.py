"""The pages of a list of a server, asked for on behalf of the caller of an exchange."""

from collections.abc import AsyncGenerator, Mapping
from typing import Any, Final

from ostiary_core.mcp.methods import Method
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.merged.page_requests import ListAsker
from ostiary_gateway.pipeline.merged_sessions.session_vector import SessionVector
from ostiary_gateway.pipeline.own_request import OwnRequest
from ostiary_gateway.pipeline.server_answer import ServerAnswer, fault_of
from ostiary_gateway.pipeline.server_request import ask
from ostiary_gateway.pipeline.services import PipelineServices
from ostiary_gateway.telemetry import ServerSpan
from ostiary_gateway.upstream.server import UpstreamServer

#: The most pages that are read, and seconds that each may take.
_PAGES: Final = 64
_SECONDS: Final = 5.0


async def list_pages(
    exchange: Exchange, server: UpstreamServer, method: Method, span: ServerSpan, services: PipelineServices
) -> AsyncGenerator[ServerAnswer]:
    """Yield the pages of a list, in the session and with the credential of the caller.

    Raises:
        UpstreamFault: the server does not answer with a list.
        Refusal: the caller has ended its session.
    """
    asker = ListAsker(exchange, server, span, services)
    params: dict[str, Any] = {}
    seen: set[str] = set()
    try:
        while len(seen) < _PAGES:
            answer = await _page(asker, method, params, span)
            if (fault := fault_of(server, answer)) is not None:
                raise fault
            yield answer
            cursor = (answer.result or {}).get("nextCursor")
            if not isinstance(cursor, str) or cursor in seen:
                return
            seen.add(cursor)
            params = {"cursor": cursor}
    finally:
        asker.close()


async def _page(asker: ListAsker, method: Method, params: Mapping[str, Any], span: ServerSpan) -> ServerAnswer:
    exchange, session = asker.exchange, asker.exchange.session
    if session is None or isinstance(session, SessionVector):
        return await asker.page(method.name, params, seconds=_SECONDS)
    request = OwnRequest(method.name, params, session.revision, session.upstream_id or None, endpoint=session.endpoint)
    return await ask(exchange, asker.server, request, span=span, seconds=_SECONDS)
