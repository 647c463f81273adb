"""The health of one upstream server, reported to the operator and never to a caller.

It keeps the last fault until the server answers again, counts faults by kind, and logs why calls fail: each kind of
fault the first time and then once a minute, so that a server that is down or unstable fills no disk.
"""

import logging
import re
from collections import Counter
from dataclasses import dataclass
from time import monotonic, time
from typing import Final

from ostiary_core.upstream_faults import INVALID, NOT_OF_THE_SERVER, OF_ONE_CALL, REDIRECTED
from ostiary_gateway.errors import UpstreamFault

_log = logging.getLogger(__name__)

#: The number of characters of a fault's message that are kept.
MESSAGE_LIMIT: Final = 300
#: Seconds between two log records of the same kind of fault.
LOG_SECONDS: Final = 60.0
#: A fault that a single call can have with a healthy server counts after this many in a row without a success.
IN_A_ROW: Final = 3
_OF_THE_RESPONSE: Final = frozenset({INVALID, REDIRECTED})
_UNPRINTABLE: Final = re.compile(r"[^\x20-\x7e]+")


def printable(words: str, *, limit: int = MESSAGE_LIMIT) -> str:
    """Return a server's text as one harmless line of ASCII, cut at ``limit`` characters."""
    line = " ".join(_UNPRINTABLE.sub(" ", words[: 4 * limit]).split())
    return line if len(line) <= limit else f"{line[: limit - 3]}..."


@dataclass(frozen=True, slots=True)
class LastFault:
    """The last fault: its kind, a one-line message, and its time (seconds since the epoch)."""

    kind: str
    message: str
    at: float


class Health:
    """The health of one server of one proxy. ``title`` is its name in the log."""

    __slots__ = (
        "_in_a_row",
        "_is_logged",
        "_silent_until",
        "_unlogged",
        "answered",
        "counts",
        "fault",
        "title",
    )

    def __init__(self, title: str) -> None:
        self.title = title
        #: Whether it has ever answered.
        self.answered = False
        self.fault: LastFault | None = None
        #: Faults by kind.
        self.counts: Counter[str] = Counter()
        self._in_a_row = 0
        #: By kind, the time until which it is not logged again.
        self._silent_until: dict[str, float] = {}
        self._unlogged = 0
        self._is_logged = False

    def succeeded(self) -> None:
        """Record that the server answered."""
        self.answered = True
        self._in_a_row = 0
        if self.fault is not None:
            self.fault = None
            if self._is_logged:
                _log.info("%s answers again", self.title)
                self._is_logged = False

    def responded(self) -> None:
        """Record a whole response that is not MCP, such as a 404 to a probe.

        It ends a fault of the transport. It does not end one that says just this: the path of the URL is wrong.
        """
        if self.fault is not None and self.fault.kind not in _OF_THE_RESPONSE:
            self.succeeded()

    def failed(self, fault: UpstreamFault) -> None:
        """Record that the server failed."""
        self.counts[fault.kind] += 1
        self._in_a_row += fault.kind not in NOT_OF_THE_SERVER
        if self._concerns_server(fault):
            self.fault = LastFault(fault.kind, printable(fault.message), time())
        self._log_fault(fault)

    def absorbed(self, fault: UpstreamFault) -> None:
        """Record a fault of an attempt whose request is sent again.

        The server may be well all the same.
        """
        self.counts[fault.kind] += 1
        self._log_fault(fault)

    def _concerns_server(self, fault: UpstreamFault) -> bool:
        """Return whether a fault concerns the server, and not only a single call or caller."""
        if fault.kind in NOT_OF_THE_SERVER:
            return False
        of_one = fault.of_caller or fault.kind in OF_ONE_CALL
        return not of_one or not self.answered or self._in_a_row >= IN_A_ROW

    def _log_fault(self, fault: UpstreamFault) -> None:
        now = monotonic()
        if now < self._silent_until.get(fault.kind, 0.0):
            self._unlogged += 1
            return
        more = f" (and {self._unlogged} more since the last such record)" if self._unlogged else ""
        _log.warning("%s: %s: %s%s", self.title, fault.kind, printable(fault.message), more)
        self._silent_until[fault.kind] = now + LOG_SECONDS
        self._unlogged = 0
        self._is_logged = True
