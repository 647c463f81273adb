"""``list_changed`` notifications of our own.

A policy edit changes the lists that a caller gets, and the server cannot notify the caller of it.

They go to the streams on which clients expect them: a session's GET stream, and a ``subscriptions/listen`` that asked
for them (specification, List Changed Notification, Subscriptions). There each has the subscription's id, and none is
sent before the server has acknowledged the filter. For a client that caches lists, a notification ends the cache's
validity. A client without a stream sees the change when it reads a list again; governed lists limit how long they may
be cached (:mod:`.list_filter`).

A notification may be sent although nothing changed for a caller: it covers only primitives whose rules differ, but
names are not compared, since the gateway has no catalogue. Consecutive edits give one notification, and the streams of
a proxy get theirs at different times, so that the clients do not all return in the same moment.
"""

import asyncio
import random
from collections.abc import Mapping
from typing import Any, Final, Protocol
from weakref import WeakKeyDictionary, ref

from ostiary_core import strict_json
from ostiary_core.errors import StrictJSONError
from ostiary_core.mcp.meta_keys import META_SUBSCRIPTION
from ostiary_core.mcp.methods import Primitive
from ostiary_core.mcp.protocol_revisions import MODERN
from ostiary_core.policy.visibility import Visibility
from ostiary_gateway import sse
from ostiary_gateway.pipeline.exchange import Exchange

#: Seconds to wait after an edit, since another may follow; and the range of a random further delay for each stream.
QUIET_SECONDS: Final = 0.2
SPREAD_SECONDS: Final = 0.5
ACKNOWLEDGED: Final = "notifications/subscriptions/acknowledged"
#: The members of a listen filter.
_ASKED_FOR: Final = {primitive: f"{primitive.value}ListChanged" for primitive in Primitive}

_NONE: Final[frozenset[Primitive]] = frozenset()
_ALL: Final = frozenset(Primitive)

_Compared = tuple[ref[Visibility], frozenset[Primitive]]
#: The primitives that a visibility changed relative to the previous one: all streams of a proxy ask for the same.
_COMPARED: Final[WeakKeyDictionary[Visibility, _Compared]] = WeakKeyDictionary()


def changed_lists(old: Visibility, new: Visibility) -> frozenset[Primitive]:
    """Return the primitives whose lists may differ under a new visibility."""
    found = _COMPARED.get(new)
    if found is None or found[0]() is not old:
        changed = frozenset(primitive for primitive in Primitive if not new.lists_like(old, primitive))
        found = _COMPARED[new] = (ref(old), changed)
    return found[1]


class NoticeSender(Protocol):
    """The stream that gets the notifications."""

    def send_notices(self) -> None:
        """Send what there is to :meth:`ListNotices.take`."""


class ListNotices:
    """The notifications that one stream still has to get.

    ``sender`` is told when there is something to :meth:`take`. ``is_acknowledged`` once the server has acknowledged a
    filter.
    """

    __slots__ = ("_asked", "_open", "_owed", "_subscription", "_timer", "is_acknowledged", "sender")

    def __init__(self, exchange: Exchange) -> None:
        message = exchange.message
        self.sender: NoticeSender | None = None
        self.is_acknowledged = False
        self._owed: frozenset[Primitive] = _NONE
        self._timer: asyncio.TimerHandle | None = None
        #: In a session every notification is sent, and nothing must precede it.
        self._subscription = exchange.request_id
        self._open = message is None or message.era is not MODERN
        self._asked = _ALL if self._open else _asked(message.params if message is not None else {})

    def compare(self, old: Visibility, new: Visibility) -> None:
        """Note what a new visibility may have changed, and report it after a short delay."""
        self.owe(changed_lists(old, new))

    def owe(self, primitives: frozenset[Primitive]) -> None:
        """Report after a short delay that these lists may have changed.

        Only those are reported that the client asked for.
        """
        owed = primitives & self._asked
        if not owed:
            return
        self._owed |= owed
        if self._timer is None:
            delay = QUIET_SECONDS + random.uniform(0, SPREAD_SECONDS)  # noqa: S311  not security relevant
            self._timer = asyncio.get_running_loop().call_later(delay, self._due)

    def _due(self) -> None:
        self._timer = None
        if self.sender is not None:
            self.sender.send_notices()

    def retry(self) -> None:
        """Send what is due and could not be sent before."""
        if self._owed and self._timer is None:
            self._due()

    def close(self) -> None:
        """Send no more notifications."""
        self.sender = None
        if self._timer is not None:
            self._timer.cancel()

    def take(self) -> bytes:
        """Return the events that are due.

        It is empty before their time, and before the subscription is acknowledged.
        """
        if not self._owed or self._timer is not None or not self._open:
            return b""
        owed, self._owed = sorted(self._owed), _NONE
        return b"".join(sse.event(strict_json.dumps(self._notice(primitive))) for primitive in owed)

    def _notice(self, primitive: Primitive) -> dict[str, Any]:
        message: dict[str, Any] = {"jsonrpc": "2.0", "method": f"notifications/{primitive.value}/list_changed"}
        if self._subscription is not None:
            message["params"] = {"_meta": {META_SUBSCRIPTION: self._subscription}}
        return message

    def acknowledged(self, text: bytes, message: Mapping[str, Any], governed: frozenset[Primitive]) -> bytes:
        """Return a server's acknowledgement with the lists added that we notify of.

        These are the ``governed`` ones that the caller asked for. From now on notifications may follow.
        """
        self._open = self.is_acknowledged = True
        params = message.get("params")
        honoured = params.get("notifications") if isinstance(params, dict) else None
        missing = [
            _ASKED_FOR[each]
            for each in self._asked & governed
            if isinstance(honoured, dict) and not honoured.get(_ASKED_FOR[each])
        ]
        if not missing or not isinstance(honoured, dict) or not isinstance(params, dict):
            return text
        whole = {**message, "params": {**params, "notifications": {**honoured, **dict.fromkeys(sorted(missing), True)}}}
        try:
            return strict_json.dumps(whole)
        except StrictJSONError:
            return text


def _asked(params: Mapping[str, Any]) -> frozenset[Primitive]:
    wanted = params.get("notifications")
    if not isinstance(wanted, dict):
        return frozenset()
    return frozenset(primitive for primitive, member in _ASKED_FOR.items() if wanted.get(member) is True)
