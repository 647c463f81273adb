"""Limit the cost of judging a list.

The server chooses how many names it has, and how long they are.

Names are judged up to the steps that one list may take, with pauses for other tasks. Where no pattern applies to the
primitive, names cost nothing and are not counted.
"""

from typing import Final

from ostiary_core.mcp.methods import Primitive
from ostiary_core.policy.cost_limits import length_of
from ostiary_core.policy.visibility import Visibility
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.upstream import faults

#: Limits for the names of one list, and for those judged without a pause, in multiples of the most costly decision.
_IN_ALL: Final = 64
_AT_ONCE: Final = 2
#: Bytes of URIs that are read without a pause: a URI full of escapes costs half a microsecond per byte.
_URIS_AT_ONCE: Final = 4096


class LongURIs:
    """Judges the URIs of a list to which no pattern applies.

    Each is still interpreted as servers do.
    """

    def __init__(self, visibility: Visibility) -> None:
        self._visibility = visibility
        self._since = 0

    def shows(self, uri: str) -> bool:
        """Return whether the caller may see a resource."""
        self._since += len(uri)
        return self._visibility.shows(Primitive.RESOURCES, uri)

    def is_due(self) -> bool:
        """Return whether other tasks should run now; if so, the count starts again."""
        if self._since < _URIS_AT_ONCE:
            return False
        self._since = 0
        return True


class CostlyNames:
    """Judges the names of a list of a primitive to which patterns apply."""

    def __init__(self, primitive: Primitive, visibility: Visibility, *, bytes_each: int) -> None:
        """``bytes_each`` is the number of bytes of names that one decision may judge."""
        self._primitive = primitive
        self._visibility = visibility
        self._left = _IN_ALL * bytes_each
        self._at_once = _AT_ONCE * bytes_each
        self._since = 0

    def shows(self, name: str) -> bool:
        """Return whether the caller may see a name.

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
        """Return whether other tasks should run now; if so, the count starts again."""
        if self._since < self._at_once:
            return False
        self._since = 0
        return True
