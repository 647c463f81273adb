"""Session notes that the workers of one pod share, where no store of all replicas has them.

The supervisor keeps them, and workers ask it over a socket that only its user can reach. Messages are lines of JSON: a
list of words, and the answer to it.
"""

import asyncio
import json
import logging
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from ostiary_core.errors import OstiaryError
from ostiary_gateway.pod_state.hash_store import HashStore

_log = logging.getLogger(__name__)

#: The name of the socket in the folder of a gateway's workers.
SOCKET: Final = "notes.sock"
#: Bytes of one message: all notes of a session fit.
_LINE: Final = 4 * 1024 * 1024
#: Seconds for one answer.
_SECONDS: Final = 2.0


class NotesUnavailableError(OstiaryError):
    """The supervisor does not answer; the worker knows only what it noted itself."""


class NotesServer:
    """Keeps the notes of one pod; ``folder`` is that of its workers' sockets."""

    def __init__(self, folder: Path) -> None:
        self.store = HashStore()
        self._path = folder / SOCKET
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: the socket cannot be made.
        """
        self._server = await asyncio.start_unix_server(self._serve, str(self._path), limit=_LINE)

    async def close(self) -> None:
        """Stop, and forget everything."""
        if self._server is not None:
            self._server.close()
            for writer in tuple(self._open):
                writer.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            while line := await reader.readline():
                writer.write(self._answer(line))
                await writer.drain()
        except (ConnectionError, ValueError):
            pass  # the worker has ended, or what it sends is no message
        finally:
            self._open.discard(writer)
            writer.close()

    def _answer(self, line: bytes) -> bytes:
        try:
            return json.dumps(self.store.run(json.loads(line))).encode() + b"\n"
        except ValueError as error:
            _log.error("a worker asked for what notes have not (%s): this is a bug", error)
            return b"null\n"


class NotesLink:
    """The notes of the pod, as a worker asks for them. Must be used within one event loop."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / SOCKET
        self._turn = asyncio.Lock()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def command(self, *words: str) -> Any:
        """Return the answer to a command of :class:`.HashStore`.

        Raises:
            NotesUnavailableError: there is none.
        """
        async with self._turn:
            try:
                async with asyncio.timeout(_SECONDS):
                    return await self._ask(words)
            except (OSError, TimeoutError, ValueError) as error:
                self._drop()
                raise NotesUnavailableError(f"notes of the pod: {error}") from error
            except asyncio.CancelledError:
                self._drop()  # or the next one would read this answer
                raise

    async def _ask(self, words: Sequence[str]) -> Any:
        if self._streams is None:
            self._streams = await asyncio.open_unix_connection(str(self._path), limit=_LINE)
        reader, writer = self._streams
        writer.write(json.dumps(words).encode() + b"\n")
        line = await reader.readline()
        if not line:
            raise ConnectionResetError("the supervisor has closed the connection")
        return json.loads(line)

    def _drop(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def close(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            writer = self._streams[1]
            self._drop()
            with suppress(OSError):
                await writer.wait_closed()
