"""One worker process, from its start to its end."""

import asyncio
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from ostiary_gateway.workers.worker_channel import MOST_LINE, WorkerNews, WorkerStart, start_message

#: The module that a worker runs.
_MODULE: Final = "ostiary_gateway.worker_main"
#: Seconds between a signal that prints where a process hangs, and one that ends it.
_TRACEBACK_SECONDS: Final = 2.0


class WorkerProcess:
    """A process that was started.

    ``is_listening`` once its data port is open; ``failure`` is why it could not start, as it said itself.
    """

    def __init__(self, process: Process, channel: socket.socket) -> None:
        self.pid = process.pid
        self.is_listening = False
        self.failure = ""
        self._process = process
        self._channel = channel

    @classmethod
    async def started(cls, start: WorkerStart) -> "WorkerProcess":
        """Start a fresh process: nothing of this one is in it but what ``start`` names.

        Raises:
            OSError: the system has no room for one more process.
        """
        message = start_message(start)
        ours, theirs = socket.socketpair()
        worker = start.options.worker
        shared = tuple(worker.shared.values()) if worker is not None else ()
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                _MODULE,
                str(theirs.fileno()),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), *shared),
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        with suppress(OSError):  # it has ended already; its exit code says why
            ours.sendall(message)
        return cls(process, ours)

    async def ended(self, *, on_listening: Callable[[], None]) -> int:
        """Read what the process says until it ends; return its exit code, negative for a signal."""
        self._channel.setblocking(False)
        reader, writer = await asyncio.open_unix_connection(sock=self._channel, limit=MOST_LINE)
        try:
            with suppress(OSError, ValueError):
                while line := await reader.readline():
                    self._hear(WorkerNews.of(line), on_listening)
            return await self._process.wait()
        finally:
            writer.close()

    def _hear(self, news: WorkerNews | None, on_listening: Callable[[], None]) -> None:
        if news is None:
            return
        self.failure = news.failure
        if not news.failure:
            self.is_listening = True
            on_listening()

    def drain(self) -> None:
        """Let the process finish its requests and end."""
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """End the process at once."""
        self._send(signal.SIGKILL)

    async def kill_hanging(self) -> None:
        """End a process that does not answer; it prints first what its threads are doing."""
        self._send(signal.SIGABRT)
        with suppress(TimeoutError):
            async with asyncio.timeout(_TRACEBACK_SECONDS):
                await self._process.wait()
                return
        self.kill()

    def _send(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            self._process.send_signal(number)
