"""What a server lists and the catalogue does not show, and why."""

import enum
from collections import Counter
from typing import Final, NamedTuple

from ostiary_core.catalogue_names import NoPlace

#: The characters of a dropped name that are kept, and the number of such names, for the log.
_SHOWN: Final = 128
_SAMPLES: Final = 8


class DropReason(enum.StrEnum):
    """Why an item of a server's list is not in the catalogue."""

    FOREIGN = NoPlace.FOREIGN.value
    """Its name or URI is in the space of another server."""
    DUPLICATE = "Duplicate"
    """The server has listed this name before."""
    TOO_LONG = NoPlace.TOO_LONG.value
    """With its prefix, the name would be longer than MCP permits. It is never shortened."""
    NO_SCHEME = NoPlace.NO_SCHEME.value
    """It is no URI that can be marked with its server: it has no scheme, or a template's expression fills it."""
    NO_NAME = "NoName"
    """It has no name, or a member that some readers take for the name."""
    UNWRITABLE = "Unwritable"
    """It holds a value that JSON readers read in different ways, such as an integer beyond 64 bits."""
    BEYOND_LIMIT = "BeyondLimit"
    """The server lists more than is read of one list. Counted once for such a list."""


class Drop(NamedTuple):
    """An item that was dropped.

    ``name`` is the server's own name for it, cut, and empty without one.
    """

    reason: DropReason
    name: str = ""


def drop(reason: DropReason, name: object = "") -> Drop:
    """Return the drop of an item with this name, which may be anything."""
    return Drop(reason, name[:_SHOWN] if isinstance(name, str) else "")


class ServerPart:
    """What one server adds to a catalogue: ``shown`` items, and what of its list was dropped."""

    __slots__ = ("reasons", "samples", "shown")

    def __init__(self) -> None:
        self.shown = 0
        self.reasons: Counter[str] = Counter()
        #: The first items that were dropped.
        self.samples: list[Drop] = []

    def dropped(self, found: Drop, *, times: int = 1) -> None:
        """Count an item that was dropped."""
        if times:
            self.reasons[found.reason.value] += times
            if len(self.samples) < _SAMPLES:
                self.samples.append(found)
