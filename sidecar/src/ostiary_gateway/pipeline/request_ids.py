"""The ids and progress tokens of requests in flight.

A duplicate within a session is sent under a substitute.

Some clients send every request of a session as ``id: 1``, several at once: each response comes on its own POST, so they
need no other ids. A server may track its requests by id alone, and would answer one of them twice, or never. So the
second request is sent with a substitute id (:mod:`.upstream_ids`), and its response gets the caller's own id again. An
id that is used once at a time, as nearly all are, is sent unchanged.

The id 1 and the id "1" count as one: the official Python SDK's server tracks its requests by the text of their ids.

``notifications/cancelled`` for an id that several requests have cancels all of them: the caller cannot tell them apart,
and a caller that cancels "request 1" no longer waits for any of them.

Ids are tracked per session. Without a session (a legacy server that keeps none, and everything in 2026-07-28, where
processes of one principal number their requests independently) there is no scope in which they are unique, and all are
sent unchanged. Each replica knows only its own requests: it does not detect that another replica sends the same id at
the same time, and a cancellation reaches only the requests of the replica that received it.
"""

from typing import Any, Final

from ostiary_gateway.pipeline import upstream_ids
from ostiary_gateway.pipeline.exchange import Exchange, Taken

_CANCELLED: Final = "notifications/cancelled"
#: The types of an id or a token.
_KINDS: Final = frozenset((int, str))


class RequestIds:
    """The ids and progress tokens of the requests in flight."""

    def __init__(self) -> None:
        self._ids = _InFlight()
        self._tokens = _InFlight()
        #: The ids that a cancellation has named.
        self.cancelled: set[Taken] = set()

    def __len__(self) -> int:
        """The number of ids and tokens in flight."""
        return len(self._ids) + len(self._tokens)

    def take(self, exchange: Exchange) -> None:
        """Register the id and the progress token of a request in a session, until :meth:`release`.

        A duplicate is replaced by a substitute in the message. A cancellation gets the ids that its requests were sent
        with: the first in its body, the others as ``exchange.cancels_too``.
        """
        session, message = exchange.session, exchange.message
        if session is None or message is None or message.method is None:
            return
        if message.id is None:
            if message.method.name == _CANCELLED:
                self._retarget(exchange, (exchange.proxy.uid, session.upstream_id))
            return
        # Nearly every request passes here: what most do not need comes after one comparison.
        uid, session_id = exchange.proxy.uid, session.upstream_id
        taken = exchange.taken_id = self._ids.take(uid, session_id, message.id)
        if self._ids.ours and self._ids.is_ours(taken):
            exchange.sent_id = message.body["id"] = taken[2]
        params = message.body.get("params")
        meta = params.get("_meta") if params else None
        if meta and type(token := meta.get("progressToken")) in _KINDS:
            taken = exchange.taken_token = self._tokens.take(uid, session_id, token)
            if self._tokens.ours and self._tokens.is_ours(taken):
                meta["progressToken"] = taken[2]

    def release(self, exchange: Exchange) -> None:
        """Release the ids and tokens of an exchange."""
        taken = exchange.taken_id
        if taken is not None:
            self._ids.release(taken)
            if self.cancelled:
                self.cancelled.discard(taken)
            if exchange.taken_token is not None:
                self._tokens.release(exchange.taken_token)

    def is_cancelled(self, exchange: Exchange) -> bool:
        """Return whether the caller has cancelled a request in flight."""
        return exchange.taken_id in self.cancelled

    def _retarget(self, exchange: Exchange, place: tuple[str, str]) -> None:
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
    """The ids, or the tokens, that are in flight."""

    def __init__(self) -> None:
        #: The caller's value, by the value that was sent upstream.
        self._own: dict[Taken, str | int] = {}
        #: Our substitutes, by proxy, session and the caller's value.
        self.ours: dict[tuple[str, str, str | int], list[str]] = {}

    def __len__(self) -> int:
        return len(self._own)

    def take(self, uid: str, session_id: str, own: str | int) -> Taken:
        """Register a value in a session.

        Return a substitute where it is in use, or could be mistaken for a substitute.
        """
        key = (uid, session_id, str(own))
        if key in self._own or (type(own) is str and upstream_ids.is_substitute(own)):
            key = (uid, session_id, upstream_ids.substitute(own))
            self.ours.setdefault((uid, session_id, own), []).append(key[2])
        self._own[key] = own
        return key

    def is_ours(self, taken: Taken) -> bool:
        """Return whether a substitute was sent upstream."""
        uid, session_id, sent = taken
        return sent in self.ours.get((uid, session_id, self._own[taken]), ())

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
        """Return the values under which requests in flight with the caller's value were sent."""
        ours = self.ours.get((*place, own), [])
        return [own, *ours] if self._own.get((*place, str(own))) == own else [*ours]
