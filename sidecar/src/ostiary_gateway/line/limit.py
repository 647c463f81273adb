"""Limit: the bounds of one gateway process, from its settings. At a bound the caller gets a clear refusal and nobody
else notices.

A request is admitted as soon as its proxy is known (:mod:`.occupancy`), for its source, its proxy, its principal and
all together: its bytes count as they come, and itself once its body is whole. It costs a few additions; all it makes is
a tuple.
"""

from typing import Final

from ostiary_core.mcp import codes
from ostiary_gateway.errors import Refusal, UpstreamFault
from ostiary_gateway.line.exchange import Exchange
from ostiary_gateway.line.tally import SMALL_BYTES, Bound, FullError
from ostiary_gateway.upstream import faults

_RETRY_AFTER_MS: Final = 1000
_WORDS: Final = {
    Bound.CONNECTIONS: "connections",
    Bound.REQUESTS: "requests in flight",
    Bound.STREAMS: "open streams",
    Bound.BYTES: "bytes in flight",
}


def begin(exchange: Exchange) -> None:
    """Count a request whose body has become whole: who sends slowly takes no place of those who do not.

    Raises:
        Refusal: a bound of requests is reached.
    """
    if not exchange.is_reading:
        return
    try:
        count_request(exchange)
    except FullError as full:
        raise refusal(full) from None
    exchange.is_reading = False
    for tally in exchange.holders:
        tally.reading -= 1


def become_stream(exchange: Exchange) -> None:
    """Count a request as a stream from now on: its message asks for one.

    Raises:
        Refusal: a bound of streams is reached.
    """
    try:
        count_stream(exchange)
    except FullError as full:
        raise refusal(full) from None
    for tally in exchange.holders:
        tally.requests -= 1


def count_request(exchange: Exchange) -> None:
    """Count a request for all its holders.

    Raises:
        FullError: one of them has no room.
    """
    holders = exchange.holders
    for tally in holders:
        if tally.requests >= tally.ceiling.requests:
            raise FullError(tally.ceiling, Bound.REQUESTS)
    for tally in holders:
        tally.requests += 1


def count_stream(exchange: Exchange) -> None:
    """Count a stream for all its holders.

    Raises:
        FullError: one of them has no room.
    """
    holders = exchange.holders
    for tally in holders:
        if tally.streams >= tally.ceiling.streams:
            raise FullError(tally.ceiling, Bound.STREAMS)
    for tally in holders:
        tally.streams += 1
    exchange.is_stream = True


def hold(exchange: Exchange, size: int) -> None:
    """Count so many more bytes of a message that is held for this exchange. Alone, a message always finds room.

    Raises:
        FullError: others hold the rest.
    """
    holders, held = exchange.holders, exchange.held
    if size > 0:
        is_small = held + size <= SMALL_BYTES
        for tally in holders:
            room = tally.ceiling.bytes if is_small else tally.ceiling.large
            if tally.bytes + size > room and tally.bytes > held:
                raise FullError(tally.ceiling, Bound.BYTES)
    for tally in holders:
        tally.bytes += size
    exchange.held = held + size


def hold_request(exchange: Exchange, size: int) -> None:
    """Count bytes of a request's body.

    Raises:
        Refusal: there is no room for them.
    """
    try:
        hold(exchange, size)
    except FullError as full:
        raise refusal(full, close=not exchange.request.complete) from None


def hold_answer(exchange: Exchange, size: int) -> None:
    """Count bytes of an answer, or with a negative size no longer.

    Raises:
        UpstreamFault: there is no room for them. The upstream has done its work: nobody should simply try again.
    """
    try:
        hold(exchange, size)
    except FullError as full:
        raise UpstreamFault(faults.NO_ROOM, f"no room for the answer: {full}") from None


def release_tree(exchange: Exchange) -> None:
    """Hold what a large body was parsed to no longer."""
    hold(exchange, -exchange.tree_held)
    exchange.tree_held = 0


def refusal(full: FullError, *, close: bool = False) -> Refusal:
    """Return the answer at a bound."""
    words = f"{full.ceiling.words} as many {_WORDS[full.bound]} as allowed; try again in a moment"
    return Refusal(
        503,
        "GatewayFull",
        words,
        code=codes.LIMITED,
        data={"retryAfterMs": _RETRY_AFTER_MS},
        headers={"Retry-After": str(_RETRY_AFTER_MS // 1000)},
        close=close,
    )
