"""The mock MCP server as a child of ``ostiary run``: started, watched, started again when it dies, ended with us."""

import asyncio
import contextlib
import os
import re
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable
from typing import Final

from ostiary_core.errors import OstiaryError
from ostiary_operator.local import tether
from ostiary_operator.local.console import printable

_START_SECONDS: Final = 30.0
_STOP_SECONDS: Final = 3.0
_BACKOFF: Final = (0.5, 1.0, 2.0, 4.0, 8.0)
#: Whoever lived so long in seconds died of something new.
_SETTLED_SECONDS: Final = 30.0
_URL: Final = re.compile(r"http://\S+:(\d+)/\S*")
_LINES: Final = 5


class MockServerError(OstiaryError):
    """The mock server cannot be started; the message is its own, or says what happened."""


class MockServerProcess:
    """One mock server. ``port`` 0 is for a free one, which :attr:`port` tells once it runs.

    ``say`` is told when it dies and when it is back.
    """

    def __init__(self, port: int, *, say: Callable[[str], None]) -> None:
        self.port = port
        self._say = say
        self._process: Process | None = None
        self._watching: asyncio.Task[None] | None = None
        self._readers: list[asyncio.Task[None]] = []
        self._last_words: list[str] = []

    @property
    def url(self) -> str:
        """Its endpoint."""
        return f"http://localhost:{self.port}/mcp"

    @property
    def pid(self) -> int | None:
        """The process id of the child, if it runs."""
        return self._process.pid if self._process is not None else None

    async def start(self) -> None:
        """Start it, wait until it listens, and keep it running from then on.

        Raises:
            MockServerError: it does not start.
        """
        await self._launch()
        self._watching = asyncio.create_task(self._watch(), name="mock server")

    async def stop(self) -> None:
        """End it; by force if it does not end by itself in a moment."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        if self._process is not None and self._process.returncode is None:
            await _end(self._process)
        await asyncio.gather(*self._readers)

    async def _launch(self) -> None:
        process = await asyncio.create_subprocess_exec(
            *_command(self.port),
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
            env=_environment(),
            start_new_session=True,  # Ctrl-C reaches us alone, and we end it in order
        )
        assert process.stdout is not None  # noqa: S101  for the type checker: it is a pipe
        assert process.stderr is not None  # noqa: S101  likewise
        self._process = process
        self._last_words.clear()
        self._readers = [asyncio.create_task(self._listen(process.stderr))]
        try:
            said = await asyncio.wait_for(process.stdout.readline(), _START_SECONDS)
        except TimeoutError:
            said = b""
            process.kill()
        announced = _URL.search(said.decode(errors="replace"))
        if announced is None:
            code = await process.wait()
            await asyncio.gather(*self._readers)
            raise MockServerError(self._obituary(code))
        self.port = int(announced[1])
        self._readers.append(asyncio.create_task(_discard(process.stdout)))

    async def _listen(self, stream: asyncio.StreamReader) -> None:
        """Remember what it complained of last."""
        async for text in stream:
            self._last_words = [*self._last_words[1 - _LINES :], printable(text.decode(errors="replace").strip())]

    def _obituary(self, code: int) -> str:
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return " / ".join(self._last_words) or how

    async def _watch(self) -> None:
        """Start it again whenever it ends, more slowly each time unless it lived for a while."""
        loop, failures = asyncio.get_running_loop(), 0
        while self._process is not None:
            born = loop.time()
            code = await self._process.wait()
            if loop.time() - born > _SETTLED_SECONDS:
                failures = 0
            self._say(f"the mock MCP server ended ({self._obituary(code)}); starting it again")
            failures = await self._relaunch(failures)
            self._say(f"the mock MCP server is back at {self.url}")

    async def _relaunch(self, failures: int) -> int:
        while True:
            await asyncio.sleep(_BACKOFF[min(failures, len(_BACKOFF) - 1)])
            failures += 1
            try:
                await self._launch()
            except MockServerError as error:
                self._say(f"the mock MCP server does not start: {error}; trying again")
            else:
                return failures


async def _discard(stream: asyncio.StreamReader) -> None:
    """Read to the end, so that the writer never waits."""
    async for _ in stream:
        pass


async def _end(process: Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), _STOP_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()


def _command(port: int) -> list[str]:
    # -P: the folder that we were started in is no place to import from.
    server = [sys.executable, "-P", "-m", "ostiary_operator.demo.mock_server", "--port", str(port)]
    return [sys.executable, "-I", "-S", tether.__file__, str(os.getpid()), *server]


def _environment() -> dict[str, str]:
    """Ours, but for the name that our own spans go by: it is another service."""
    return {name: value for name, value in os.environ.items() if name not in ("OTEL_SERVICE_NAME", "MOCK_PORT")}
