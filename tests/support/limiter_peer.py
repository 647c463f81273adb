"""A connection as the limiter sees it, without a socket."""

from typing import Any


class LimiterPeer:
    """The members of a connection that the limiter reads; ``response`` is what it was refused with."""

    def __init__(self, peer: str) -> None:
        self.peer = peer
        self.source: Any = None
        self.held_response: Any = None
        self.unhandled = 0
        self.lost = False
        self.response: Any = None
