"""Pages of lists as callers have seen them: a repeated list is neither read nor filtered.

A page is good as long as the lists are that it was made of. Lists of a server that cannot tell its callers apart serve
all callers with the same rights; private ones, and those of a credential of the caller, only that caller.
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final, NamedTuple

from ostiary_core.policy.principal import PASSTHROUGH
from ostiary_core.policy.visibility import Visibility
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.jsonrpc import ResponseSummary
from ostiary_gateway.pipeline.lists.bounded_entries import BoundedEntries, EntriesOfOwner
from ostiary_gateway.pipeline.lists.caller_context import presented
from ostiary_gateway.pipeline.lists.fetched_list import ListCopy
from ostiary_gateway.pipeline.lists.page_template import PageTemplate
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


@dataclass(slots=True)
class RenderedPage:
    """A page, with the lists that it was made of."""

    template: PageTemplate
    outcome: ResponseSummary
    copies: tuple[ListCopy[Any], ...]

    def remaining_ms(self, now: float) -> int:
        """Return how long it may be kept: as long as each of its lists; 0 where it is old."""
        return min(copy.remaining_ms(now) for copy in self.copies)

    def is_of(self, copies: Sequence[ListCopy[Any]]) -> bool:
        """Return whether these lists have the content that it was made of."""
        pairs = zip(self.copies, copies, strict=True)
        return len(self.copies) == len(copies) and all(one.value is other.value for one, other in pairs)


class RenderedPages(BoundedEntries[Visibility, EntriesOfOwner[RenderedPageKey, RenderedPage]]):
    """The pages of all proxies. They end with the visibility that they were filtered for."""

    def __init__(self, *, limit: int = _BYTES_IN_ALL, each: int = _BYTES_EACH) -> None:
        super().__init__(EntriesOfOwner, limit=limit, each=each)

    def find(
        self,
        exchange: Exchange,
        servers: Iterable[UpstreamServer],
        key: RenderedPageKey,
        copies: Sequence[ListCopy[Any]] = (),
    ) -> RenderedPage | None:
        """Return a page whose lists are all fresh, or have the content of ``copies``.

        It is None without one.
        """
        of = self.known(exchange.visibility)
        if of is None or not of.entries:
            return None
        now = monotonic()
        for each in _keys(exchange, servers, key):
            page = of.value(each)
            if page is not None and _is_good(page, copies, now):
                self.use(of, each)
                return page
        return None

    def keep_page(
        self,
        exchange: Exchange,
        servers: Iterable[UpstreamServer],
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
        *_, own = keys = _keys(exchange, servers, key)
        chosen = own if any(copy.is_private for copy in copies) else keys[0]
        page = RenderedPage(template, outcome, tuple(copies))
        self.keep(self.of(exchange.visibility), chosen, page, size=template.size)


def _keys(exchange: Exchange, servers: Iterable[UpstreamServer], key: RenderedPageKey) -> list[RenderedPageKey]:
    """Return the keys under which a page for this caller may lie.

    The last one is of this caller alone.
    """
    contexts = tuple(presented(exchange, server) for server in servers)
    own = key._replace(caller=(exchange.principal.id, contexts))
    is_told_apart = exchange.principal is PASSTHROUGH or any(context is not None for context in contexts)
    return [own] if is_told_apart else [key, own]


def _is_good(page: RenderedPage, copies: Sequence[ListCopy[Any]], now: float) -> bool:
    if not copies:
        return all(now < copy.fresh_until for copy in page.copies)
    if not page.is_of(copies):
        return False
    page.copies = tuple(copies)
    return True


#: The pages of this process.
RENDERED_PAGES: Final = RenderedPages()
