"""Lists of a proxy that merges servers.

All servers are asked, and the caller sees one list, cut to its rights.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ostiary_core import strict_json
from ostiary_core.mcp import codes
from ostiary_core.mcp.methods import Method, Verb
from ostiary_core.mcp.protocol_revisions import MODERN
from ostiary_core.policy.visibility import Visibility
from ostiary_gateway.catalogue.cursors import ListCursor
from ostiary_gateway.catalogue.drops import Drop
from ostiary_gateway.catalogue.merged_list import MergedList, digest_of, merging
from ostiary_gateway.catalogue.raw_list import RawList
from ostiary_gateway.catalogue.unavailable import (
    FILTERED_TO_EMPTY,
    UPSTREAM_EMPTY,
    UPSTREAM_UNREACHABLE,
    Unavailable,
    with_cause,
    with_unavailable,
)
from ostiary_gateway.config.observed_items import OFFERED
from ostiary_gateway.config.server_selection import MergeRuntime
from ostiary_gateway.errors import Refusal
from ostiary_gateway.media_types import JSON_HEADERS
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.json_response import report_list
from ostiary_gateway.pipeline.jsonrpc import ResponseSummary
from ostiary_gateway.pipeline.large_messages import Steps, process_large, process_sized
from ostiary_gateway.pipeline.lenient_list_filter import TTL_LIMIT_MS
from ostiary_gateway.pipeline.merged.server_lists import ServerList, lists_of
from ostiary_gateway.pipeline.merged.shown_pages import PAGES, PageKey, ShownPage, showing
from ostiary_gateway.pipeline.message import Message
from ostiary_gateway.pipeline.message_members import bad_params
from ostiary_gateway.pipeline.quota_discovery import showing_quotas
from ostiary_gateway.pipeline.response_limits import check_response_size
from ostiary_gateway.pipeline.server_request import GATEWAY_INFO
from ostiary_gateway.pipeline.services import PipelineServices
from ostiary_gateway.seal import CURSOR, Sealer
from ostiary_gateway.server.response import Response
from ostiary_gateway.telemetry import ServerSpan
from ostiary_gateway.telemetry.dropped_items import DROPPED
from ostiary_gateway.telemetry.server_listings import LISTINGS
from ostiary_gateway.upstream import faults

_META_SERVER_INFO: Final = "io.modelcontextprotocol/serverInfo"
_MODERN_MEMBERS: Final[Mapping[str, Any]] = {
    "resultType": "complete",
    "_meta": {_META_SERVER_INFO: dict(GATEWAY_INFO)},
}


async def list_all(exchange: Exchange, span: ServerSpan, services: PipelineServices) -> Response:
    """Answer a request for a list with what all servers list.

    Raises:
        Refusal: no server has a list, or one has none where the spec says so; or the cursor is not one of this list.
        LimitError: the response is larger than a limit of a policy allows.
        CallerGone: the caller disconnected.
    """
    message, runtime = exchange.message, exchange.proxy.merge
    if message is None or message.method is None or message.method.primitive is None or runtime is None:
        raise AssertionError("only a request for a list of a merging proxy is answered here")
    cursor = _cursor(exchange, message, message.method, services.sealer)
    if exchange.ends_with_caller:
        exchange.request.bind_to_caller()
    try:
        visible = _visible(exchange.visibility, message.method, len(exchange.proxy.servers))
        lists = await lists_of(exchange, message.method, visible, span, services)
    finally:
        exchange.request.release_from_caller()
    _refuse_if_missing(lists, runtime)
    digest = digest_of(_digest(lists.get(place)) for place in range(len(exchange.proxy.servers)))
    if cursor is not None and cursor.digest != digest:
        raise _bad_cursor(message)
    offset = cursor.offset if cursor is not None else 0
    page = await _page(exchange, message, message.method, runtime, lists, PageKey(message.method.name, digest, offset))
    return await _response(exchange, message, message.method, lists, page, digest, services.sealer)


def _visible(visibility: Visibility, method: Method, servers: int) -> tuple[int, ...]:
    """Return the places of the servers of whose list the caller may see something."""
    assert method.primitive is not None  # noqa: S101  every list has one
    primitive = method.primitive
    return tuple(place for place in range(servers) if visibility.may_use_some(primitive, Verb.LIST, server=place))


def _digest(found: ServerList | None) -> bytes | None:
    return found.raw.digest if found is not None and found.raw is not None else None


def _cursor(exchange: Exchange, message: Message, method: Method, sealer: Sealer) -> ListCursor | None:
    """Return the cursor of a request; None for one that asks for the first page.

    Raises:
        Refusal: -32602, it was not made here, for this caller and this list.
    """
    sent = message.params.get("cursor")
    if sent is None:
        return None
    plain = None
    if isinstance(sent, str):
        max_age = exchange.snapshot.settings.bounds.session_max_age / 1000
        bound = {"proxy_uid": exchange.proxy.uid, "principal": exchange.principal.id}
        plain = sealer.open(CURSOR, sent, **bound, max_age=max_age)
    cursor = ListCursor.unpacked(plain) if plain is not None else None
    if cursor is None or cursor.method != method.name:
        raise _bad_cursor(message)
    return cursor


def _bad_cursor(message: Message) -> Refusal:
    return bad_params("The cursor is not one of this list, or the list has changed: begin again", message.era)


def _refuse_if_missing(lists: Mapping[int, ServerList], runtime: MergeRuntime) -> None:
    """Refuse a list that no server has a part of, or that lacks one where that is not wanted.

    Raises:
        Refusal: -31003.
    """
    missing = [each for each in lists.values() if each.raw is None]
    if not missing or (len(missing) < len(lists) and not runtime.refuses):
        return
    kinds = {each.reason for each in missing}
    reason = kinds.pop() if len(kinds) == 1 else faults.UNAVAILABLE
    words = "An MCP server behind this gateway" if len(missing) < len(lists) else "No MCP server behind this gateway"
    waits = [each.retry_after_ms for each in missing if each.retry_after_ms is not None]
    data = {"retryAfterMs": max(waits)} if waits else None
    verb = "is unavailable" if len(missing) < len(lists) else "is available"
    raise Refusal(200, reason, f"{words} {verb}", code=codes.UPSTREAM_UNAVAILABLE, data=data)


async def _page(
    exchange: Exchange,
    message: Message,
    method: Method,
    runtime: MergeRuntime,
    lists: Mapping[int, ServerList],
    key: PageKey,
) -> ShownPage:
    """Return a page as the caller may see it."""
    visibility = exchange.visibility
    known = PAGES.find(visibility, key)
    if known is not None:
        return known
    raw = [lists[place].raw if place in lists else None for place in range(len(exchange.proxy.servers))]
    size = sum(each.size for each in raw if each is not None)
    steps = _showing(exchange, message, method, runtime, raw, key.offset)
    page = await process_sized(steps, size=size, proxy=exchange.proxy.uid)
    if page.dropped:
        DROPPED.note(exchange.proxy.identity, page.dropped)
    PAGES.keep(visibility, key, page)
    return page


def _showing(
    exchange: Exchange,
    message: Message,
    method: Method,
    runtime: MergeRuntime,
    raw: Sequence[RawList | None],
    offset: int,
) -> Steps[ShownPage]:
    merged = yield from merging(runtime.catalogue, method, raw)
    if all(each is not None for each in raw):  # with one missing, names of rules would count as typing errors
        OFFERED.learn(exchange.proxy, message, method, {"result": {method.list_key: list(merged.items)}})
    _note(exchange, method, merged, raw)
    return (yield from showing(method, merged, offset, exchange.visibility))


def _note(exchange: Exchange, method: Method, merged: MergedList, raw: Sequence[RawList | None]) -> None:
    """Note what each server adds to the catalogue, and what of it is dropped."""
    drops: dict[int, list[Drop]] = {}
    for each in merged.drops:
        drops.setdefault(each.server, []).append(each)
    for place, server in enumerate(exchange.proxy.servers):
        if raw[place] is not None:
            found = [(each.reason.value, each.name) for each in drops.get(place, ())]
            LISTINGS.note(server, exchange.proxy.identity, method.name, merged.shown[place], found)


async def _response(
    exchange: Exchange,
    message: Message,
    method: Method,
    lists: Mapping[int, ServerList],
    page: ShownPage,
    digest: bytes,
    sealer: Sealer,
) -> Response:
    cause = _cause(lists, page) if page.is_empty and page.is_whole else ""
    result = _result(exchange, message, method, lists, cause)
    if page.following is not None:
        plain = ListCursor(method.name, page.following, digest).packed()
        result["nextCursor"] = sealer.seal(CURSOR, plain, proxy_uid=exchange.proxy.uid, principal=exchange.principal.id)
    body = _written(exchange, method, page.items, result)
    use = exchange.limit_use
    if use is not None:
        use.is_written = True
        check_response_size(exchange, len(body))
        if use.find_exhausted is not None:
            steps = showing_quotas(body, use.find_exhausted, use.taken_at)
            body = await process_large(steps, text=body, proxy=exchange.proxy.uid)
    report_list(exchange, body, ResponseSummary(dropped=len(page.dropped), empty=cause))
    return Response(200, body, JSON_HEADERS)


def _result(
    exchange: Exchange, message: Message, method: Method, lists: Mapping[int, ServerList], cause: str
) -> dict[str, Any]:
    """Return the members of the result besides the list."""
    result: dict[str, Any] = {}
    if message.era is MODERN:
        result = {**_MODERN_MEMBERS, **_hints(exchange, method, lists)}
    catalogue = exchange.proxy.merge
    prefixes = catalogue.catalogue.servers if catalogue is not None else ()
    result = with_unavailable(
        result, [Unavailable(prefixes[place][1], each.reason) for place, each in lists.items() if each.reason]
    )
    if cause:
        result = with_cause(result, cause)
    return result


def _cause(lists: Mapping[int, ServerList], page: ShownPage) -> str:
    """Return why a list is empty."""
    if page.listed or not lists:
        return FILTERED_TO_EMPTY
    return UPSTREAM_UNREACHABLE if any(each.raw is None for each in lists.values()) else UPSTREAM_EMPTY


def _hints(exchange: Exchange, method: Method, lists: Mapping[int, ServerList]) -> dict[str, Any]:
    """Return how long and for whom the list may be cached (specification, Caching)."""
    assert method.primitive is not None  # noqa: S101  every list has one
    is_filtered = not exchange.visibility.shows_all(method.primitive)
    ttl = min((each.ttl_ms for each in lists.values()), default=0)
    of_caller = (
        is_filtered or exchange.proxy.authenticator is not None or any(each.is_private for each in lists.values())
    )
    return {
        "ttlMs": min(ttl, TTL_LIMIT_MS) if is_filtered else ttl,
        "cacheScope": "private" if of_caller else "public",
    }


def _written(exchange: Exchange, method: Method, items: bytes, result: Mapping[str, Any]) -> bytes:
    """Return the response; the list is not parsed again for it."""
    more = strict_json.dumps(result)[1:]
    identifier = strict_json.dumps(exchange.request_id)
    comma = b"," if len(more) > 1 else b""
    start = b'{"jsonrpc":"2.0","id":%b,"result":{"%b":%b' % (identifier, method.list_key.encode(), items)
    return b"%b%b%b}" % (start, comma, more)
