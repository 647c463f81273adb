"""Lists of several servers merged into one, of which one page is made at a time.

Only the items of that page stay in memory: a hundred thousand parsed ones would take a gigabyte.
"""

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

from ostiary_core import strict_json
from ostiary_core.catalogue_names import CatalogueNames
from ostiary_core.mcp.methods import Method
from ostiary_gateway.catalogue.drops import Drop, DropReason, ServerPart, drop
from ostiary_gateway.catalogue.exposed_items import ItemExposer
from ostiary_gateway.catalogue.raw_list import RawList

#: The items of one page.
PAGE_ITEMS: Final = 1_000
#: The first names of a list that are kept, besides the items of the page.
MOST_NAMES: Final = 1_000
#: The items that are exposed in one step.
_ITEMS_AT_ONCE: Final = 32
_DIGEST_BYTES: Final = 16
_ABSENT: Final = bytes(_DIGEST_BYTES)


@dataclass(slots=True)
class MergedPage:
    """The items of one page under the names of the catalogue, and what the whole list is.

    In the order of the spec, and within a server in the server's own. ``listed`` is the number of items of the whole
    list, and ``names`` the first of their names. ``parts`` are what each server adds, None for one that has no list.
    """

    offset: int
    items: list[dict[str, Any]] = field(default_factory=list)
    listed: int = 0
    names: list[str] = field(default_factory=list)
    parts: list[ServerPart | None] = field(default_factory=list)

    @property
    def following(self) -> int | None:
        """The offset of the next page; None for the last one."""
        end = self.offset + PAGE_ITEMS
        return end if end < self.listed else None

    def add(self, item: dict[str, Any], name: str) -> None:
        """Add an item, which is kept if it is on this page."""
        if self.offset <= self.listed < self.offset + PAGE_ITEMS:
            self.items.append(item)
        if self.listed < MOST_NAMES:
            self.names.append(name)
        self.listed += 1


def merging(
    names: CatalogueNames, method: Method, lists: Sequence[RawList | None], offset: int
) -> Generator[None, None, MergedPage]:
    """Merge the lists of all servers of a proxy, in the order of the spec, in steps.

    A list is None for a server that has none now. The page is the one that begins at ``offset``.
    """
    page = MergedPage(offset)
    for server, raw in enumerate(lists):
        part = ServerPart() if raw is not None else None
        page.parts.append(part)
        if raw is not None and part is not None:
            yield from _expose(ItemExposer(names, server, method), method.item_key, raw, page.add, part)
            part.dropped(drop(DropReason.UNWRITABLE), times=raw.unwritable)
            part.dropped(drop(DropReason.BEYOND_LIMIT), times=raw.is_cut)
    return page


def digesting(
    names: CatalogueNames, method: Method, lists: Sequence[RawList | None], shows: Callable[[str], bool]
) -> Generator[None, None, bytes]:
    """Return a digest of those items of all servers whose names ``shows`` accepts, in steps.

    It tells whether a caller sees another list than before, without making its pages.
    """
    digest = sha256()

    def add(item: dict[str, Any], name: str) -> None:
        if shows(name):
            digest.update(strict_json.dumps(item))

    for server, raw in enumerate(lists):
        if raw is not None:
            yield from _expose(ItemExposer(names, server, method), method.item_key, raw, add, ServerPart())
    return digest.digest()


def _expose(
    exposer: ItemExposer, key: str, raw: RawList, add: Callable[[dict[str, Any], str], None], part: ServerPart
) -> Generator[None, None, None]:
    found = raw.items()
    yield
    for place, item in enumerate(found):
        if place % _ITEMS_AT_ONCE == _ITEMS_AT_ONCE - 1:
            yield
        exposed = exposer.exposed(item)
        if isinstance(exposed, Drop):
            part.dropped(exposed)
        else:
            part.shown += 1
            add(exposed, exposed[key])


def digest_of(digests: Iterable[bytes | None]) -> bytes:
    """Return the digest of the lists of all servers.

    Another one means that pages no longer fit together.
    """
    return sha256(b"".join(digest or _ABSENT for digest in digests)).digest()[:_DIGEST_BYTES]
