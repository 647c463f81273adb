"""What asyncio leaves to the garbage collector, which comes rarely here and walks everything when it does."""

import asyncio

#: Bound methods of a transport that it keeps as attributes of itself, by version of Python.
_OF_ITSELF = ("_read_ready_cb", "_write_ready")


def untie(transport: asyncio.BaseTransport | None) -> None:
    """Have a transport that has lost its connection forget itself, so that it goes with whoever knows it.

    Where asyncio is made otherwise this does nothing.
    """
    attributes = getattr(transport, "__dict__", {})
    for name in _OF_ITSELF:
        attributes.pop(name, None)
