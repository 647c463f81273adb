"""The ids and progress tokens of requests in flight: where a session uses one twice at a time, ours stands upstream.

Clients exist that send every request of a session as ``id: 1``, several at once: each answer comes on a POST of its
own, so they need no more. A server may hold its requests by their ids alone, and would answer one of them twice, or
never. So the second goes out with a name of ours (:mod:`.own_ids`), and its answer is given the caller's own id again.
An id that is used once at a time, as nearly all are, is sent as it came.

An id 1 and an id "1" are one here: the official Python SDK's server keeps its requests by the text of their ids.

``notifications/cancelled`` for an id that several requests bear cancels all of them: the caller has no means to tell
them apart, and who gives up "the request 1" waits for none of them any more.

Names are counted by session. Without one (a legacy server that keeps none, and everything in 2026-07-28, where
processes of one principal count their ids each by itself) there is nothing that they are unique in, and all are sent
as they came. Each replica knows the requests that it handles: that two of them send one id at the same time is not
seen, and a cancellation reaches the requests of the replica that it came to.
"""

from typing import Any, Final

from ostiary_gateway.line import own_ids
from ostiary_gateway.line.exchange import Exchange, Taken

_CANCELLED: Final = "notifications/cancelled"
#: What an id or a token may be.
_KINDS: Final = frozenset((int, str))


class RequestIds:
    """The ids and progress tokens of the requests in flight."""

    def __init__(self) -> None:
        self._ids = _InFlight()
        self._tokens = _InFlight()
        #: The ids that a cancellation has named.
        self.cancelled: set[Taken] = set()

    def __len__(self) -> int:
        """How many are taken."""
        return len(self._ids) + len(self._tokens)

    def take(self, exchange: Exchange) -> None:
        """Take the id and the progress token of a request that belongs to a session, until :meth:`release`.

        Where one is taken already, the message is given a name of ours in its place. A cancellation is given the ids
        that its requests were sent with: the first in its body, the others as ``exchange.cancels_too``.
        """
        session, message = exchange.session, exchange.message
        if session is None or message is None or message.method is None:
            return
        if message.id is None:
            if message.method.name == _CANCELLED:
                self._aim(exchange, (exchange.proxy.uid, session.upstream_id))
            return
        # Nearly every request passes here: what most have no need of is asked for behind one comparison.
        uid, held = exchange.proxy.uid, session.upstream_id
        taken = exchange.taken_id = self._ids.take(uid, held, message.id)
        if self._ids.ours and self._ids.is_ours(taken):
            exchange.sent_id = message.body["id"] = taken[2]
        params = message.body.get("params")
        meta = params.get("_meta") if params else None
        if meta and type(token := meta.get("progressToken")) in _KINDS:
            taken = exchange.taken_token = self._tokens.take(uid, held, token)
            if self._tokens.ours and self._tokens.is_ours(taken):
                meta["progressToken"] = taken[2]

    def release(self, exchange: Exchange) -> None:
        """Give back what an exchange has taken."""
        taken = exchange.taken_id
        if taken is not None:
            self._ids.release(taken)
            if self.cancelled:
                self.cancelled.discard(taken)
            if exchange.taken_token is not None:
                self._tokens.release(exchange.taken_token)

    def is_cancelled(self, exchange: Exchange) -> bool:
        """Say whether the caller has cancelled a request in flight."""
        return exchange.taken_id in self.cancelled

    def _aim(self, exchange: Exchange, place: tuple[str, str]) -> None:
        params = exchange.message.params if exchange.message is not None else {}
        named = params.get("requestId")
        if type(named) not in (int, str):
            return
        sent = self._ids.sent_for(place, named)
        if sent:
            self.cancelled.update((*place, str(each)) for each in sent)
            params["requestId"] = sent[0]
            exchange.cancels_too = tuple(sent[1:])


class _InFlight:
    """The names of one kind that are in flight."""

    def __init__(self) -> None:
        #: What the caller said, by what stands upstream.
        self._own: dict[Taken, str | int] = {}
        #: The names of ours, by proxy, session and what the caller said.
        self.ours: dict[tuple[str, str, str | int], list[str]] = {}

    def __len__(self) -> int:
        return len(self._own)

    def take(self, uid: str, held: str, own: str | int) -> Taken:
        """Take a name in a session; where that is taken, or could be mistaken for one of ours, one of ours."""
        key = (uid, held, str(own))
        if key in self._own or (type(own) is str and own_ids.is_stand_in(own)):
            key = (uid, held, own_ids.stand_in(own))
            self.ours.setdefault((uid, held, own), []).append(key[2])
        self._own[key] = own
        return key

    def is_ours(self, taken: Taken) -> bool:
        """Say whether a name of ours stands upstream."""
        uid, held, sent = taken
        return sent in self.ours.get((uid, held, self._own[taken]), ())

    def release(self, taken: Taken) -> None:
        own = self._own.pop(taken)
        if not self.ours:
            return
        key = (*taken[:2], own)
        ours = self.ours.get(key)
        if ours is not None and taken[2] in ours:
            ours.remove(taken[2])
            if not ours:
                del self.ours[key]

    def sent_for(self, place: tuple[str, str], own: Any) -> list[str | int]:
        """Return what the requests in flight that a caller calls so were sent as."""
        ours = self.ours.get((*place, own), [])
        return [own, *ours] if self._own.get((*place, str(own))) == own else [*ours]
