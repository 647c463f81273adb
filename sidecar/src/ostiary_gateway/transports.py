"""What asyncio does to memory: how much it reads at once, and what it leaves to the garbage collector."""

import asyncio
from typing import Final

#: What is read from a connection at once, in bytes. asyncio would have 256 KiB, and that is more than malloc gives
#: without asking the kernel: each small message cost 12 µs for memory that was mapped, cut down, and given back.
PIECE_BYTES: Final = 64 * 1024

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
