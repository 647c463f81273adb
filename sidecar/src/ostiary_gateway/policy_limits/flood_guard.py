"""Floods: callers that go on calling although limits of policies refuse them.

A caller whose requests were refused again and again on one connection gets HTTP 429 there, before a body is read, until
the wait is over. Other callers on the same connection, which may belong to a proxy before the gateway, and the same
caller on other connections are not affected.
"""

from collections.abc import Hashable
from math import ceil
from typing import Final

from ostiary_core.mcp import codes
from ostiary_gateway.errors import Refusal
from ostiary_gateway.server.request_connection import RequestConnection

#: Refusals within ``_WITHIN_SECONDS`` that make a flood, unless the settings say otherwise.
MOST_REFUSALS: Final = 100
_WITHIN_SECONDS: Final = 10.0
#: The longest time that a flood is answered with 429: a caller may have other tools to call.
_LONGEST_SECONDS: Final = 60.0
#: Callers of one connection that are told apart.
_CALLERS: Final = 64


class _Refusals:
    """The refusals of one caller on one connection.

    They are counted ``since`` a moment; the caller is refused as a flood ``until`` one.
    """

    __slots__ = ("count", "since", "until")

    def __init__(self, since: float) -> None:
        self.since = since
        self.count = 0
        self.until = 0.0


class FloodGuard:
    """Counts refusals at limits by connection and caller.

    ``most_refusals`` make a flood; ``refused`` counts the requests answered with 429.
    """

    def __init__(self) -> None:
        self.most_refusals = MOST_REFUSALS
        self.refused = 0

    def note(self, connection: RequestConnection, caller: Hashable, now: float, retry_at: float | None) -> None:
        """Count a refused request.

        ``retry_at`` is when the limit lets the next one through, in epoch seconds.
        """
        if connection.floods is None:
            connection.floods = {}
        callers: dict[Hashable, _Refusals] = connection.floods
        found = callers.get(caller)
        if found is None or not 0 <= now - found.since < _WITHIN_SECONDS:
            if found is None and len(callers) >= _CALLERS:
                del callers[next(iter(callers))]
            found = callers[caller] = _Refusals(now)
        found.count += 1
        if found.count >= self.most_refusals:
            found.count = 0
            found.until = now + min(max(1.0, (retry_at or now) - now), _LONGEST_SECONDS)

    def check(self, connection: RequestConnection, caller: Hashable, now: float) -> None:
        """Refuse a request of a flood.

        Raises:
            Refusal: 429 with Retry-After.
        """
        found: _Refusals | None = connection.floods.get(caller)
        if found is None or not now < found.until <= now + _LONGEST_SECONDS:
            return
        self.refused += 1
        raise _too_many(found.until - now)


def _too_many(seconds: float) -> Refusal:
    words = "Too many requests of this connection were refused at a limit, and more came: wait before you send the next"
    return Refusal(
        429,
        "LimitFlood",
        words,
        code=codes.LIMITED,
        data={"retryAfterMs": ceil(seconds * 1000)},
        headers={"Retry-After": str(ceil(seconds))},
    )
