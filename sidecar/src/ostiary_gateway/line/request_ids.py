"""One id, one request: while a request of a session awaits its answer, its id is taken (JSON-RPC; MCP, Requests).

A server that gets one id twice may answer either, or mix the two up, and ``notifications/cancelled`` or a resumed
stream would mean one of two. Ids are counted by session: without one (a legacy server that keeps none, and everything
in 2026-07-28, where processes of one principal count their ids each by itself) there is nothing that they are unique
in, and nothing is refused. Each replica knows the requests that it handles.
"""

from ostiary_gateway.errors import Refusal
from ostiary_gateway.line.exchange import Exchange
from ostiary_gateway.line.frame import invalid

#: Proxy, the upstream's session, the id. An id 1 and an id "1" are two.
Key = tuple[str, str, str | int]


class RequestIds:
    """The ids of the requests in flight."""

    def __init__(self) -> None:
        self._taken: set[Key] = set()

    def __len__(self) -> int:
        """How many are taken."""
        return len(self._taken)

    def take(self, exchange: Exchange) -> None:
        """Take the id of a request that belongs to a session, until :meth:`release`.

        Raises:
            Refusal: -32600, it is taken.
        """
        session, identifier = exchange.session, exchange.request_id
        if session is None or identifier is None:
            return
        key = (exchange.proxy.uid, session.upstream_id, identifier)
        if key in self._taken:
            raise in_flight()
        self._taken.add(key)
        exchange.taken_id = key

    def release(self, exchange: Exchange) -> None:
        """Give back what an exchange has taken."""
        if exchange.taken_id is not None:
            self._taken.discard(exchange.taken_id)


def in_flight() -> Refusal:
    """Return the answer to a second request with the id of one that was not answered yet."""
    return invalid('A request with this "id" is in flight in this session; each needs an id of its own')
