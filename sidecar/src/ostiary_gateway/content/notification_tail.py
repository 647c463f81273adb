"""The end of what notifications have told, to find what is split over two of them.

An event is a whole message, so no value is split within one. The first of two notifications has been sent when the
second one comes: it cannot be masked any more, but a value without its second part is none. So the second one is
dropped.
"""

from typing import Any, Final

from ostiary_core.content.masks.mask_set import Masked, MaskSet
from ostiary_core.content.places import PlaceKind, places_of
from ostiary_core.contract.content import Direction
from ostiary_core.steps import Steps

#: The characters of earlier notifications that are kept: no kind of values is longer in two parts that say nothing.
TAIL_CHARACTERS: Final = 128
_SERVER: Final = ""
_LOGGER: Final = "logger"
#: Members of a notification that say nothing.
_FORMAL: Final = (("level",), ("progress",), ("total",))
#: Between the parts may be nothing, or what separates words.
_SEPARATORS: Final = ("", " ")
#: Notifications without any text of the server's own that a person or model reads.
_STRUCTURAL: Final = frozenset(
    {
        "notifications/cancelled",
        "notifications/elicitation/complete",
        "notifications/prompts/list_changed",
        "notifications/resources/list_changed",
        "notifications/resources/updated",
        "notifications/subscriptions/acknowledged",
        "notifications/tools/list_changed",
    }
)


def is_telling(method: object) -> bool:
    """Return whether a notification tells something, such as progress or a log message."""
    return method not in _STRUCTURAL


class NotificationTail:
    """The last characters that the notifications of one stream have told."""

    __slots__ = ("_shown",)

    def __init__(self) -> None:
        #: By who tells it: what the server says, and the names that it gives its loggers.
        self._shown = {_SERVER: "", _LOGGER: ""}

    def following(self, message: dict[str, Any], masks: MaskSet) -> Steps[Masked | None]:
        """Return what masks find where a notification follows the earlier ones, or None.

        ``message`` is masked already. One that follows is part of the tail from now on.
        """
        told = _told(message)
        for teller, text in told.items():
            for separator in _SEPARATORS if self._shown[teller] and text else ():
                joined = {"params": {"data": self._shown[teller] + separator + text[:TAIL_CHARACTERS]}}
                found = yield from masks.masking(joined, Direction.RESULTS)
                if found.is_changed or found.is_blocked:
                    return found
        for teller, text in told.items():
            self._shown[teller] = (self._shown[teller] + text)[-TAIL_CHARACTERS:]
        return None


def _told(message: dict[str, Any]) -> dict[str, str]:
    """Return what a notification tells, of which only the beginning and the end matter."""
    texts: dict[str, list[str]] = {_SERVER: [], _LOGGER: []}
    for place in places_of(message):
        member = place.full_trail[1:2]
        if place.kind is not PlaceKind.KEY and member not in _FORMAL:
            texts[_LOGGER if member == (_LOGGER,) else _SERVER].append(place.text)
    return {teller: _ends("".join(each)) for teller, each in texts.items()}


def _ends(text: str) -> str:
    return text if len(text) <= 2 * TAIL_CHARACTERS else text[:TAIL_CHARACTERS] + text[-TAIL_CHARACTERS:]
