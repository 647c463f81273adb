"""What is looked at in each event of a stream besides its message."""

from typing import Final

from ostiary_core.mcp.protocol_revisions import LEGACY
from ostiary_gateway import sse
from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.pipeline.exchange import Exchange
from ostiary_gateway.pipeline.leg import Leg
from ostiary_gateway.upstream import faults

#: The longest time to wait before reconnecting that is passed on, in digits of milliseconds.
_DIGITS: Final = 8


def check_lines(block: bytes, *, most: int) -> None:
    """Check the number of lines of an event.

    Raises:
        UpstreamFault: it has too many.
    """
    if sse.line_ends(block) > most:
        raise UpstreamFault(faults.TOO_LARGE, f"an event has more than {most} lines (bounds.messageValues)")


def check_end(*, foreign_responses: int, is_resumable: bool) -> None:
    """Check that a stream that has ended may end so, where a response is due.

    Raises:
        UpstreamFault: it ended without the response, and cannot be resumed.
    """
    if foreign_responses:
        raise UpstreamFault(faults.INVALID, "the stream held answers to other requests only")
    if not is_resumable:
        raise UpstreamFault(faults.RESET, "the stream ended without the answer")


def without_endpoint(exchange: Exchange) -> bytes:
    """Drop the server's own address: what a client posts there would bypass the gateway.

    Raises:
        UpstreamFault: a client of HTTP+SSE waits for it.
    """
    if exchange.message is None and exchange.session is None:
        raise UpstreamFault(faults.INVALID, "the server speaks HTTP+SSE (2024-11-05), which is not supported")
    return b""


def makes_resumable(event: sse.Event, exchange: Exchange, leg: Leg) -> bool:
    """Return whether a client can resume a legacy stream from an event, which has an id.

    The newest revision has no resuming.
    """
    message = exchange.message
    if not event.id or message is None or message.era is not LEGACY or leg.bridge is not None:
        return False
    return b"\0" not in event.id  # clients ignore an id with NUL


def without_comments(block: bytes) -> bytes:
    """Return what rules about content leave of a block besides its message.

    That is its id, its time to reconnect, and an empty message if it has no other; it may be nothing. Comments and
    names of other types are read by no client, but are a place where a server may write what must not pass.
    """
    identifier, retry = sse.value_of(block, b"id"), sse.value_of(block, b"retry")
    lines = [b"id: " + identifier] if identifier is not None else []
    if retry is not None and retry.isdigit() and len(retry) <= _DIGITS:
        lines.append(b"retry: " + retry)
    if lines and b"data" in block:
        lines.append(b"data: ")
    return b"\n".join([*lines, b"", b""]) if lines else b""
