"""The response to a request for a merged list: the page, and what is said about it."""

from collections.abc import Mapping
from typing import Any, Final

from ostiary_core import strict_json
from ostiary_core.mcp.meta_keys import META_SERVER_INFO
from ostiary_core.mcp.methods import Method
from ostiary_core.mcp.protocol_revisions import MODERN
from ostiary_gateway.catalogue.unavailable import (
    FILTERED_TO_EMPTY,
    UPSTREAM_EMPTY,
    UPSTREAM_UNREACHABLE,
    Unavailable,
    with_cause,
    with_unavailable,
)
from ostiary_gateway.media_types import JSON_HEADERS
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.jsonrpc import ResponseSummary
from ostiary_gateway.pipeline.large_messages import process_large
from ostiary_gateway.pipeline.lenient_list_filter import TTL_LIMIT_MS
from ostiary_gateway.pipeline.merged.kept_pages import keep_page
from ostiary_gateway.pipeline.merged.server_lists import ServerList
from ostiary_gateway.pipeline.merged.shown_pages import ShownPage
from ostiary_gateway.pipeline.message import Message
from ostiary_gateway.pipeline.quota_discovery import showing_quotas
from ostiary_gateway.pipeline.response_limits import check_response_size
from ostiary_gateway.pipeline.server_request import GATEWAY_INFO
from ostiary_gateway.pipeline.shown_list import report_list
from ostiary_gateway.server.response import Response

_MODERN_MEMBERS: Final[Mapping[str, Any]] = {"resultType": "complete", "_meta": {META_SERVER_INFO: dict(GATEWAY_INFO)}}


async def list_response(
    exchange: Exchange,
    message: Message,
    method: Method,
    lists: Mapping[int, ServerList],
    page: ShownPage,
    cursor: str | None,
) -> Response:
    """Return the response with a page of a list; ``cursor`` is that of the next page.

    ``lists`` are those of the servers that the caller may see something of, by their place in the spec.

    Raises:
        LimitError: it is larger than a limit of a policy allows.
    """
    cause = _cause(lists, page) if page.is_empty and page.is_whole else ""
    result = _result(exchange, message, method, lists, cause)
    if cursor is not None:
        result["nextCursor"] = cursor
    body = _written(exchange, method, page.items, result)
    use = exchange.limit_use
    if use is not None:
        use.is_written = True  # it counts, although perhaps no server got it
        check_response_size(exchange, len(body))
        if use.find_exhausted is not None:
            steps = showing_quotas(body, use.find_exhausted, use.taken_at)
            body = await process_large(steps, text=body, proxy=exchange.proxy.uid)
    outcome = ResponseSummary(dropped=len(page.dropped), empty=cause, findings=page.findings)
    if not page.is_of_caller:
        keep_page(exchange, message, method, lists.values(), body, outcome)
    report_list(exchange, body, outcome)
    return Response(200, body, JSON_HEADERS)


def _result(
    exchange: Exchange, message: Message, method: Method, lists: Mapping[int, ServerList], cause: str
) -> dict[str, Any]:
    """Return the members of the result besides the list."""
    result: dict[str, Any] = {}
    if message.era is MODERN:
        result = {**_MODERN_MEMBERS, **_hints(exchange, method, lists)}
    prefixes = exchange.proxy.merge.catalogue.servers if exchange.proxy.merge is not None else ()
    failing = [Unavailable(prefixes[place][1], each.reason) for place, each in lists.items() if each.reason]
    result = with_unavailable(result, failing)
    return with_cause(result, cause) if cause else result


def _cause(lists: Mapping[int, ServerList], page: ShownPage) -> str:
    """Return why a list is empty."""
    if page.listed or not lists:
        return FILTERED_TO_EMPTY
    return UPSTREAM_UNREACHABLE if any(each.raw is None for each in lists.values()) else UPSTREAM_EMPTY


def _hints(exchange: Exchange, method: Method, lists: Mapping[int, ServerList]) -> dict[str, Any]:
    """Return how long and for whom the list may be cached (specification, Caching)."""
    assert method.primitive is not None  # noqa: S101  every list has one
    visibility = exchange.visibility
    is_filtered = visibility.content is not None or not visibility.shows_all(method.primitive)
    ttl = min((each.ttl_ms for each in lists.values()), default=0)
    is_private = any(each.is_private for each in lists.values())
    of_caller = is_filtered or is_private or exchange.proxy.authenticator is not None
    return {
        "ttlMs": min(ttl, TTL_LIMIT_MS) if is_filtered else ttl,
        "cacheScope": "private" if of_caller else "public",
    }


def _written(exchange: Exchange, method: Method, items: bytes, result: Mapping[str, Any]) -> bytes:
    """Return the response; the list is not parsed again for it."""
    more = strict_json.dumps(result)
    return b"".join(  # once: a list of tools often has a hundred kilobytes
        (
            b'{"jsonrpc":"2.0","id":',
            strict_json.dumps(exchange.request_id),
            b',"result":{"',
            method.list_key.encode(),
            b'":',
            items,
            b"," if len(more) > len(b"{}") else b"",
            more[1:],
            b"}",
        )
    )
