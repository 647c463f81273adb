"""Runs a mock MCP server as a child process, and restarts it when it dies."""

import asyncio
import contextlib
import os
import re
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Sequence
from typing import Final

from ostiary_core.errors import OstiaryError
from ostiary_operator.demo.scenarios import Scenario
from ostiary_operator.demo.served_eras import ServedEras
from ostiary_operator.local import die_with_parent
from ostiary_operator.local.console import printable

_START_SECONDS: Final = 30.0
_STOP_SECONDS: Final = 3.0
_BACKOFF: Final = (0.5, 1.0, 2.0, 4.0, 8.0)
#: Seconds of running after which the restart back-off is reset.
_SETTLED_SECONDS: Final = 30.0
_URL: Final = re.compile(r"http://\S+:(\d+)/\S*")
_LINES: Final = 5


class MockServerError(OstiaryError):
    """The mock server cannot be started; the message is its stderr, or its exit code or signal."""


class MockServerProcess:
    """The process of a mock server. With ``port`` 0 it takes a free one.

    :attr:`port` has the number once it runs. ``eras`` are the revisions that it speaks, ``scenario`` what it is in
    place of the server with sample data, ``title`` its name in messages.

    ``say`` gets a line when the process dies and when it runs again.
    """

    def __init__(
        self,
        port: int,
        *,
        say: Callable[[str], None],
        eras: ServedEras = ServedEras.BOTH,
        scenario: Scenario | None = None,
        title: str = "the mock MCP server",
    ) -> None:
        self.port = port
        self.title = title
        self._kind = ["--era", eras.value, *(["--scenario", scenario.value] if scenario is not None else [])]
        self._say = say
        self._process: Process | None = None
        self._watching: asyncio.Task[None] | None = None
        self._readers: list[asyncio.Task[None]] = []
        self._last_lines: list[str] = []

    @property
    def url(self) -> str:
        """Its endpoint."""
        return f"http://localhost:{self.port}/mcp"

    @property
    def pid(self) -> int | None:
        """The process id of the child, if there is one."""
        return self._process.pid if self._process is not None else None

    async def start(self) -> None:
        """Start it, wait until it listens, and restart it from then on when it dies.

        Raises:
            MockServerError: it does not start.
        """
        await self._launch()
        self._watching = asyncio.create_task(self._watch(), name="mock server")

    async def stop(self) -> None:
        """Send SIGTERM, and SIGKILL after three seconds."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        if self._process is not None and self._process.returncode is None:
            await _end(self._process)
        await asyncio.gather(*self._readers)

    async def _launch(self) -> None:
        process = await asyncio.create_subprocess_exec(
            *_command(self.port, self._kind),
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
            env=_environment(),
            start_new_session=True,  # Ctrl-C must reach only us: we stop it after the gateway has drained
        )
        assert process.stdout is not None  # noqa: S101  for the type checker: it is a pipe
        assert process.stderr is not None  # noqa: S101  likewise
        self._process = process
        self._last_lines.clear()
        self._readers = [asyncio.create_task(self._listen(process.stderr))]
        try:
            line = await asyncio.wait_for(process.stdout.readline(), _START_SECONDS)
        except TimeoutError:
            line = b""
            process.kill()
        announced = _URL.search(line.decode(errors="replace"))
        if announced is None:
            code = await process.wait()
            await asyncio.gather(*self._readers)
            raise MockServerError(self._cause_of_death(code))
        self.port = int(announced[1])
        self._readers.append(asyncio.create_task(_discard(process.stdout)))

    async def _listen(self, stream: asyncio.StreamReader) -> None:
        """Remember the last lines of its stderr."""
        async for text in stream:
            self._last_lines = [*self._last_lines[1 - _LINES :], printable(text.decode(errors="replace").strip())]

    def _cause_of_death(self, code: int) -> str:
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return " / ".join(self._last_lines) or how

    async def _watch(self) -> None:
        """Restart it whenever it ends, with back-off unless it ran for a while."""
        loop, failures = asyncio.get_running_loop(), 0
        while self._process is not None:
            started = loop.time()
            code = await self._process.wait()
            if loop.time() - started > _SETTLED_SECONDS:
                failures = 0
            self._say(f"{self.title} ended ({self._cause_of_death(code)}); starting it again")
            failures = await self._relaunch(failures)
            self._say(f"{self.title} is back at {self.url}")

    async def _relaunch(self, failures: int) -> int:
        while True:
            await asyncio.sleep(_BACKOFF[min(failures, len(_BACKOFF) - 1)])
            failures += 1
            try:
                await self._launch()
            except MockServerError as error:
                self._say(f"{self.title} does not start: {error}; trying again")
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


def _command(port: int, kind: Sequence[str]) -> list[str]:
    # -P: do not import from the current directory.
    module = [sys.executable, "-P", "-m", "ostiary_operator.demo.mock_server"]
    server = [*module, "--port", str(port), *kind]
    return [sys.executable, "-I", "-S", die_with_parent.__file__, str(os.getpid()), *server]


def _environment() -> dict[str, str]:
    """Return our environment without OTEL_SERVICE_NAME (ours) and MOCK_PORT."""
    return {name: value for name, value in os.environ.items() if name not in ("OTEL_SERVICE_NAME", "MOCK_PORT")}
