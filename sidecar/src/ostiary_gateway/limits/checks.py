"""The limits of one gateway process, and how a request is refused.

A request is admitted as soon as its proxy is known (:mod:`.limiter`), and counted for its source, its proxy, its
principal and the whole process: its bytes as they come, the request itself once its body is complete. At a limit its
client gets a clear refusal, and no other client is affected.
"""

from typing import Final

from ostiary_core.mcp import codes
from ostiary_gateway.errors import Refusal, UpstreamFault
from ostiary_gateway.limits.counters import Bound, LimitReachedError
from ostiary_gateway.limits.reservation import Reservation
from ostiary_gateway.upstream import faults

_RETRY_AFTER_MS: Final = 1000
_WORDS: Final = {
    Bound.CONNECTIONS: "connections",
    Bound.REQUESTS: "requests in flight",
    Bound.STREAMS: "open streams",
    Bound.BYTES: "bytes in flight",
}


def finish_upload(reservation: Reservation) -> None:
    """Count a request whose body is complete now.

    Clients that send slowly take no place of those that do not.

    Raises:
        Refusal: a limit of requests is reached.
    """
    try:
        reservation.finish_upload()
    except LimitReachedError as reached:
        raise refusal(reached) from None


def become_stream(reservation: Reservation) -> None:
    """Count a request as a stream from now on: its message asks for one.

    Raises:
        Refusal: a limit of streams is reached.
    """
    try:
        reservation.become_stream()
    except LimitReachedError as reached:
        raise refusal(reached) from None


def reserve_request_bytes(reservation: Reservation, size: int, *, close: bool = False) -> None:
    """Count bytes of a request's body.

    ``close`` ends the connection with the refusal: more of the body will come.

    Raises:
        Refusal: there is no room for them.
    """
    try:
        reservation.add_bytes(size)
    except LimitReachedError as reached:
        raise refusal(reached, close=close) from None


def reserve_response_bytes(reservation: Reservation, size: int) -> None:
    """Count bytes of a response, or release them with a negative size.

    Raises:
        UpstreamFault: there is no room for them. The upstream has done its work, so no retry is suggested.
    """
    try:
        reservation.add_bytes(size)
    except LimitReachedError as reached:
        raise UpstreamFault(faults.NO_ROOM, f"no room for the answer: {reached}") from None


def reserve_tree_bytes(reservation: Reservation, size: int) -> None:
    """Count the bytes of a parsed body, until :func:`release_tree_bytes`.

    Raises:
        Refusal: there is no room for them.
    """
    reservation.tree_bytes = size
    reserve_request_bytes(reservation, size)


def release_tree_bytes(reservation: Reservation) -> None:
    """Release what a large body took once it was parsed."""
    reservation.add_bytes(-reservation.tree_bytes)
    reservation.tree_bytes = 0


def refusal(reached: LimitReachedError, *, close: bool = False) -> Refusal:
    """Return the refusal at a limit."""
    words = f"{reached.limits.words} as many {_WORDS[reached.bound]} as allowed; try again in a moment"
    return Refusal(
        503,
        "GatewayFull",
        words,
        code=codes.LIMITED,
        data={"retryAfterMs": _RETRY_AFTER_MS},
        headers={"Retry-After": str(_RETRY_AFTER_MS // 1000)},
        close=close,
    )
