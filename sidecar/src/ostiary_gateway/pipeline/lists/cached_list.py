"""Lists and discovery of a server that callers see as it is, from the cache of raw lists.

A page is kept as the server sent it, and shaped for each caller like one that has just arrived. What is no result (an
error, a session that has ended) is not kept: the request is sent again as it is without a cache, so that its caller
gets what the server says.
"""

from time import monotonic
from typing import Any, Final

from ostiary_core import strict_json
from ostiary_core.contract.server_selection import ListCacheConfig
from ostiary_core.mcp.methods import AuthorizationKind, Method
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.media_types import JSON_HEADERS
from ostiary_gateway.pipeline.carry_out import carry_out
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.json_response import relay_document
from ostiary_gateway.pipeline.jsonrpc import ResponseSummary
from ostiary_gateway.pipeline.leg import Leg
from ostiary_gateway.pipeline.lists.caller_context import list_request
from ostiary_gateway.pipeline.lists.fetched_list import FetchedList, ListCopy
from ostiary_gateway.pipeline.lists.page_template import template_of
from ostiary_gateway.pipeline.lists.raw_list_cache import RAW_LISTS
from ostiary_gateway.pipeline.lists.raw_page import PAGE_ID, NoPage, RawPage, fetched_page
from ostiary_gateway.pipeline.lists.rendered_pages import RENDERED_PAGES, RenderedPageKey
from ostiary_gateway.pipeline.merged_sessions.session_opening import in_session
from ostiary_gateway.pipeline.merged_sessions.session_vector import SessionVector
from ostiary_gateway.pipeline.own_request import OwnRequest
from ostiary_gateway.pipeline.plans import Fan, One, Plan
from ostiary_gateway.pipeline.server_answer import ServerAnswer
from ostiary_gateway.pipeline.server_request import ask
from ostiary_gateway.pipeline.services import PipelineServices
from ostiary_gateway.pipeline.shown_list import report_list
from ostiary_gateway.server.response import Response
from ostiary_gateway.telemetry import ServerSpan, semantic_conventions
from ostiary_gateway.upstream import faults

_DISCOVER: Final = "server/discover"
#: The longest cursor by which a page is kept.
_CURSOR_LENGTH: Final = 1024


def with_cache(exchange: Exchange, plan: Plan) -> Plan:
    """Return the plan of a request to a proxy that keeps lists."""
    if type(plan) is not One or plan.leg.bridge is not None or plan.leg.message is None:
        return plan
    message, method = plan.leg.message, plan.leg.message.method
    if method is None or message.id is None or exchange.proxy.list_cache is None:
        return plan
    if plan.leg.server.eras.only not in (None, message.era):
        return plan
    cursor = message.params.get("cursor")
    is_short = cursor is None or (isinstance(cursor, str) and len(cursor) <= _CURSOR_LENGTH)
    is_kept = is_short and (method.authorization is AuthorizationKind.LIST or method.name == _DISCOVER)
    return Fan(_KeptPage(plan.leg, method, cursor, exchange.proxy.list_cache)) if is_kept else plan


