"""What each of several merged servers adds to its proxy's catalogue.

And what of its lists is dropped. It is that of the latest lists, for statuses and metrics. Drops are logged when they
change.
"""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol
from weakref import WeakKeyDictionary

from ostiary_gateway.telemetry.throttled_warning import WarningLimiter

_log = logging.getLogger(__name__)
#: The number of dropped items that the log names.
_MOST_NAMED: Final = 5
_SHOWN_NAME: Final = 64
_MESSAGE: Final = "proxy %s: dropped from %s of a server, since it has no place in the catalogue: %s%s"


class ListedPart(Protocol):
    """What a list of one server adds to a catalogue."""

    @property
    def shown(self) -> int:
        """Its items in the catalogue."""

    @property
    def reasons(self) -> Mapping[str, int]:
        """Its other items, by the reason why they are not."""

    @property
    def samples(self) -> Sequence[tuple[str, str]]:
        """Reason and name of some of them."""


@dataclass(slots=True)
class ServerListing:
    """The latest lists of one server, by method.

    ``shown`` are the items in the catalogue, ``dropped`` the others by reason.
    """

    shown: dict[str, int] = field(default_factory=dict)
    dropped: dict[str, Mapping[str, int]] = field(default_factory=dict)

    @property
    def drops(self) -> Mapping[str, int]:
        """The dropped items of all lists, by reason."""
        found: Counter[str] = Counter()
        for reasons in self.dropped.values():
            found.update(reasons)
        return found


class ServerListings:
    """The latest lists of all servers.

    A server is known by its object: an edited one is another server.
    """

    def __init__(self) -> None:
        self._of: WeakKeyDictionary[object, ServerListing] = WeakKeyDictionary()
        self._warners: WeakKeyDictionary[object, WarningLimiter] = WeakKeyDictionary()

    def note(self, server: object, proxy: str, method: str, part: ListedPart) -> None:
        """Note what a list of a server adds to the catalogue."""
        listing = self._of.setdefault(server, ServerListing())
        is_news = listing.dropped.get(method, {}) != part.reasons
        listing.shown[method] = part.shown
        listing.dropped[method] = dict(part.reasons)
        if part.reasons and is_news:
            self._warn(server, proxy, method, part)

    def of(self, server: object) -> ServerListing | None:
        """Return the latest lists of a server; None where none was merged yet."""
        return self._of.get(server)

    def _warn(self, server: object, proxy: str, method: str, part: ListedPart) -> None:
        shown = part.samples[:_MOST_NAMED]
        named = "; ".join(f"{name[:_SHOWN_NAME]!a} ({reason})" for reason, name in shown)
        left = sum(part.reasons.values()) - len(shown)
        warner = self._warners.setdefault(server, WarningLimiter(_log))
        warner.warn(_MESSAGE, proxy, method, named, f"; and {left} more" if left > 0 else "")


#: The lists of this process.
LISTINGS: Final = ServerListings()
