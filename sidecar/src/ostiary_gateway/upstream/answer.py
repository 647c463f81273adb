"""What a server answers, as it arrives: head first, then the body piece by piece, only as fast as it is taken."""

from collections.abc import Callable

from ostiary_gateway.upstream.http1.response import Response


class Answer:
    """One answer. ``released`` is called once, when it has been closed."""

    __slots__ = ("_released", "_response", "content_type", "status")

    def __init__(self, response: Response, released: Callable[[], None]) -> None:
        self.status = response.status
        #: The media type, without its parameters.
        self.content_type = (response.header("content-type") or "").partition(";")[0].strip().lower()
        self._response = response
        self._released: Callable[[], None] | None = released

    def header(self, name: str) -> str | None:
        """Return a header by its name in any case, None where it is missing."""
        return self._response.header(name.lower())

    @property
    def at_end(self) -> bool:
        """Whether all of the body has been read."""
        return self._response.at_end

    def ready(self) -> bytes | None:
        """Return what has arrived without waiting: empty at the end, None where there is something to wait for."""
        return self._response.ready()

    async def read_some(self, seconds: float) -> bytes:
        """Return what has arrived, waiting so long for something to arrive; empty at the end.

        Raises:
            UpstreamFault: the body broke off, or :meth:`close` was called meanwhile.
            TimeoutError: nothing arrived.
        """
        return await self._response.read_some(seconds)

    def close(self) -> None:
        """Have done with the answer: one that arrived whole has given its connection back, else that is closed."""
        self._response.close()
        released, self._released = self._released, None
        if released is not None:
            released()