class _KeptPage:
    """Answers one request for something that is kept."""

    def __init__(self, leg: Leg, method: Method, cursor: str | None, config: ListCacheConfig) -> None:
        self._leg = leg
        self._method = method
        self._cursor = cursor
        self._config = config

    async def __call__(self, exchange: Exchange, span: ServerSpan, services: PipelineServices) -> Response | None:
        """Return the response.

        Raises:
            Refusal: no server of the request answered, and none of its lists may still be shown.
            CallerGone: the caller disconnected.
        """
        found = self._rendered(exchange)
        if found is not None:
            span.set(semantic_conventions.OSTIARY_LIST_CACHE, "hit")
            return _finished(exchange, span, *found)
        try:
            copy = await self._copy(exchange, span, services)
        except NoPage:
            return await carry_out(One(self._leg), exchange, span, services)
        except UpstreamFault as fault:
            raise faults.refusal(fault) from fault
        return _finished(exchange, span, *await self._shaped(exchange, copy))

    def _rendered(self, exchange: Exchange) -> tuple[tuple[bytes, ...], ResponseSummary] | None:
        """Return the response if this caller, or one with the same rights, has had it."""
        page = RENDERED_PAGES.find(exchange, (self._leg.server,), self._key()) if may_share(exchange) else None
        if page is None:
            return None
        pieces = page.template.filled_pieces(strict_json.dumps(exchange.request_id), page.remaining_ms(monotonic()))
        report_list(exchange, pieces, page.outcome)
        return pieces, page.outcome

    def _key(self) -> RenderedPageKey:
        return RenderedPageKey(self._method.name, self._revision, self._cursor, self._leg.server.name)

    @property
    def _revision(self) -> str:
        if self._leg.session is not None:
            return self._leg.session.revision
        return self._leg.message.revision if self._leg.message is not None else ""

    async def _copy(self, exchange: Exchange, span: ServerSpan, services: PipelineServices) -> ListCopy[RawPage]:
        """Return the page of the first server of the request that has one."""
        while True:
            try:
                return await self._copy_of_server(exchange, span, services)
            except UpstreamFault:
                if self._leg.instead is None:
                    raise
                self._leg = exchange.leg = self._leg.instead

    async def _copy_of_server(
        self, exchange: Exchange, span: ServerSpan, services: PipelineServices
    ) -> ListCopy[RawPage]:
        server, revision, is_asked = self._leg.server, self._revision, False

        async def fetch() -> FetchedList[RawPage]:
            nonlocal is_asked
            is_asked = True
            return fetched_page(server, await self._ask(exchange, span, services), revision)

        request = list_request(exchange, server, method=self._method.name, revision=revision, cursor=self._cursor)
        copy = await RAW_LISTS.get(server, request, self._config, fetch)
        found = "stale" if copy.is_stale else "miss" if is_asked else "hit"
        span.set(semantic_conventions.OSTIARY_LIST_CACHE, found)
        return copy

    async def _ask(self, exchange: Exchange, span: ServerSpan, services: PipelineServices) -> ServerAnswer:
        server, session, method = self._leg.server, self._leg.session, self._method.name
        params = {} if self._cursor is None else {"cursor": self._cursor}
        if isinstance(session, SessionVector):
            sessions = services.sessions
            return await sessions.ask(exchange, server, method, params, span=span, seconds=server.request_seconds)
        request = OwnRequest(method, params, self._revision) if session is None else in_session(session, method, params)
        return await ask(exchange, server, request, span=span, seconds=server.request_seconds)

    async def _shaped(self, exchange: Exchange, copy: ListCopy[RawPage]) -> tuple[bytes, ResponseSummary]:
        """Return a page as the caller may see it, with the time that is left of it."""
        exchange.sent_id = PAGE_ID
        document, outcome = await relay_document(exchange, self._leg, copy.value.response(), seal=_no_session)
        template = template_of(document.body)
        if template is None:
            return document.body, outcome
        if may_share(exchange) and self._method.name != _DISCOVER and not outcome.is_of_caller:
            RENDERED_PAGES.keep_page(exchange, (self._leg.server,), self._key(), (copy,), template, outcome)
        return template.filled(strict_json.dumps(exchange.request_id), copy.remaining_ms(monotonic())), outcome


def may_share(exchange: Exchange) -> bool:
    """Return whether only rights decide what a caller sees.

    It has no quota of its own, and no limit on bytes.
    """
    use = exchange.limit_use
    return use is None or (use.find_exhausted is None and not use.sizes)


def _no_session(*_: Any) -> str:
    raise AssertionError("a list opens no session")


def _finished(
    exchange: Exchange, span: ServerSpan, body: bytes | tuple[bytes, ...], outcome: ResponseSummary
) -> Response:
    """Report a response, and return it."""
    if exchange.limit_use is not None:
        exchange.limit_use.is_written = True  # it counts, although no server got it
    span.respond(code=outcome.code, message=outcome.message)
    if outcome.dropped:
        span.set(semantic_conventions.OSTIARY_LIST_DROPPED_ITEMS, outcome.dropped)
    return Response(200, body, JSON_HEADERS)
