"""Adjust asyncio's transports.

This concerns the size of reads, reference cycles, addresses, and the amount of unsent data.
"""

import asyncio
import fcntl
import struct
import termios
from typing import Final

#: The size of one read from a connection, in bytes. asyncio's 256 KiB is more than malloc provides without a system
#: call: each small message cost 12 µs to map, shrink and unmap memory.
READ_BYTES: Final = 64 * 1024

#: The bytes of unsent data at which asyncio lets writers go on, by default.
_LOW_WATER: Final = 16 * 1024

#: The ioctl for the bytes of a socket that were not acknowledged (tcp(7), SIOCOUTQ): an int.
_COUNT: Final = struct.Struct("i")

#: The attributes in which a transport keeps bound methods of itself, by Python version.
_OF_ITSELF = ("_read_ready_cb", "_write_ready")
#: The names of the addresses that a transport keeps.
_ADDRESSES: Final = ("sockname", "peername")


def limit_read_size(transport: asyncio.BaseTransport) -> None:
    """Make a transport read at most ``READ_BYTES`` at once, and share a number with all others.

    Without effect on an unknown implementation of asyncio.
    """
    if hasattr(transport, "max_size"):
        transport.max_size = READ_BYTES
    if getattr(transport, "_low_water", None) == _LOW_WATER:
        transport._low_water = _LOW_WATER  # type: ignore[attr-defined]  # computed for each: an object of its own


def break_cycles(transport: asyncio.BaseTransport | None) -> None:
    """Break the reference cycles of a closed transport, so that reference counting frees it.

    The garbage collector runs rarely here, and a run is expensive. Without effect on an unknown implementation of
    asyncio.
    """
    attributes = getattr(transport, "__dict__", {})
    for name in _OF_ITSELF:
        attributes.pop(name, None)


def forget_addresses(transport: asyncio.BaseTransport | None) -> None:
    """Drop the addresses that a transport keeps of both its ends.

    They are some 300 bytes, of thousands of open streams, and nothing asks for them any more. Without effect on an
    unknown implementation of asyncio.
    """
    kept = getattr(transport, "_extra", None)
    if isinstance(kept, dict):
        for name in _ADDRESSES:
            kept.pop(name, None)


def is_unsent(transport: asyncio.Transport | None) -> bool:
    """Return whether some written data has not reached the peer's kernel yet.

    It may be in the buffers of TLS, of the transport, or of our kernel. The kernel is asked as well, because a TLS
    transport does not count the data in the transport below it. On systems other than Linux only the transport's own
    buffers count.
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
