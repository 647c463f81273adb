"""What a server answers, as it arrives: head first, then the body piece by piece, only as fast as it is taken."""

from collections.abc import Callable

import aiohttp

from ostiary_gateway.upstream.faults import as_fault


class Answer:
    """One answer. ``released`` is called once, when it has been closed."""

    __slots__ = ("_released", "_response", "status")

    def __init__(self, response: aiohttp.ClientResponse, released: Callable[[], None]) -> None:
        self.status = response.status
        self._response = response
        self._released: Callable[[], None] | None = released

    def header(self, name: str) -> str | None:
        """Return a header, None where it is missing."""
        return self._response.headers.get(name)

    @property
    def content_type(self) -> str:
        """The media type, without its parameters."""
        return (self.header("content-type") or "").partition(";")[0].strip().lower()

    @property
    def at_end(self) -> bool:
        """Whether all of the body has been read."""
        return self._response.content.at_eof()

    async def read_some(self) -> bytes:
        """Return what has arrived, waiting for something to arrive; empty at the end.

        Raises:
            UpstreamFault: the body broke off, or :meth:`close` was called meanwhile.
        """
        try:
            return await self._response.content.readany()
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise as_fault(error) from error

    def close(self) -> None:
        """Have done with the answer: read to its end it gives its connection back, else that is closed with it."""
        if self.at_end:
            self._response.release()
        else:
            self._response.close()
        released, self._released = self._released, None
        if released is not None:
            released()
