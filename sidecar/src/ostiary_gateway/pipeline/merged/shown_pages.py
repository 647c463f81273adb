"""Pages of merged lists as callers with the same rights see them.

They are remembered by what they were made of. A page depends on the raw lists of the servers, which their digest tells
apart, and on what the caller may see. Both change rarely, and lists are asked for often.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from ostiary_core import strict_json
from ostiary_core.content.finding import ContentFinding
from ostiary_core.mcp.methods import Method
from ostiary_core.policy.visibility import Visibility
from ostiary_gateway.catalogue.merged_list import MergedPage
from ostiary_gateway.pipeline.content.shaped_lists import ShapedDefinitions, shaping_definitions
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.large_messages import LIGHT_BYTES, Steps
from ostiary_gateway.pipeline.list_filter import Reading, shaping
from ostiary_gateway.pipeline.lists.bounded_entries import BoundedEntries, EntriesOfOwner

#: The bytes of all pages, and of those of one visibility.
_BYTES_IN_ALL: Final = 32 << 20
_BYTES_EACH: Final = 4 << 20


class PageKey(NamedTuple):
    """What a page was made of, besides what the caller may see.

    ``digest`` is that of the raw lists of all servers.
    """

    method: str
    digest: bytes
    offset: int


class ShownPage(NamedTuple):
    """A page as its callers see it.

    ``items`` is a JSON array, ``following`` the offset of the next page, and ``is_whole`` says that this is the whole
    list. ``listed`` is the number of its items before the filter, and ``dropped`` names those that cannot be judged.
    ``findings`` are those of rules about content. ``is_of_caller`` where another caller must not get it.
    """

    items: bytes
    following: int | None
    is_whole: bool
    listed: int
    dropped: Sequence[str] = ()
    findings: tuple[ContentFinding, ...] = ()
    is_of_caller: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether the caller sees no item of it."""
        return self.items == b"[]"


class ShownPages(BoundedEntries[Visibility, EntriesOfOwner[PageKey, ShownPage]]):
    """The pages of all merging proxies.

    They end with the visibility that they were filtered for.
    """

    def __init__(self, *, limit: int = _BYTES_IN_ALL, each: int = _BYTES_EACH) -> None:
        super().__init__(EntriesOfOwner, limit=limit, each=each)

    def find(self, visibility: Visibility, key: PageKey) -> ShownPage | None:
        """Return a page; None where it is not remembered."""
        of = self.known(visibility)
        found = of.value(key) if of is not None else None
        if of is not None and found is not None:
            self.use(of, key)
        return found

    def keep_page(self, visibility: Visibility, key: PageKey, page: ShownPage) -> None:
        """Remember a page."""
        self.keep(self.of(visibility), key, page, size=len(page.items))


#: The pages of this process.
PAGES: Final = ShownPages()


def showing(exchange: Exchange, method: Method, page: MergedPage) -> Steps[ShownPage]:
    """Return a page of a merged list as the caller may see it, in steps."""
    visibility = exchange.visibility  # the same one for all steps
    before, after = b'{"result":{"' + method.list_key.encode() + b'":', b"}}"
    listed, text = len(page.items), before + strict_json.dumps(page.items) + after
    if len(text) > LIGHT_BYTES:
        yield
    reading = Reading({"result": {method.list_key: page.items}}, is_strict=True)
    shaped = yield from shaping(method, text, reading, visibility)
    shown, found = shaped.body[len(before) : -len(after)], ShapedDefinitions()
    if visibility.content is not None or visibility.definitions is not None:
        found = yield from shaping_definitions(exchange, None, method, reading.message)
        shown = strict_json.dumps(reading.message["result"][method.list_key]) if found.is_changed else shown
    is_whole = page.offset == 0 and page.following is None
    return ShownPage(
        shown, page.following, is_whole, listed, shaped.dropped, found.findings, is_of_caller=found.is_of_caller
    )
