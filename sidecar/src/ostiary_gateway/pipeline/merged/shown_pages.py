"""Pages of merged lists as callers with the same rights see them.

They are remembered by what they were made of. A page depends on the raw lists of the servers, which their digest tells
apart, and on what the caller may see. Both change rarely, and lists are asked for often.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final, NamedTuple
from weakref import WeakKeyDictionary

from ostiary_core import strict_json
from ostiary_core.mcp.methods import Method
from ostiary_core.policy.visibility import Visibility
from ostiary_gateway.catalogue.merged_list import MergedList
from ostiary_gateway.pipeline.large_messages import LIGHT_BYTES, Steps
from ostiary_gateway.pipeline.list_filter import Reading, shaping

#: Pages that are remembered for one visibility, and bytes of all pages together.
_PAGES_EACH: Final = 16
_BYTES_IN_ALL: Final = 32 << 20


class PageKey(NamedTuple):
    """What a page was made of, besides what the caller may see."""

    method: str
    digest: bytes
    offset: int


class ShownPage(NamedTuple):
    """A page as its callers see it.

    ``items`` is a JSON array, ``following`` the offset of the next page, and ``is_whole`` says that this is the whole
    list. ``listed`` is the number of items before the filter, and ``dropped`` names those that cannot be judged.
    """

    items: bytes
    following: int | None
    is_whole: bool
    listed: int
    dropped: Sequence[str] = ()

    @property
    def is_empty(self) -> bool:
        """Whether the caller sees no item of it."""
        return self.items == b"[]"


class ShownPages:
    """The pages of this process."""

    def __init__(self) -> None:
        self._pages: WeakKeyDictionary[Visibility, OrderedDict[PageKey, ShownPage]] = WeakKeyDictionary()

    def find(self, visibility: Visibility, key: PageKey) -> ShownPage | None:
        """Return a page; None where it is not remembered."""
        pages = self._pages.get(visibility)
        found = pages.get(key) if pages is not None else None
        if pages is not None and found is not None:
            pages.move_to_end(key)
        return found

    def keep(self, visibility: Visibility, key: PageKey, page: ShownPage) -> None:
        """Remember a page, in place of the one that was used least recently."""
        if len(page.items) > _BYTES_IN_ALL // 8:
            return
        pages = self._pages.setdefault(visibility, OrderedDict())
        pages[key] = page
        if len(pages) > _PAGES_EACH:
            pages.popitem(last=False)
        if self._held() > _BYTES_IN_ALL:
            self._pages.clear()
            self._pages[visibility] = OrderedDict({key: page})

    def _held(self) -> int:
        return sum(len(page.items) for pages in self._pages.values() for page in pages.values())


#: The pages of this process.
PAGES: Final = ShownPages()


def showing(method: Method, merged: MergedList, offset: int, visibility: Visibility) -> Steps[ShownPage]:
    """Return the page at an offset of a merged list as the caller may see it, in steps."""
    items, following = merged.page(offset)
    before, after = b'{"result":{"' + method.list_key.encode() + b'":', b"}}"
    message = {"result": {method.list_key: list(items)}}
    text = before + strict_json.dumps(message["result"][method.list_key]) + after
    if len(text) > LIGHT_BYTES:
        yield
    shaped = yield from shaping(method, text, Reading(message, is_strict=True), visibility)
    shown = shaped.body[len(before) : -len(after)]
    return ShownPage(shown, following, offset == 0 and following is None, len(items), shaped.dropped)
