"""Pages of lists as callers have seen them: a repeated list is neither read nor filtered.

A page is good as long as the lists are that it was made of. Lists of a server that cannot tell its callers apart serve
all callers with the same rights; private ones, and those of a credential of the caller, only that caller.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final, NamedTuple

from ostiary_core.policy.principal import PASSTHROUGH
from ostiary_core.policy.visibility import Visibility
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.jsonrpc import ResponseSummary
from ostiary_gateway.pipeline.lists.bounded_entries import BoundedEntries, EntriesOfOwner
from ostiary_gateway.pipeline.lists.caller_context import presented
from ostiary_gateway.pipeline.lists.fetched_list import Freshness, ListCopy
from ostiary_gateway.pipeline.lists.page_template import PageTemplate
from ostiary_gateway.telemetry.list_cache_requests import HIT, LIST_CACHE_REQUESTS
from ostiary_gateway.upstream.server import UpstreamServer

_BYTES_IN_ALL: Final = 32 << 20
_BYTES_EACH: Final = 4 << 20


class RenderedPageKey(NamedTuple):
    """Which page of which list. ``caller`` is None for a page that callers share."""

    method: str
    revision: str
    cursor: str | None
    server: str = ""
    caller: Hashable = None


@dataclass(frozen=True, slots=True)
class RenderedPage:
    """A page, and how fresh the lists are that it was made of."""

    template: PageTemplate
    outcome: ResponseSummary
    made_of: tuple[Freshness, ...]

    @property
    def until(self) -> float:
        """When it becomes old: with the first of its lists."""
        return min([each.until for each in self.made_of])

    def remaining_ms(self, now: float) -> int:
        """Return how long it may be kept: as long as each of its lists."""
        return max(0, int((self.until - now) * 1000))


class RenderedPages(BoundedEntries[Visibility, EntriesOfOwner[RenderedPageKey, RenderedPage]]):
    """The pages of all proxies. They end with the visibility that they were filtered for."""

    def __init__(self, *, limit: int = _BYTES_IN_ALL, each: int = _BYTES_EACH) -> None:
        super().__init__(EntriesOfOwner, limit=limit, each=each)

    def find(self, exchange: Exchange, servers: Sequence[UpstreamServer], key: RenderedPageKey) -> RenderedPage | None:
        """Return a page whose lists are all fresh; None without one."""
        of = self.known(exchange.visibility)
        if of is None or not of.entries:
            return None
        is_own = _is_told_apart(exchange, servers)
        page = None if is_own else self._fresh(of, key)
        return page if page is not None else self._fresh(of, _own(exchange, servers if is_own else (), key))

    def _fresh(self, of: EntriesOfOwner[RenderedPageKey, RenderedPage], key: RenderedPageKey) -> RenderedPage | None:
        page = of.value(key)
        if page is None or monotonic() >= page.until:
            return None
        self.use(of, key)
        LIST_CACHE_REQUESTS[HIT] += len(page.made_of)
        return page

    def keep_page(
        self,
        exchange: Exchange,
        servers: Sequence[UpstreamServer],
        key: RenderedPageKey,
        copies: Sequence[ListCopy[Any]],
        template: PageTemplate,
        outcome: ResponseSummary,
    ) -> None:
        """Keep a response that was made of these lists.

        It is not kept if one of them is shown although its server fails.
        """
        if any(copy.is_stale for copy in copies):
            return
        is_told_apart = _is_told_apart(exchange, servers)
        is_own = is_told_apart or any(copy.is_private for copy in copies)
        chosen = _own(exchange, servers if is_told_apart else (), key) if is_own else key
        page = RenderedPage(template, outcome, tuple(copy.freshness for copy in copies))
        self.keep(self.of(exchange.visibility), chosen, page, size=template.size)


def _is_told_apart(exchange: Exchange, servers: Sequence[UpstreamServer]) -> bool:
    """Return whether some server may tell this caller from others."""
    if exchange.principal is PASSTHROUGH:
        return True
    for server in servers:  # noqa: SIM110  a generator would cost more than the loop, on every request
        if server.credential.is_of_caller:
            return True
    return False


def _own(exchange: Exchange, servers: Sequence[UpstreamServer], key: RenderedPageKey) -> RenderedPageKey:
    """Return the key of a page that is of this caller alone.

    ``servers`` are those that may present more of it than who it is.
    """
    contexts = tuple([presented(exchange, server) for server in servers])
    return RenderedPageKey(key.method, key.revision, key.cursor, key.server, (exchange.principal.id, contexts))


#: The pages of this process.
RENDERED_PAGES: Final = RenderedPages()
