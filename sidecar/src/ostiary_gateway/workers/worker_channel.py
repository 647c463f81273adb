"""The messages between the supervisor and a worker, over one inherited socket.

The supervisor sends the options once, pickled, since a worker is its own child with the same code. What a worker says
is one JSON object a line, which is read as data only. The end of the socket is the end of the process behind it: a
worker whose supervisor was killed drains and ends.
"""

import json
import logging
import pickle
import socket
import struct
from dataclasses import dataclass
from typing import Final

from ostiary_gateway.options import GatewayOptions

_LENGTH: Final = struct.Struct(">I")
#: Bytes of the largest options, and of the longest line of a worker.
_LARGEST: Final = 1 << 20
MOST_LINE: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class WorkerStart:
    """What a worker is started with; ``formatter`` writes its log lines."""

    options: GatewayOptions
    formatter: logging.Formatter | None = None


@dataclass(frozen=True, slots=True)
class WorkerNews:
    """What a worker says: that its data port is open, or why it cannot start (``failure``)."""

    failure: str = ""

    def line(self) -> bytes:
        """Return it as one line."""
        return json.dumps({"failure": self.failure[:4096]}).encode() + b"\n"

    @classmethod
    def of(cls, line: bytes) -> "WorkerNews | None":
        """Read a line; None for one that no worker of this version writes."""
        try:
            found = json.loads(line)
        except ValueError:
            return None
        failure = found.get("failure") if isinstance(found, dict) else None
        return cls(failure) if isinstance(failure, str) else None


def start_message(start: WorkerStart) -> bytes:
    """Return the message that starts a worker: little enough for the buffer of a socket."""
    text = pickle.dumps(start)
    return _LENGTH.pack(len(text)) + text


def receive_start(channel: socket.socket) -> WorkerStart:
    """Read what this worker is started with.

    Raises:
        EOFError: the supervisor has ended.
        ValueError: it sent something else.
    """
    size = int(_LENGTH.unpack(_exactly(channel, _LENGTH.size))[0])
    if size > _LARGEST:
        raise ValueError(f"a start of {size} bytes is too large")
    found = pickle.loads(_exactly(channel, size))  # noqa: S301  from the parent process, over an inherited socket
    if not isinstance(found, WorkerStart):
        raise ValueError("the first message is no start of a worker")  # noqa: TRY004  what arrived, not an argument
    return found


def _exactly(channel: socket.socket, size: int) -> bytes:
    found = bytearray()
    while len(found) < size:
        piece = channel.recv(size - len(found))
        if not piece:
            raise EOFError("the supervisor has ended")
        found += piece
    return bytes(found)
