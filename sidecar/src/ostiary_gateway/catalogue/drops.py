"""What a server lists and the catalogue does not show, and why."""

import enum
from typing import Final, NamedTuple

#: The characters of a dropped name that are kept, for the log.
_SHOWN: Final = 128


class DropReason(enum.StrEnum):
    """Why an item of a server's list is not in the catalogue."""

    FOREIGN = "Foreign"
    """Its name or URI is in the space of another server."""
    DUPLICATE = "Duplicate"
    """The server has listed this name before."""
    TOO_LONG = "TooLong"
    """With its prefix, the name would be longer than MCP permits. It is never shortened."""
    NO_SCHEME = "NoScheme"
    """It is no URI that can be marked with its server: it has no scheme, or a template's expression fills it."""
    NO_NAME = "NoName"
    """It has no name, or a member that some readers take for the name."""
    UNWRITABLE = "Unwritable"
    """It holds a value that JSON readers read in different ways, such as an integer beyond 64 bits."""
    BEYOND_LIMIT = "BeyondLimit"
    """The server lists more than is read of one list. Counted once for such a list."""


class Drop(NamedTuple):
    """An item that was dropped.

    ``server`` is its server's place in the order of the spec, and ``name`` the server's own name for it.
    """

    server: int
    reason: DropReason
    name: str = ""


def drop(server: int, reason: DropReason, name: object = "") -> Drop:
    """Return the drop of an item with this name, which may be anything."""
    return Drop(server, reason, name[:_SHOWN] if isinstance(name, str) else "")
