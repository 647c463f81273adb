"""First pages of merged lists as callers have got them.

They are good while all lists that they were made of are fresh. Most requests for lists are for the first page of one
that nothing has changed: they cost no more than their response.
"""

from collections.abc import Collection
from time import monotonic

from ostiary_core import strict_json
from ostiary_core.mcp.methods import Method
from ostiary_gateway.media_types import JSON_HEADERS
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.jsonrpc import ResponseSummary
from ostiary_gateway.pipeline.lists.cached_list import may_share
from ostiary_gateway.pipeline.lists.page_template import template_of
from ostiary_gateway.pipeline.lists.rendered_pages import RENDERED_PAGES, RenderedPageKey
from ostiary_gateway.pipeline.merged.server_lists import ServerList
from ostiary_gateway.pipeline.merged_sessions.session_vector import SessionVector
from ostiary_gateway.pipeline.message import Message
from ostiary_gateway.pipeline.services import PipelineServices
from ostiary_gateway.pipeline.shown_list import report_list
from ostiary_gateway.server.response import Response
from ostiary_gateway.telemetry import ServerSpan, semantic_conventions


def kept_page(
    exchange: Exchange, message: Message, method: Method, span: ServerSpan, services: PipelineServices
) -> Response | None:
    """Return the response to a request that a caller with the same rights has sent before.

    It is None for any other request.

    Raises:
        Refusal: the caller has ended its session.
    """
    if not _is_kept(exchange, message):
        return None
    servers = exchange.proxy.servers
    page = RENDERED_PAGES.find(exchange, servers, _key(message, method))
    if page is None:
        return None
    if isinstance(exchange.session, SessionVector):
        services.sessions.at_hand(exchange, servers[0])  # it must not have ended
    pieces = page.template.filled_pieces(strict_json.dumps(exchange.request_id), page.remaining_ms(monotonic()))
    if exchange.limit_use is not None:
        exchange.limit_use.is_written = True  # it counts, although no server got it
    report_list(exchange, pieces, page.outcome)
    span.set(semantic_conventions.OSTIARY_LIST_CACHE, "hit")
    return Response(200, pieces, JSON_HEADERS)


def keep_page(
    exchange: Exchange,
    message: Message,
    method: Method,
    lists: Collection[ServerList],
    body: bytes,
    outcome: ResponseSummary,
) -> None:
    """Keep a response for callers with the same rights, if all its servers have answered."""
    copies = tuple(each.copy for each in lists if each.copy is not None and not each.reason)
    if not copies or len(copies) != len(lists) or not _is_kept(exchange, message):
        return
    template = template_of(body)
    if template is not None:
        RENDERED_PAGES.keep_page(exchange, exchange.proxy.servers, _key(message, method), copies, template, outcome)


def _is_kept(exchange: Exchange, message: Message) -> bool:
    return (
        exchange.proxy.list_cache is not None
        and "cursor" not in message.params
        and exchange.snapshot.blocked is None
        and may_share(exchange)
    )


def _key(message: Message, method: Method) -> RenderedPageKey:
    return RenderedPageKey(method.name, message.revision, None)
