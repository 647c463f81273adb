"""Lists of a proxy that merges servers.

All servers are asked, and the caller sees one list, cut to its rights.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from ostiary_core.mcp import codes
from ostiary_core.mcp.methods import Method, Verb
from ostiary_core.policy.visibility import Visibility
from ostiary_gateway.catalogue.cursors import ListCursor
from ostiary_gateway.catalogue.merged_list import digest_of, merging
from ostiary_gateway.catalogue.raw_list import RawList
from ostiary_gateway.config.observed_items import OFFERED
from ostiary_gateway.config.server_selection import MergeRuntime
from ostiary_gateway.errors import Refusal
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.large_messages import Steps, process_sized
from ostiary_gateway.pipeline.merged.kept_pages import kept_page
from ostiary_gateway.pipeline.merged.list_response import list_response
from ostiary_gateway.pipeline.merged.server_lists import ServerList, lists_of
from ostiary_gateway.pipeline.merged.shown_pages import PAGES, PageKey, ShownPage, showing
from ostiary_gateway.pipeline.message import Message
from ostiary_gateway.pipeline.message_members import bad_params
from ostiary_gateway.pipeline.pinned_definitions.pinned_lists import pinned_raw
from ostiary_gateway.pipeline.services import PipelineServices
from ostiary_gateway.seal import CURSOR, Sealer
from ostiary_gateway.server.response import Response
from ostiary_gateway.telemetry import ServerSpan, semantic_conventions
from ostiary_gateway.telemetry.dropped_items import DROPPED
from ostiary_gateway.telemetry.server_listings import LISTINGS
from ostiary_gateway.upstream import faults


class _WholeList:
    """A request for a whole list, for those that learn names from pages."""

    params: Final[Mapping[str, Any]] = {}


_WHOLE: Final = _WholeList()


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
    kept = kept_page(exchange, message, message.method, span, services)
    if kept is not None:
        return kept
    cursor = _cursor(exchange, message, message.method, services.sealer)
    if exchange.ends_with_caller:
        exchange.request.bind_to_caller()
    try:
        visible = _visible(exchange.visibility, message.method, len(exchange.proxy.servers))
        lists = await lists_of(exchange, message.method, visible, span, services)
        if exchange.visibility.definitions is not None:
            lists = await _approved(exchange, message.method, lists)
    finally:
        exchange.request.release_from_caller()
    _refuse_if_missing(lists, runtime)
    if exchange.proxy.list_cache is not None:
        span.set(semantic_conventions.OSTIARY_LIST_CACHE, _found(lists))
    digest = digest_of(_digest(lists.get(place)) for place in range(len(exchange.proxy.servers)))
    if cursor is not None and cursor.digest != digest:
        raise _bad_cursor(message)
    key = PageKey(message.method.name, digest, cursor.offset if cursor is not None else 0)
    page = await _page(exchange, message.method, runtime, lists, key)
    following = _following(exchange, key, page, services.sealer)
    return await list_response(exchange, message, message.method, lists, page, following)


async def _approved(exchange: Exchange, method: Method, lists: dict[int, ServerList]) -> dict[int, ServerList]:
    """Return the lists without what the locks of their servers do not approve."""
    found = {}
    for place, each in lists.items():
        raw = each.raw
        if raw is not None:
            steps = pinned_raw(exchange, place, method, raw)
            raw = await process_sized(steps, size=raw.size, proxy=exchange.proxy.uid)
        found[place] = each if raw is each.raw else replace(each, raw=raw)
    return found


def _found(lists: Mapping[int, ServerList]) -> str:
    """Return what the cache had, for the span."""
    if any(each.reason and each.raw is not None for each in lists.values()):
        return "stale"
    return "hit" if all(each.is_kept for each in lists.values()) else "miss"


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


def _following(exchange: Exchange, key: PageKey, page: ShownPage, sealer: Sealer) -> str | None:
    """Return the cursor of the next page; None where there is none."""
    if page.following is None:
        return None
    plain = ListCursor(key.method, page.following, key.digest).packed()
    return sealer.seal(CURSOR, plain, proxy_uid=exchange.proxy.uid, principal=exchange.principal.id)


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
    steps = _showing(exchange, method, runtime, raw, key.offset)
    page = await process_sized(steps, size=size, proxy=exchange.proxy.uid)
    if page.dropped:
        DROPPED.note(exchange.proxy.identity, page.dropped)
    if not page.is_of_caller:
        PAGES.keep_page(visibility, key, page)
    return page


def _showing(
    exchange: Exchange,
    method: Method,
    runtime: MergeRuntime,
    raw: Sequence[RawList | None],
    offset: int,
) -> Steps[ShownPage]:
    page = yield from merging(runtime.catalogue, method, raw, offset)
    if all(each is not None for each in raw) and page.listed == len(page.names):
        # With a server missing, names in rules would count as typing errors.
        named = [{method.item_key: name} for name in page.names]
        OFFERED.learn(exchange.proxy, _WHOLE, method, {"result": {method.list_key: named}})
    for server, part in zip(exchange.proxy.servers, page.parts, strict=True):
        if part is not None:
            LISTINGS.note(server, exchange.proxy.identity, method.name, part)
    return (yield from showing(exchange, method, page))
