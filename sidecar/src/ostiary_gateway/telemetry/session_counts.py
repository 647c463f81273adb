"""Sessions of the handshake revisions, as this process saw them open and end.

Sessions are sealed in their ids and kept by no replica (:mod:`ostiary_gateway.session_ids`), so how many are open is
not known: a client that leaves for good says nothing. What is counted are events, by proxy.
"""

from collections import Counter
from collections.abc import Set
from typing import Final

#: Why a session id was refused: the gateway cannot open it for this caller, or the server no longer knows it.
INVALID: Final = "invalid"
FORGOTTEN: Final = "forgotten"


class SessionCounts:
    """The counts of this process, by proxy (``namespace/name``)."""

    def __init__(self) -> None:
        self.opened: Counter[tuple[str]] = Counter()
        self.ended: Counter[tuple[str]] = Counter()
        #: By proxy and server: sessions that the gateway opened late, or again, for clients that have one.
        self.renewed: Counter[tuple[str, str]] = Counter()
        #: By proxy and reason.
        self.refused: Counter[tuple[str, str]] = Counter()

    def note_opened(self, proxy: str) -> None:
        """Count a session that a response to initialize opened."""
        self.opened[proxy,] += 1

    def note_ended(self, proxy: str) -> None:
        """Count a session that its client ended, and its server let go."""
        self.ended[proxy,] += 1

    def note_renewed(self, proxy: str, server: str) -> None:
        """Count a session with one of several servers that was opened after its client's own."""
        self.renewed[proxy, server] += 1

    def note_refused(self, proxy: str, reason: str) -> None:
        """Count a request with a session id that is not, or no longer, good."""
        self.refused[proxy, reason] += 1

    def forget(self, proxies: Set[str]) -> None:
        """Forget proxies."""
        for counts in (self.opened, self.ended):
            for proxy in proxies:
                counts.pop((proxy,), None)
        for counted in (self.refused, self.renewed):
            for key in [key for key in counted if key[0] in proxies]:
                del counted[key]


#: The sessions of this process.
SESSIONS: Final = SessionCounts()
