"""What asyncio keeps to itself: how much it reads at once, what it leaves to the collector, what it has not sent."""

import asyncio
import fcntl
import struct
import termios
from typing import Final

#: What is read from a connection at once, in bytes. asyncio would have 256 KiB, and that is more than malloc gives
#: without asking the kernel: each small message cost 12 µs for memory that was mapped, cut down, and given back.
PIECE_BYTES: Final = 64 * 1024

#: How the kernel counts the bytes of a socket that were not acknowledged (tcp(7), SIOCOUTQ): an int.
_COUNT: Final = struct.Struct("i")

#: Bound methods of a transport that it keeps as attributes of itself, by version of Python.
_OF_ITSELF = ("_read_ready_cb", "_write_ready")


def read_in_pieces(transport: asyncio.BaseTransport) -> None:
    """Have a transport read at most ``PIECE_BYTES`` at once. Where asyncio is made otherwise this does nothing."""
    if hasattr(transport, "max_size"):
        transport.max_size = PIECE_BYTES


def untie(transport: asyncio.BaseTransport | None) -> None:
    """Have a transport that has lost its connection forget itself, so that it goes with whoever knows it.

    The collector comes rarely here, and walks everything when it does. Where asyncio is made otherwise this does
    nothing.
    """
    attributes = getattr(transport, "__dict__", {})
    for name in _OF_ITSELF:
        attributes.pop(name, None)


def is_unsent(transport: asyncio.Transport | None) -> bool:
    """Say whether something that was written has not reached the kernel of the other side yet.

    It may lie in the buffers of TLS and of the transport, or in our kernel. The kernel is asked as well, because a
    transport of TLS does not count what the transport below it holds. Where a kernel cannot say (other than Linux), the
    transport's own buffers count alone.
    """
    if transport is None or transport.is_closing():
        return True
    if transport.get_write_buffer_size():
        return True
    try:
        queued = fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, _COUNT.pack(0))
    except OSError:
        return False
    return bool(_COUNT.unpack(queued)[0])
