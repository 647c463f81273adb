"""Lists of several servers merged into one, and cut into pages."""

from collections.abc import Iterable, Sequence
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
_DIGEST_BYTES: Final = 16
_ABSENT: Final = bytes(_DIGEST_BYTES)


@dataclass(frozen=True, slots=True)
class MergedList:
    """The items of all servers under the names of the catalogue, and what was dropped.

    In the order of the spec, and within a server in the server's own. ``digest`` is that of the raw lists, see
    :func:`digest_of`.
    """

    items: Sequence[dict[str, Any]]
    drops: Sequence[Drop]
    digest: bytes

    def page(self, offset: int) -> tuple[Sequence[dict[str, Any]], int | None]:
        """Return the page that begins at an offset, and the offset of the next one.

        That is None for the last one.
        """
        end = offset + PAGE_ITEMS
        return self.items[offset:end], end if end < len(self.items) else None


def merge(names: CatalogueNames, method: Method, lists: Sequence[RawList | None]) -> MergedList:
    """Merge the lists of all servers of a proxy, in the order of the spec.

    It is None for one that has none now.
    """
    items: list[dict[str, Any]] = []
    drops: list[Drop] = []
    for server, raw in enumerate(lists):
        if raw is None:
            continue
        exposer = ItemExposer(names, server, method)
        for shown in map(exposer.exposed, raw.items()):
            if isinstance(shown, Drop):
                drops.append(shown)
            else:
                items.append(shown)
        drops += [drop(server, DropReason.UNWRITABLE)] * raw.unwritable
        drops += [drop(server, DropReason.BEYOND_LIMIT)] * raw.is_cut
    return MergedList(items, drops, digest_of(raw.digest if raw is not None else None for raw in lists))


def digest_of(digests: Iterable[bytes | None]) -> bytes:
    """Return the digest of the lists of all servers.

    Another one means that pages no longer fit together.
    """
    return sha256(b"".join(digest or _ABSENT for digest in digests)).digest()[:_DIGEST_BYTES]
