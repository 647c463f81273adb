"""The two ends of a relayed stream: the upstream's events, and the writer to the client.

The writer sends at the client's pace, until the client disconnects.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from time import monotonic
from typing import Final, Protocol

from ostiary_gateway import sse, sse_splitter
from ostiary_gateway.errors import CallerGone, UpstreamFault
from ostiary_gateway.limits.limiter import SENT_AT_ONCE
from ostiary_gateway.pipeline.large_messages import LIGHT_ANSWER_BYTES
from ostiary_gateway.server.request import Request
from ostiary_gateway.server.response import ResponseStream
from ostiary_gateway.upstream import faults

#: How long a response is read on after its client has disconnected, in seconds: some servers never end.
ORPHAN_SECONDS: Final = 300.0
#: An event of more lines is filtered in slices, as a large one is.
_FEW_LINES: Final = 256


def is_light(block: bytes) -> bool:
    """Return whether an event is small enough, in bytes and lines, to be filtered at once."""
    return len(block) <= LIGHT_ANSWER_BYTES and sse.line_ends(block) <= _FEW_LINES


class Closable(Protocol):
    """What ends when a stream is closed: the response of its server, or all that feeds it."""

    def close(self) -> None:
        """Close it at once."""


class HeldSource(Protocol):
    """Where the events of a stream come from."""

    def hold_back(self) -> None:
        """Read no more until what has arrived is read."""


class UpstreamEvents(sse_splitter.BlockSplitter):
    """The events of one stream as they arrive.

    ``limit`` is the most bytes of one event (``bounds.messageBytes``). ``is_document`` says whether the stream is JSON
    that is only labelled as an event stream; None before its first byte.
    """

    __slots__ = ("is_document",)

    def __init__(self, *, limit: int) -> None:
        super().__init__(limit=limit)
        self.is_document: bool | None = None

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Return the events that a chunk completes.

        JSON that is only labelled as an event stream becomes one event: it is what the splitter has left at the end.

        Raises:
            UpstreamFault: an event is too large.
        """
        if self.is_document is None and (start := chunk.lstrip()):
            self.is_document = start.startswith(b"{")
        if self.is_document:
            # The splitter must not see the blank lines of a JSON document.
            chunk = chunk.replace(b"\r", b" ").replace(b"\n", b" ")
        return self._split(chunk)

    def _split(self, chunk: bytes) -> Iterator[bytes]:
        try:
            yield from super().feed(chunk)
        except sse_splitter.BlockTooLargeError as error:
            raise UpstreamFault(faults.TOO_LARGE, f"{error} (bounds.messageBytes)") from error


class DownstreamWriter:
    """Writes one stream.

    ``source`` is held back while the client is slower. It changes where several responses go into one stream, and is
    None where each of them is read at its own pace.

    ``gone`` once the client has disconnected; ``untaken`` is how many bytes of large pieces it has not taken yet.
    """

    __slots__ = ("_given_up_at", "_stream", "gone", "source", "untaken")

    def __init__(self, request: Request, headers: Mapping[str, str]) -> None:
        self.gone = False
        self.untaken = 0
        self.source: HeldSource | None = None
        self._stream = ResponseStream(request, headers)
        self._given_up_at = 0.0

    @property
    def begun(self) -> bool:
        """Whether status and headers are fixed."""
        return self._stream.begun

    def add_headers(self, headers: Mapping[str, str]) -> None:
        """Add headers, before the stream has begun."""
        self._stream.add_headers(headers)

    @property
    def is_given_up(self) -> bool:
        """Whether the client has been gone for :data:`ORPHAN_SECONDS`."""
        return self.gone and monotonic() > self._given_up_at

    def begin(self) -> None:
        """Fix status and headers."""
        self._stream.begin()

    def write(self, data: bytes) -> None:
        """Add a piece, which :meth:`flush` sends."""
        if self.gone:
            return
        self._stream.begin()
        self._stream.write(data)
        if len(data) > SENT_AT_ONCE:
            self.untaken += len(data)

    def push(self) -> None:
        """Send what was written as far as it goes, without waiting.

        The next :meth:`flush` sends the rest.
        """
        if not self.gone:
            with suppress(CallerGone):  # the next flush notices it, too
                self._stream.send()

    def end(self) -> None:
        """Complete the stream."""
        self._stream.end()

    async def flush(self) -> None:
        """Send what was written, as fast as the client takes it.

        Once it has disconnected everything is dropped.
        """
        if not self.gone:
            try:
                if self._stream.send():
                    if self.source is not None:
                        self.source.hold_back()
                    await self._stream.taken()
            except CallerGone:
                self.gone = True
                self._given_up_at = monotonic() + ORPHAN_SECONDS
        self.untaken = 0
