"""Per-connection limits, applied before authentication."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes, counts and seconds of one connection.

    ``head_seconds`` is the time for a whole head from its first byte; a new connection has the same time for that byte.
    ``keep_seconds`` is how long a connection may be idle between requests. It is longer than load balancers keep their
    connections, so that they do not send into one that we are closing. ``stall_seconds`` is how long a client may take
    nothing, or nearly nothing, of what we send. After an early response the rest of the request is read and dropped for
    ``linger_seconds``: closing at once would reset the connection and lose the response.
    """

    target_bytes: int = 8190
    head_bytes: int = 32 * 1024
    headers: int = 200
    head_seconds: float = 10.0
    keep_seconds: float = 75.0
    stall_seconds: float = 60.0
    linger_seconds: float = 5.0


DEFAULT: Final = Limits()
#: Reading pauses once this many bytes of a body are waiting to be read by its handler.
BODY_HIGH_WATER: Final = 64 * 1024
#: The most bytes that are parsed at once, while all other clients wait.
SLICE_BYTES: Final = 16 * 1024
#: The most pipelined requests. Input behind them waits unparsed: bytes take a fortieth of what requests take.
EARLY_REQUESTS: Final = 16
#: A client that takes less than this in ``stall_seconds`` counts as stalled.
LEAST_TAKEN_BYTES: Final = 16 * 1024
#: The most bytes that chunk headers, extensions and trailers may take: in all, and more for each byte of the body.
FRAMING_BYTES: Final = 64 * 1024
FRAMING_EACH: Final = 8
