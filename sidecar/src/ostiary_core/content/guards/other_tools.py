"""Find definitions that reach for the tools of another server.

A tool may well name its neighbours ("first find the id with `search_users`"). What no server has a reason for is to say
when or how a tool of another server is called: it need not even know that there is one.

Names are compared as a reader sees them, so that letters of another script hide none. A name that the item's own server
has, too, is its own.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from ostiary_core.content.guards.folding import fold, folded_places
from ostiary_core.content.guards.joined_texts import TextPart
from ostiary_core.content.places import PlaceKind, ReadablePlace
from ostiary_core.exposed_names import Owned

#: A name that is one plain word occurs in any description; one of several parts is meant.
_PARTS: Final = re.compile(r"[A-Za-z0-9][_.\-/][A-Za-z0-9]|[a-z][A-Z]")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-/]*[A-Za-z0-9]")
#: Characters of a text that are looked at.
_MOST: Final = 8_192


class OtherTools:
    """The names of a catalogue, and the servers that have each.

    Both count: the name that callers know, and the one that the server has for it.
    """

    def __init__(self, items: Iterable[tuple[str, Owned | None]]) -> None:
        self._servers: dict[str, set[int]] = {}
        for name, owner in items:
            if owner is not None:
                self._know(name, owner.server)
                self._know(owner.name, owner.server)

    def _know(self, name: str, server: int) -> None:
        if _PARTS.search(name):
            self._servers.setdefault(name, set()).add(server)

    def mentioned(self, place: ReadablePlace, owner: Owned) -> Iterator[TextPart]:
        """Yield where a text of an item names something that only other servers have."""
        if place.kind is not PlaceKind.PROSE:
            return  # names and schemas of its own
        text = place.text[:_MOST]
        for match in _NAME.finditer(fold(text)):
            servers = self._servers.get(match[0])
            if servers is not None and owner.server not in servers:
                places = folded_places(text)
                yield TextPart(place, places[match.start()], places[match.end() - 1] + 1)
