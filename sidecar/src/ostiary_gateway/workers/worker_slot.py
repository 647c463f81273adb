"""One of the N workers of a gateway, through its replacements.

A worker that ends is replaced: at once the first time, later ones after a pause that doubles, so that a worker which
cannot live does not take the machine from the others. One that has worked for a while is trusted again.
"""

import asyncio
import logging
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final

from ostiary_gateway.workers.worker_process import WorkerProcess

_log = logging.getLogger(__name__)

#: Seconds before a replacement, and the most of them.
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 30.0
#: A worker that has worked for so many seconds did not fail at its start.
_TRUSTED_SECONDS: Final = 10.0

StartWorker = Callable[[int, int], Awaitable[WorkerProcess]]
"""Starts the process of an index and a generation."""


class WorkerSlot:
    """Keeps one worker alive by :meth:`run`.

    It ends once :meth:`drain` was called and the process has ended.
    """

    def __init__(self, index: int, start: StartWorker, *, on_end: Callable[[int], None]) -> None:
        self.index = index
        self.generation = 0
        #: How often in a row a worker ended without having worked for a while, and why the last one ended.
        self.failures = 0
        self.why = ""
        #: Whether the last one said itself that it cannot start.
        self.is_refusing = False
        #: How often a worker ended, by the reason.
        self.ends: Counter[str] = Counter()
        self._start = start
        self._on_end = on_end
        self._process: WorkerProcess | None = None
        #: Whether the present process was ended because it did not answer.
        self._was_hanging = False
        self._draining = asyncio.Event()
        #: Set for ever once one of its processes has opened the data port.
        self.has_listened = asyncio.Event()

    @property
    def is_up(self) -> bool:
        """Whether its data port is open."""
        return self._process is not None and self._process.is_listening

    @property
    def pid(self) -> int | None:
        """The id of its process, None between two."""
        return self._process.pid if self._process is not None else None

    async def run(self) -> None:
        """Start workers one after another."""
        while not self._draining.is_set():
            began = time.monotonic()
            code = await self._one()
            if self._draining.is_set():
                return
            self._note(code, lasted=time.monotonic() - began)
            self.generation += 1
            await self._pause()

    async def _one(self) -> int:
        """Run one process to its end, and return its exit code; 1 where none could be started."""
        try:
            self._process = process = await self._start(self.index, self.generation)
        except OSError as error:
            _log.error("worker %d cannot be started: %s", self.index, error.strerror or error)
            return 1
        if self._draining.is_set():
            process.drain()
        try:
            return await process.ended(on_listening=self.has_listened.set)
        finally:
            self.is_refusing, self.why = bool(process.failure), process.failure
            if self._was_hanging:
                self.why = "it did not answer"
            self._process = None

    def _note(self, code: int, *, lasted: float) -> None:
        self.failures = 0 if lasted >= _TRUSTED_SECONDS else self.failures + 1
        self.ends["hanging" if self._was_hanging else _reason(code)] += 1
        self._was_hanging = False
        self.why = self.why or _ending(code)
        _log.error("worker %d ended after %.1f s: %s", self.index, lasted, self.why)
        self._on_end(self.index)

    async def _pause(self) -> None:
        seconds = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** max(0, min(self.failures, 16) - 1))
        try:
            async with asyncio.timeout(seconds):
                await self._draining.wait()
        except TimeoutError:
            _log.info("worker %d is replaced", self.index)

    def drain(self) -> None:
        """Let the worker finish its requests, and replace it no more."""
        self._draining.set()
        if self._process is not None:
            self._process.drain()

    def kill(self) -> None:
        """End the process at once, if there is one."""
        if self._process is not None:
            self._process.kill()

    async def kill_hanging(self) -> None:
        """End a process that does not answer; another one takes its place."""
        if self._process is not None:
            self._was_hanging = True
            await self._process.kill_hanging()


def _reason(code: int) -> str:
    """Return one word for an exit code, negative for a signal."""
    if code >= 0:
        return "exit"
    return "killed" if code == -signal.SIGKILL else "signal"


def _ending(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    hint = " (the kernel does that where memory runs out)" if code == -signal.SIGKILL else ""
    return f"it was ended by {name}{hint}"
