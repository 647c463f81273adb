"""Lists of several servers merged into one, and cut into pages."""

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from ostiary_core.catalogue_names import CatalogueNames
from ostiary_core.mcp.methods import Method
from ostiary_gateway.catalogue.drops import Drop, DropReason, drop
from ostiary_gateway.catalogue.exposed_items import ItemExposer
from ostiary_gateway.catalogue.raw_list import RawList

#: The items of one page.
PAGE_ITEMS: Final = 1_000
#: The items that are exposed in one step.
_ITEMS_AT_ONCE: Final = 256
_DIGEST_BYTES: Final = 16
_ABSENT: Final = bytes(_DIGEST_BYTES)


@dataclass(frozen=True, slots=True)
class MergedList:
    """The items of all servers under the names of the catalogue, and what was dropped.

    In the order of the spec, and within a server in the server's own. ``shown`` are the numbers of items of each
    server.
    """

    items: Sequence[dict[str, Any]]
    drops: Sequence[Drop]
    shown: Sequence[int]

    def page(self, offset: int) -> tuple[Sequence[dict[str, Any]], int | None]:
        """Return the page that begins at an offset, and the offset of the next one.

        That is None for the last one.
        """
        end = offset + PAGE_ITEMS
        return self.items[offset:end], end if end < len(self.items) else None


def merging(
    names: CatalogueNames, method: Method, lists: Sequence[RawList | None]
) -> Generator[None, None, MergedList]:
    """Merge the lists of all servers of a proxy, in the order of the spec, in steps.

    A list is None for a server that has none now.
    """
    items: list[dict[str, Any]] = []
    drops: list[Drop] = []
    shown: list[int] = []
    for server, raw in enumerate(lists):
        before = len(items)
        if raw is not None:
            yield from _expose(ItemExposer(names, server, method), raw, items, drops)
            drops += [drop(server, DropReason.UNWRITABLE)] * raw.unwritable
            drops += [drop(server, DropReason.BEYOND_LIMIT)] * raw.is_cut
        shown.append(len(items) - before)
    return MergedList(items, drops, shown)


def _expose(
    exposer: ItemExposer, raw: RawList, items: list[dict[str, Any]], drops: list[Drop]
) -> Generator[None, None, None]:
    found = raw.items()
    yield
    for place, item in enumerate(found):
        if place % _ITEMS_AT_ONCE == _ITEMS_AT_ONCE - 1:
            yield
        exposed = exposer.exposed(item)
        if isinstance(exposed, Drop):
            drops.append(exposed)
        else:
            items.append(exposed)


def digest_of(digests: Iterable[bytes | None]) -> bytes:
    """Return the digest of the lists of all servers.

    Another one means that pages no longer fit together.
    """
    return sha256(b"".join(digest or _ABSENT for digest in digests)).digest()[:_DIGEST_BYTES]
