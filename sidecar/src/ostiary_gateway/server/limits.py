"""What a caller may take of us before anybody knows who he is."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes, counts and seconds of one connection.

    ``head_seconds`` is for a whole head from its first byte; a new connection has as long for that byte.
    ``keep_seconds`` is how long a connection may idle between requests: longer than load balancers keep theirs, or they
    would send into a connection that we are closing. ``stall_seconds`` is how long a caller may take nothing, or next
    to nothing, of what we have for him. After an early answer what still comes is read and dropped for
    ``linger_seconds``: closing at once would reset the connection and eat the answer.
    """

    target_bytes: int = 8190
    head_bytes: int = 32 * 1024
    headers: int = 200
    head_seconds: float = 10.0
    keep_seconds: float = 75.0
    stall_seconds: float = 60.0
    linger_seconds: float = 5.0


DEFAULT: Final = Limits()
#: Of a body nobody takes, so much is held before reading stops.
BODY_HIGH_WATER: Final = 64 * 1024
#: What is parsed at once, in bytes: the most that one caller keeps all others waiting for.
SLICE_BYTES: Final = 16 * 1024
#: So many requests may come early. What came behind them waits unparsed: as bytes it takes forty times less.
EARLY_REQUESTS: Final = 16
#: Who takes less than this in ``stall_seconds`` takes next to nothing.
LEAST_TAKEN_BYTES: Final = 16 * 1024
#: What chunks, their extensions and trailers may take besides the body, in bytes: in all, and for each byte of it.
FRAMING_BYTES: Final = 64 * 1024
FRAMING_EACH: Final = 8
