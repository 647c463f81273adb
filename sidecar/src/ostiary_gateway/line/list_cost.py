"""What judging a list costs: a server chooses how many names there are, and how long.

Names are judged for as many steps as a list may take, and others have their turn in between. Where no pattern speaks of
the primitive, names cost nothing and are not counted.
"""

from typing import Final

from ostiary_core.mcp.methods import Primitive
from ostiary_core.policy.budget import length_of
from ostiary_core.policy.visibility import Visibility
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.upstream import faults

#: What the names of one list, and those that are judged in one go, may cost, in decisions that cost as much as any may.
_IN_ALL: Final = 64
_AT_ONCE: Final = 2
#: So many bytes of URIs are read in one go: one that is all escapes costs half a microsecond a byte.
_URIS_AT_ONCE: Final = 4096


class LongURIs:
    """Judges the URIs of one list that no pattern speaks of: each is still read as servers do."""

    def __init__(self, visibility: Visibility) -> None:
        self._visibility = visibility
        self._since = 0

    def shows(self, uri: str) -> bool:
        """Say whether the caller may know that a resource exists."""
        self._since += len(uri)
        return self._visibility.shows(Primitive.RESOURCES, uri)

    def is_due(self) -> bool:
        """Say whether others should have their turn now, and take it that they have."""
        if self._since < _URIS_AT_ONCE:
            return False
        self._since = 0
        return True


class CostlyNames:
    """Judges the names of one list of a primitive that patterns speak of."""

    def __init__(self, primitive: Primitive, visibility: Visibility, *, bytes_each: int) -> None:
        """``bytes_each`` are the bytes of names that one decision may judge."""
        self._primitive = primitive
        self._visibility = visibility
        self._left = _IN_ALL * bytes_each
        self._at_once = _AT_ONCE * bytes_each
        self._since = 0

    def shows(self, name: str) -> bool:
        """Say whether the caller may know that a name exists.

        Raises:
            UpstreamFault: the list is beyond what may be judged.
        """
        size = length_of(name)
        self._since += size
        self._left -= size
        if self._left < 0:
            words = "the list holds more or longer names than the patterns of the policies here can judge in time"
            raise UpstreamFault(faults.INVALID, words)
        return self._visibility.shows(self._primitive, name)

    def is_due(self) -> bool:
        """Say whether others should have their turn now, and take it that they have."""
        if self._since < self._at_once:
            return False
        self._since = 0
        return True
